"""The catalog as it really is: uploads in doubt, raw files without an upload or a project, S3 named elsewhere."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from apply_case import compile_plan, last_report, thermo
from cli import Cli, CliResult
from conftest import MakeRestoreCase
from embedded_s3 import EmbeddedS3
from plan_samples import JsonObject, catalog_document
from sample_data import write_export

from schemas.plan import Plan
from schemas.plan_file import read_plan

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

NO_ENDPOINT: dict[str, str | None] = {"AWS_ENDPOINT_URL": None}
S3_URL = "http://s3.site.example:9000"
# The digest of the plan of one raw file without notes, as every version of this program gave it.
PINNED = "sha256:7d3f853229f65d85d41acf201392c3634221cbb35e29049e6ff76d0f67b0529a"


def compile_documents(
    run_cli: Cli,
    documents: list[JsonObject],
    *arguments: str | Path,
    environment: dict[str, str | None] | None = None,
) -> CliResult:
    write_export(run_cli.folder / "catalog.jsonl", documents)
    return run_cli(
        *("compile", *arguments, "--catalog", "catalog.jsonl", "--output-root", "/out"),
        environment=NO_ENDPOINT if environment is None else environment,
    )


def plan_of(result: CliResult) -> Plan:
    assert result.exit_code in {0, 1}, result.stderr
    return read_plan(result.stdout.encode(), "stdout")


# --- backup_status


def test_an_upload_in_doubt_should_be_said_everywhere_where_people_look(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    # given a raw file whose last upload failed, and one that is well
    case = make_restore_case(thermo("doubtful.raw", size_bytes=1000), thermo("good.raw", size_bytes=1000))
    case.documents[0]["backup_status"] = "upload_failed"
    case.write_catalog()
    common = ("--catalog", case.export_path, "--config", case.config_path)
    assert run_cli("compile", "good.raw", *common, "-o", "old.json").exit_code == 0
    note = "backup_status is upload_failed: S3 may hold an older upload"

    # when
    compiled = run_cli("compile", *case.raw_file_ids, *common, "-o", "plan.json")

    # then it is planned, and each view names it
    assert compiled.exit_code == 0
    assert f"note on 1 raw file: {note} (doubtful.raw)\n" in compiled.stderr
    assert json.loads((run_cli.folder / "plan.json").read_bytes())["format_version"] == "1.1"
    assert json.loads((run_cli.folder / "old.json").read_bytes())["format_version"] == "1.0"
    shown = run_cli("show", "plan.json").stdout
    assert [line.split() for line in shown.splitlines() if line == "Notes"]
    assert shown.count(note) == 2
    assert note in run_cli("diff", "old.json", "plan.json").stdout
    as_json = json.loads(run_cli("show", "plan.json", "--json").stdout)
    assert [raw_file["notes"] for raw_file in as_json["raw_files"]] == [[note], []]
    assert run_cli("show", "plan.json", "--html", "plan.html").exit_code == 0
    assert note in (run_cli.folder / "plan.html").read_text(encoding="utf-8")

    # and it is restored all the same, with the note in its section of the report
    assert run_cli("apply", "plan.json").exit_code == 0
    report = last_report(case)
    assert report.count("Note: ") == 1
    assert (
        f"Raw File: doubtful.raw\nProject ID: PRID001\nS3 Bucket: {case.bucket()}\nFiles: 1\nNote: {note}\n" in report
    )


def test_a_later_minor_version_with_notes_should_be_read_by_its_known_part(run_cli: Cli) -> None:
    result = compile_documents(run_cli, [catalog_document("a", backup_status="skipped")], "a")
    document = json.loads(result.stdout)
    document["raw_files"]["a"]["invented"] = 5
    document |= {"format_version": "1.9"}
    del document["plan_digest"]
    shown = run_cli("show", "-", stdin=json.dumps(document))
    assert shown.exit_code == 0
    assert "ignored: invented" in shown.stderr
    assert "backup_status is skipped" in shown.stdout


def test_a_plan_without_anything_new_should_keep_its_digest(run_cli: Cli) -> None:
    for changes in ({}, {"backup_status": "upload_done", "status": "done", "instrument_id": "astral1"}):
        plan = plan_of(compile_documents(run_cli, [catalog_document("a", **changes)], "a"))
        assert plan.plan_digest == PINNED


# --- a project that can reach exit code 0

MIXED = [
    catalog_document("good.raw"),
    catalog_document("ignored.raw", s3_upload_path=..., file_info=..., status="ignored"),
    catalog_document("queued.raw", s3_upload_path=..., file_info=..., status="queued_for_monitoring"),
    catalog_document("old_1.raw", s3_upload_path=..., status="done"),
    catalog_document("old_2.raw", s3_upload_path=..., status="done"),
]


def test_what_was_never_uploaded_should_be_an_error_unless_it_is_left_out(run_cli: Cli) -> None:
    # when
    whole = compile_documents(run_cli, MIXED, "--project", "PRID001")
    backed_up = compile_documents(run_cli, MIXED, "--project", "PRID001", "old_1.raw", "--backed-up-only")
    # then
    assert whole.exit_code == 1
    assert "ignored.raw: RawFile has no s3_upload_path: AlphaKraken ignored it (status ignored)" in whole.stderr
    assert "all of these were never uploaded: with --backed-up-only they are left out" in whole.stderr
    assert backed_up.exit_code == 0
    assert [raw_file.raw_file_id for raw_file in plan_of(backed_up).raw_files] == ["good.raw"]
    assert "left out 4 raw files that were never uploaded to S3:\n" in backed_up.stderr
    assert "  2: RawFile has no s3_upload_path: it is older than the backups to S3 (status done)\n" in backed_up.stderr
    assert "namely ignored.raw, old_1.raw, old_2.raw, queued.raw\n" in backed_up.stderr


def test_what_cannot_be_resolved_should_be_left_out_of_a_plan_afterwards(run_cli: Cli) -> None:
    # given
    mixed = catalog_document("mixed.d", file_info={"old": [3, "m"], "new": [3, "m", f"{'0' * 32}__5"]})
    result = compile_documents(run_cli, [*MIXED, mixed], "--project", "PRID001", "none.raw")
    (run_cli.folder / "plan.json").write_text(result.stdout, encoding="utf-8")
    assert "\n4 of these were never uploaded" in result.stderr
    # when
    selected = run_cli("select", "plan.json", "--resolvable")
    # then
    assert selected.exit_code == 0
    files = [(raw_file.raw_file_id, file.relative_path) for raw_file, file in plan_of(selected).planned_files()]
    assert sorted(files) == [("good.raw", "good.raw"), ("mixed.d", "new")]
    assert not plan_of(selected).has_errors()


def test_unknown_ids_should_not_be_left_out_as_never_uploaded(run_cli: Cli) -> None:
    result = compile_documents(run_cli, MIXED, "good.raw", "none.raw", "--backed-up-only")
    assert result.exit_code == 1
    assert "none.raw: RawFile not found in the catalog" in result.stderr


def test_a_project_of_which_nothing_was_uploaded_should_be_refused_with_the_counts(run_cli: Cli) -> None:
    result = compile_documents(run_cli, MIXED[1:], "--project", "PRID001", "--backed-up-only")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "left out 4 raw files that were never uploaded to S3" in result.stderr


# --- raw files without a project


def test_raw_files_without_a_project_should_be_restored_as_of_the_default_one(run_cli: Cli) -> None:
    documents = [
        catalog_document("null.raw", project_id=None),
        catalog_document("missing.raw", project_id=...),
        catalog_document("empty.raw", project_id=""),
        catalog_document("own.raw", project_id="_FALLBACK"),
        catalog_document("other.raw"),
    ]
    refused = compile_documents(run_cli, documents, "null.raw", "other.raw")
    assert refused.exit_code == 1
    assert "1 raw file without a project: --default-project PRID says where to restore them to" in refused.stderr

    found = compile_documents(run_cli, documents, "--project", "_FALLBACK", "--default-project", "_FALLBACK")
    assert found.exit_code == 0
    plan = plan_of(found)
    assert {raw_file.raw_file_id for raw_file in plan.raw_files} == {"null.raw", "missing.raw", "empty.raw", "own.raw"}
    assert {raw_file.destination_base for raw_file in plan.raw_files} == {"/out/_FALLBACK"}
    assert "note on 3 raw files: project_id is missing in the catalog: planned for _FALLBACK" in found.stderr

    none = compile_documents(run_cli, documents[-1:], "--project", "_FALLBACK", "--default-project", "_FALLBACK")
    assert none.exit_code == 2
    assert none.stderr.rstrip().endswith("has no raw files of project '_FALLBACK' or none")


# --- which S3


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_the_chains_endpoint_should_stand_in_the_plan_with_its_origin(run_cli: Cli, variable: str) -> None:
    result = compile_documents(run_cli, [catalog_document("a")], "a", environment={**NO_ENDPOINT, variable: S3_URL})
    plan = plan_of(result)
    assert plan.s3.endpoint_url == S3_URL
    shown = run_cli("show", "-", stdin=result.stdout).stdout
    assert S3_URL in shown
    assert f"Compiled from    catalog.jsonl, S3 endpoint of {variable}\n" in shown


def test_a_profiles_endpoint_should_stand_in_the_plan(run_cli: Cli) -> None:
    (run_cli.folder / ".aws").mkdir()
    lines = [
        *("[profile site]", f"endpoint_url = {S3_URL}"),
        *("[profile services]", "services = site", "region = eu-west-1"),
        *("[services site]", "s3 =", f"  endpoint_url = {S3_URL}/s3"),
        *("[profile plain]", "services = other"),
        *("[services other]", "dynamodb =", "  endpoint_url = http://other.example"),
    ]
    (run_cli.folder / ".aws" / "config").write_text("\n".join(lines))
    expected = {"site": S3_URL, "services": f"{S3_URL}/s3", "plain": None}
    for profile, endpoint_url in expected.items():
        plan = plan_of(compile_documents(run_cli, [catalog_document("a")], "a", "--profile", profile))
        assert plan.s3.endpoint_url == endpoint_url
    unknown = compile_documents(run_cli, [catalog_document("a")], "a", "--profile", "none")
    assert unknown.exit_code == 2
    assert "S3 access: the AWS configuration has no profile 'none': check --profile and AWS_PROFILE" in unknown.stderr


def test_an_option_should_go_before_the_yaml_and_the_yaml_before_the_chain(run_cli: Cli) -> None:
    site = {"locations": {"output": "/out"}, "backup": {"s3": {"region": "eu-central-1", "endpoint_url": S3_URL}}}
    (run_cli.folder / "site.yaml").write_text(yaml.safe_dump(site))
    chain: dict[str, str | None] = {"AWS_ENDPOINT_URL": "http://chain.example"}
    common = ("a", "--config", "site.yaml")
    by_yaml = plan_of(compile_documents(run_cli, [catalog_document("a")], *common, environment=chain))
    assert (by_yaml.s3.endpoint_url, by_yaml.s3.region) == (S3_URL, "eu-central-1")
    assert by_yaml.compiled_from is not None
    assert by_yaml.compiled_from.config == "site.yaml"
    options = ("--endpoint-url", "http://option.example", "--region", "us-west-2")
    by_option = plan_of(compile_documents(run_cli, [catalog_document("a")], *common, *options, environment=chain))
    assert (by_option.s3.endpoint_url, by_option.s3.region) == ("http://option.example", "us-west-2")
    assert by_option.compiled_from is not None
    assert by_option.compiled_from.config == "site.yaml, S3 endpoint of --endpoint-url"


@pytest.mark.parametrize("url", ["http://user:hunter2@host", "host:9000", "ftp://host"])
def test_a_malformed_endpoint_should_be_refused_without_showing_a_password(run_cli: Cli, url: str) -> None:
    by_option = compile_documents(run_cli, [catalog_document("a")], "a", "--endpoint-url", url)
    by_chain = compile_documents(run_cli, [catalog_document("a")], "a", environment={"AWS_ENDPOINT_URL": url})
    for result in (by_option, by_chain):
        assert (result.exit_code, result.stdout) == (2, "")
        assert "hunter2" not in result.stderr


def test_apply_should_say_at_once_that_it_reads_from_another_s3(
    run_cli: Cli, make_restore_case: MakeRestoreCase, s3_server: EmbeddedS3
) -> None:
    # given a plan that names no server, and one that names another
    case = make_restore_case(thermo("a.raw", size_bytes=10))
    common = ("a.raw", "--catalog", case.export_path, "--output-root", case.output_location)
    run_cli("compile", *common, "-o", "none.json", environment=NO_ENDPOINT)
    run_cli("compile", *common, "--endpoint-url", S3_URL, "-o", "other.json")
    run_cli("compile", *common, "-o", "same.json")
    # when
    by_chain = run_cli("apply", "none.json")
    by_option = run_cli("apply", "other.json", "--endpoint-url", s3_server.endpoint_url)
    same = run_cli("apply", "same.json")
    # then
    assert (by_chain.exit_code, by_option.exit_code, same.exit_code) == (0, 0, 0)
    used = f"S3 is {s3_server.endpoint_url}"
    assert by_chain.stderr.startswith(f"{used} (AWS_ENDPOINT_URL); the plan names AWS itself (no s3.endpoint_url)\n")
    assert by_option.stderr.startswith(f"{used} (--endpoint-url); the plan names {S3_URL}\n")
    assert "the plan names" not in same.stderr


# --- a lost backup pool


def test_a_lost_backup_should_come_back_to_where_alphakraken_looks(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    # given
    case = make_restore_case(
        thermo("a.raw", size_bytes=10), thermo("b.raw", size_bytes=20), thermo("c.raw", size_bytes=5)
    )
    backup = case.folder / "pool-backup"
    backup.mkdir()
    settings = yaml.safe_load(case.config_path.read_text())
    settings["locations"]["backup"] = {"absolute_path": str(backup)}
    case.config_path.write_text(yaml.safe_dump(settings))
    case.documents[0]["backup_base_path"] = f"{backup}/astral1/2025_01"
    del case.documents[1]["backup_base_path"]
    case.documents[1].update(
        {
            "instrument_id": "tims2",
            "created_at": datetime(2024, 12, 31, tzinfo=UTC),
            "project_id": None,
        }
    )
    case.documents[2]["backup_base_path"] = "/elsewhere/astral1/2025_01"
    case.write_catalog()
    # when
    compiled = run_cli(
        "compile", *case.raw_file_ids, "--to", "backup", "--catalog", case.export_path,
        "--config", case.config_path, "-o", "plan.json",
    )  # fmt: skip
    applied = run_cli("apply", "plan.json", "--config", case.config_path)
    # then
    assert compiled.exit_code == 1
    assert (
        "c.raw: Unsafe path: backup_base_path '/elsewhere/astral1/2025_01' is not within the backup location"
        in compiled.stderr
    )
    assert "tims2/2024_12 is made of instrument_id and created_at" in compiled.stderr
    assert applied.exit_code == 1  # for c.raw alone
    assert (backup / "astral1/2025_01/a.raw").read_bytes() == case.raw_files[0].contents["a.raw"]
    assert (backup / "tims2/2024_12/b.raw").read_bytes() == case.raw_files[1].contents["b.raw"]
    reports = sorted(Path(line).parent.relative_to(backup) for line in applied.stdout.splitlines())
    assert reports == [Path(), Path("astral1/2025_01"), Path("tims2/2024_12")]


def test_a_backup_should_be_restored_only_where_the_site_says_where_it_is(run_cli: Cli) -> None:
    (run_cli.folder / "site.yaml").write_text("locations: {output: /out}")
    refused = compile_documents(run_cli, [catalog_document("a")], "a", "--to", "backup", "--config", "site.yaml")
    assert refused.exit_code == 2
    assert "locations.backup.absolute_path is missing, and --to backup restores below it" in refused.stderr
    document = catalog_document("a", backup_base_path="/out/astral1/2025_01")
    without_yaml = compile_documents(run_cli, [document], "a", "--to", "backup")
    assert plan_of(without_yaml).raw_files[0].destination_base == "/out/astral1/2025_01"


def test_an_older_object_should_be_explained_by_the_upload_that_failed(
    run_cli: Cli, make_restore_case: MakeRestoreCase, s3: "S3Client"
) -> None:
    # given what a failed re-upload leaves: the new file_info, and the old object
    case = make_restore_case(thermo("a.raw", size_bytes=1000), thermo("b.raw", size_bytes=10))
    case.documents[0]["backup_status"] = "upload_failed"
    case.write_catalog()
    version = s3.head_object(Bucket=case.bucket(), Key="a.raw")["VersionId"]
    s3.delete_object(Bucket=case.bucket(), Key="a.raw", VersionId=version)
    s3.put_object(Bucket=case.bucket(), Key="a.raw", Body=b"older")
    plan = compile_plan(run_cli, case)
    # when
    applied = run_cli("apply", plan, "--results", "results.jsonl")
    # then
    assert applied.exit_code == 1
    reason = "; noted in the plan: backup_status is upload_failed: S3 may hold an older upload"
    (line,) = [line for line in last_report(case).splitlines() if line.startswith("a.raw: ")]
    assert line.startswith("a.raw: FAILURE - S3 corruption detected (")
    assert reason in line
    assert reason in (run_cli.folder / "results.jsonl").read_text(encoding="utf-8")


def test_a_run_that_fails_only_for_what_cannot_be_resolved_should_say_what_to_do(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo("a.raw", size_bytes=10))
    plan = compile_plan(run_cli, case, "a.raw", "none.raw")
    applied = run_cli("apply", plan)
    assert applied.exit_code == 1
    assert f"next:\n  kraken-plan select {plan} --resolvable -o resolvable.json\n" in applied.stderr
    assert run_cli("select", plan, "--resolvable", "-o", "rest.json").exit_code == 0
    assert run_cli("apply", "rest.json").exit_code == 0
