"""`kraken-plan compile` on an exported catalog, as a user runs it."""

import json
import os
import signal
import stat
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from cli import Cli, CliResult
from conftest import MakeRestoreCase
from plan_samples import MD5, OTHER_MD5, JsonObject, catalog_document
from restore_case import raw_file
from sample_data import write_export, write_site_yaml

from schemas.plan import Plan, PlannedFile, UnresolvedFile
from schemas.plan_file import read_plan

ETAG = f"{MD5}__5"
OLD_PLAN = b'{"format_version": "old"}'


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """An exported catalog of the raw files a to e, the last of another project."""
    path = tmp_path / "raw_file.jsonl"
    projects = ["PRID001"] * 4 + ["PRID002"]
    write_export(
        path,
        [catalog_document(*named) for named in zip("abcd", strict=True)]
        + [catalog_document("e", project_id=projects[4])],
    )
    return path


@pytest.fixture
def site_yaml(tmp_path: Path) -> Path:
    path = tmp_path / "alphakraken.test.yaml"
    write_site_yaml(path, output_location=Path("/fs/out"), region="eu-central-1")
    return path


def plan_on_stdout(result: CliResult) -> Plan:
    return read_plan(result.stdout.encode(), "stdout")


def ids_in(result: CliResult) -> list[str]:
    assert result.exit_code in {0, 1}, result.stderr
    return [found.raw_file_id for found in plan_on_stdout(result).raw_files]


def compile_documents(run_cli: Cli, documents: Sequence[JsonObject], *arguments: str) -> CliResult:
    write_export(run_cli.folder / "catalog.jsonl", documents)
    ids = [str(document["_id"]) for document in documents]
    return run_cli("compile", *ids, "--catalog", "catalog.jsonl", "--output-root", "/out", *arguments)


# --- the main road


def test_compile_should_resolve_everything_that_was_backed_up(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    # given
    case = make_restore_case(
        raw_file("thermo.raw", {"thermo.raw": (b"x" * 6_000_000, 5)}),
        raw_file("bruker.d", {"bruker.d/a.tdf": (b"a", 5), "bruker.d/m/b.xml": (b"", 5)}, project_id="PRID002"),
        raw_file("s.wiff", {"s.wiff": (b"s", 5), "s.wiff.scan": (b"t", 5)}, prefix="s.wiff"),
    )
    plan_path = case.folder / "plan.json"
    # when
    result = run_cli(
        "compile", *case.raw_file_ids, "--catalog", case.export_path, "--config", case.config_path, "-o", plan_path
    )
    # then
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    assert "3 raw files asked for; to be restored: 5 files, 5.7 MiB" in result.stderr
    plan = read_plan(plan_path.read_bytes(), "plan.json")
    assert plan.output_location == str(case.output_location)
    assert plan.compiled_from is not None
    assert (plan.compiled_from.catalog, plan.compiled_from.config) == ("raw_file.jsonl", "alphakraken.test.yaml")
    assert [found.bucket_name for found in plan.raw_files] == [case.bucket(), case.bucket("PRID002"), case.bucket()]
    keys = [file.s3_key for _, file in plan.planned_files()]
    assert keys == ["thermo.raw", "bruker.d/a.tdf", "bruker.d/m/b.xml", "s.wiff/s.wiff", "s.wiff/s.wiff.scan"]
    assert plan.raw_files[0].files[0].expected_etag == str(case.documents[0]["file_info"]).split("'")[5].split("__")[0]


def test_the_same_catalog_twice_should_give_the_same_digest(run_cli: Cli, export: Path, site_yaml: Path) -> None:
    digests = set()
    for _ in range(2):
        result = run_cli("compile", "b", "a", "--catalog", export, "--config", site_yaml)
        digests.add(plan_on_stdout(result).plan_digest)
    assert len(digests) == 1


def test_a_single_id_should_give_a_plan_on_stdout_and_words_on_stderr(
    run_cli: Cli, export: Path, site_yaml: Path
) -> None:
    result = run_cli("compile", "a", "--catalog", export, "--config", site_yaml)
    assert ids_in(result) == ["a"]
    assert plan_on_stdout(result).s3.region == "eu-central-1"
    assert "1 raw file asked for" in result.stderr


# --- which raw files


@pytest.mark.parametrize("arguments", [["c", "a"], ["c,a"], ["c, a", "c"], [",c", "a,,"]])
def test_ids_should_come_from_arguments(run_cli: Cli, export: Path, arguments: list[str]) -> None:
    assert ids_in(run_cli("compile", *arguments, "--catalog", export, "--output-root", "/out")) == ["c", "a"]


def test_ids_should_come_from_a_file_behind_those_of_the_arguments(run_cli: Cli, export: Path) -> None:
    (run_cli.folder / "ids.txt").write_text("# today\nd, a b\n\nc # not e\n", encoding="utf-8")
    result = run_cli("compile", "c", "--ids-file", "ids.txt", "--catalog", export, "--output-root", "/out")
    assert ids_in(result) == ["c", "d", "a", "b"]


def test_ids_should_come_from_stdin(run_cli: Cli, export: Path) -> None:
    result = run_cli("compile", "--ids-file", "-", "--catalog", export, "--output-root", "/out", stdin="b\na\n")
    assert ids_in(result) == ["b", "a"]


def test_a_project_should_give_all_its_raw_files_sorted(run_cli: Cli, export: Path) -> None:
    common = ["--catalog", str(export), "--output-root", "/out"]
    assert ids_in(run_cli("compile", "--project", "PRID001", *common)) == ["a", "b", "c", "d"]
    both = ["--project", "PRID002", "--project", "PRID001"]
    assert ids_in(run_cli("compile", "c", *both, *common)) == ["c", "e", "a", "b", "d"]


def test_a_search_should_give_also_what_a_text_beside_it_only_might_have_meant(run_cli: Cli, export: Path) -> None:
    search = ["--project", "PRID001", "--catalog", str(export), "--output-root", "/out"]
    assert ids_in(run_cli("compile", "--ids-file", "-", *search, stdin="d # not c\n")) == ["d", "a", "b", "c"]
    assert ids_in(run_cli("compile", "/pool/a/b", *search)) == ["b", "a", "c", "d"]


def test_an_unknown_project_should_be_refused_by_name(run_cli: Cli, export: Path) -> None:
    result = run_cli(
        "compile", "a", "--project", "PRID9", "--catalog", export, "--output-root", "/out", "-o", "plan.json"
    )
    assert result.exit_code == 2
    assert "has no raw files of project 'PRID9'" in result.stderr
    assert not (run_cli.folder / "plan.json").exists()


def test_no_ids_given_should_be_refused_with_what_to_do(run_cli: Cli, export: Path) -> None:
    (run_cli.folder / "ids.txt").write_text("# none\n", encoding="utf-8")
    for arguments in ([], ["", ","], ["--ids-file", "ids.txt"]):
        result = run_cli("compile", *arguments, "--catalog", export, "--output-root", "/out")
        assert result.exit_code == 2
        assert "give their ids, --ids-file FILE or --project PRID" in result.stderr
        assert result.stdout == ""


def test_an_invalid_id_should_be_in_the_plan_and_named_with_exit_code_1(run_cli: Cli, export: Path) -> None:
    result = run_cli("compile", "a", "no\x1b[31m such", "$where", "--catalog", export, "--output-root", "/out")
    assert result.exit_code == 1
    assert [found.error for found in plan_on_stdout(result).raw_files] == [
        None,
        *["RawFile not found in the catalog"] * 2,
    ]
    assert r"no\x1b[31m such: RawFile not found in the catalog" in result.stderr
    assert "$where: RawFile not found in the catalog" in result.stderr


def test_many_that_are_not_found_should_be_counted_not_all_named(run_cli: Cli, export: Path) -> None:
    result = run_cli(
        "compile", "a", *(f"none{number:03}" for number in range(50)), "--catalog", export, "--output-root", "/out"
    )
    assert result.exit_code == 1
    assert "50 could not be resolved:" in result.stderr
    assert result.stderr.count("not found in the catalog") == 20
    assert "… and 30 more" in result.stderr


def test_ids_should_be_read_as_a_whole_first_and_paths_stand_for_their_raw_files(run_cli: Cli) -> None:
    # given
    ids = ["conc_0,5ng.raw", "with space (1).raw", "-dash #1.raw", "s.wiff", "x.d"]
    write_export(run_cli.folder / "catalog.jsonl", [catalog_document(raw_file_id) for raw_file_id in [*ids, "space"]])
    lines = [*ids[:3], " - /pool/backup/test1/2025_01/s.wiff.scan", "/pool/x.d/analysis.tdf"]
    (run_cli.folder / "ids.txt").write_text("\n".join(lines))
    (run_cli.folder / "ids.csv").write_text("Name,Order\n" + "\n".join(f'"{raw_file_id}",5' for raw_file_id in ids))
    common = ["--catalog", "catalog.jsonl", "--output-root", "/out"]
    # when
    from_lines = run_cli("compile", "--ids-file", "ids.txt", *common)
    from_table = run_cli("compile", "--ids-file", "ids.csv", "--ids-column", "Name", *common)
    from_arguments = run_cli("compile", *common, "--", *ids)
    # then
    assert ids_in(from_lines) == ids_in(from_table) == ids_in(from_arguments) == ids
    assert "/pool/x.d/analysis.tdf is a path: taken for the raw file x.d" in from_lines.stderr
    assert "path" not in from_table.stderr
    digests = {plan_on_stdout(result).plan_digest for result in (from_lines, from_table, from_arguments)}
    assert len(digests) == 1


def test_unknown_ids_should_come_with_the_nearest_known_ones(run_cli: Cli) -> None:
    documents = [
        catalog_document("Sample.raw"),
        catalog_document("20261128-061500-796105-other.raw", original_name="other.raw"),
    ]
    write_export(run_cli.folder / "catalog.jsonl", documents)
    asked = ["Sample.raw", "sample.raw", "other.raw", "nothing like it"]
    result = run_cli("compile", *asked, "--catalog", "catalog.jsonl", "--output-root", "/out")
    assert result.exit_code == 1
    assert "sample.raw: RawFile not found in the catalog; nearest: Sample.raw\n" in result.stderr
    assert "other.raw: RawFile not found in the catalog; nearest: 20261128-061500-796105-other.raw\n" in result.stderr
    assert "nothing like it: RawFile not found in the catalog\n" in result.stderr


# --- what a catalog holds


@pytest.mark.parametrize(
    ("s3_upload_path", "key"),
    [
        ("bucket", "f"),
        ("bucket/", "f"),
        ("s3://bucket", "f"),
        ("s3://bucket/pre/fix/", "pre/fix/f"),
        ("bucket//pre//fix", "pre/fix/f"),
    ],
)
def test_every_form_of_s3_upload_path_should_be_read(run_cli: Cli, s3_upload_path: str, key: str) -> None:
    document = catalog_document("a", s3_upload_path=s3_upload_path, file_info={"f": [3.0, OTHER_MD5, ETAG]})
    result = compile_documents(run_cli, [document])
    assert result.exit_code == 0, result.stderr
    (found,) = plan_on_stdout(result).raw_files
    assert found.bucket_name == "bucket"
    assert found.files[0].s3_key == key


def test_odd_but_known_entries_should_be_read(run_cli: Cli) -> None:
    file_info = {
        "a.d/b.c/d.tdf_bin": [2224281231.0, OTHER_MD5, f"{MD5}-5__500"],
        "null_size": [None, OTHER_MD5, f"{MD5}-3__100"],
        "big": [2**40, OTHER_MD5, f"{MD5}-2098__500"],
        "old": [3.0, OTHER_MD5],
    }
    result = compile_documents(run_cli, [catalog_document("a.d", file_info=file_info)])
    assert result.exit_code == 1
    files = {file.relative_path: file for file in plan_on_stdout(result).raw_files[0].files}
    bruker = files["a.d/b.c/d.tdf_bin"]
    assert (bruker.expected_size, bruker.expected_etag, bruker.chunk_size_mb) == (2224281231, f"{MD5}-5", 500)
    assert (files["null_size"].expected_size, files["null_size"].chunk_size_mb) == (None, 100)
    assert files["big"].expected_size == 2**40
    old = files["old"]
    assert isinstance(old, UnresolvedFile)
    assert old.error == "Not verifiable: no ETag recorded"
    assert "a.d: old: Not verifiable: no ETag recorded" in result.stderr


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"project_id": None}, "RawFile has no project_id"),
        ({"s3_upload_path": None}, "RawFile has no s3_upload_path"),
        ({"file_info": {}}, "RawFile has empty file_info"),
        ({"project_id": "../x"}, "Unsafe path: project_id '../x'"),
    ],
)
def test_raw_files_that_cannot_be_resolved_should_be_named_and_not_stop_the_others(
    run_cli: Cli, changes: JsonObject, error: str
) -> None:
    result = compile_documents(run_cli, [{**catalog_document("bad"), **changes}, catalog_document("good")])
    assert result.exit_code == 1
    bad, good = plan_on_stdout(result).raw_files
    assert str(bad.error).startswith(error)
    assert good.error is None
    assert f"bad: {error}" in result.stderr


def test_conflicts_and_unsafe_paths_should_be_errors_of_their_files(run_cli: Cli) -> None:
    file_info = {"x": [3, "m", ETAG], "../y": [3, "m", ETAG], "a\nb": [3, "m", ETAG], "fine": [3, "m", ETAG]}
    documents = [
        catalog_document("a", file_info=file_info),
        catalog_document("b", file_info={"x": [3, "m", f"{OTHER_MD5}__5"]}),
    ]
    result = compile_documents(run_cli, documents)
    assert result.exit_code == 1
    planned = [file.relative_path for _, file in plan_on_stdout(result).planned_files()]
    assert planned == ["fine"]
    assert "4 could not be resolved:" in result.stderr
    assert "a: ../y: Unsafe path: it has the component '..'" in result.stderr
    assert r"a: a\nb: Unsafe path: it holds the control character U+000A" in result.stderr
    assert "a: x: Conflicts with b: x (one destination, but etag" in result.stderr


# --- settings


def test_an_output_root_should_take_the_place_of_the_sites(run_cli: Cli, export: Path, site_yaml: Path) -> None:
    result = run_cli("compile", "a", "--catalog", export, "--config", site_yaml, "--output-root", "/mnt//other/")
    plan = plan_on_stdout(result)
    assert plan.output_location == "/mnt/other"
    assert plan.raw_files[0].destination_base == "/mnt/other/PRID001"
    assert plan.s3.region == "eu-central-1"


def test_settings_should_come_from_variables(run_cli: Cli, export: Path, site_yaml: Path) -> None:
    variables: dict[str, str | None] = {"KRAKEN_PLAN_CATALOG": str(export), "KRAKEN_PLAN_CONFIG": str(site_yaml)}
    assert plan_on_stdout(run_cli("compile", "a", environment=variables)).output_location == "/fs/out"
    variables |= {"KRAKEN_PLAN_OUTPUT_ROOT": "/mnt/x", "KRAKEN_PLAN_COMPILE_PROJECT": "PRID002"}
    result = run_cli("compile", environment=variables)
    assert plan_on_stdout(result).output_location == "/mnt/x"
    assert ids_in(result) == ["e"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--catalog", "raw_file.jsonl"], "--output-root"),
        (["--output-root", "/out"], "MONGO_HOST"),
        (["--catalog", "none.jsonl", "--output-root", "/out"], "none.jsonl: there is no such file"),
        (["--catalog", "raw_file.jsonl", "--config", "none.yaml"], "none.yaml: there is no such file"),
        (["--catalog", "raw_file.jsonl", "--output-root", "out"], "--output-root is 'out': it is not absolute"),
        (
            ["--catalog", "raw_file.jsonl", "--output-root", "/out", "--ids-file", "none"],
            "ids file none cannot be read",
        ),
        (
            ["--catalog", "raw_file.jsonl", "--output-root", "/out", "-o", "none/plan.json"],
            "cannot write none/plan.json",
        ),
        (
            ["--catalog", "raw_file.jsonl", "--output-root", "/out", "-o", "."],
            "something that is not a plan already exists there",
        ),
        (
            ["--catalog", "raw_file.jsonl", "--output-root", "/out", "-o", "/"],
            "something that is not a plan already exists there",
        ),
        (
            ["--catalog", "raw_file.jsonl", "--output-root", "/out", "-o", "/dev/full"],
            "something that is not a plan already exists there",
        ),
        (
            ["--catalog", "raw_file.jsonl", "--output-root", "/out", "-o", "raw_file.jsonl"],
            "is not a plan already exists there; it was left untouched",
        ),
        (
            ["--catalog", "raw_file.jsonl", "--output-root", "/out", "--region", "eu-central-1\n"],
            "--region: 'eu-central-1\\n' is not the name of a region",
        ),
        (["--no-such-option"], "No such option"),
    ],
)
def test_what_is_missing_or_wrong_should_be_one_clear_error(
    run_cli: Cli, export: Path, arguments: list[str], words: str
) -> None:
    result = run_cli("compile", "a", *arguments)
    assert export.exists()
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stdout == ""


# --- the plan file


def test_a_plan_file_should_be_replaced_whole_and_stay_readable_for_the_group(run_cli: Cli, export: Path) -> None:
    plan_path = run_cli.folder / "plan.json"
    for raw_file_id in "ab":
        result = run_cli("compile", raw_file_id, "--catalog", export, "--output-root", "/out", "-o", plan_path)
        assert result.exit_code == 0
        assert list(json.loads(plan_path.read_bytes())["raw_files"]) == [raw_file_id]
    assert stat.S_IMODE(plan_path.stat().st_mode) & 0o444 == 0o444
    assert sorted(path.name for path in run_cli.folder.iterdir()) == ["plan.json", "raw_file.jsonl"]


def test_an_existing_plan_should_stay_as_it_was_if_the_catalog_is_broken(run_cli: Cli, export: Path) -> None:
    (run_cli.folder / "plan.json").write_bytes(OLD_PLAN)
    export.write_bytes(export.read_bytes()[:-20])
    result = run_cli("compile", "a", "e", "--catalog", export, "--output-root", "/out", "-o", "plan.json")
    assert result.exit_code == 2
    assert "line 5: not JSON" in result.stderr
    assert (run_cli.folder / "plan.json").read_bytes() == OLD_PLAN


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_an_interrupted_compile_should_leave_an_existing_plan_alone(
    run_cli: Cli, number: signal.Signals, exit_code: int
) -> None:
    # given
    (run_cli.folder / "plan.json").write_bytes(OLD_PLAN)
    os.mkfifo(run_cli.folder / "ids.txt")
    arguments = ["--ids-file", "ids.txt", "--catalog", "catalog.jsonl", "--output-root", "/out", "-o", "plan.json"]
    process = run_cli.start("compile", *arguments)
    # when
    with (run_cli.folder / "ids.txt").open("w"):  # returns when the program reads, and gives it nothing
        time.sleep(0.5)  # till it waits there; Python leaves a signal that comes a moment earlier lying
        process.send_signal(number)
        result = run_cli.finish(process)
    # then
    assert result.exit_code == exit_code
    assert (run_cli.folder / "plan.json").read_bytes() == OLD_PLAN
    assert sorted(path.name for path in run_cli.folder.iterdir()) == ["ids.txt", "plan.json"]


def test_quiet_should_leave_only_errors_and_verbose_say_what_is_read(run_cli: Cli, export: Path) -> None:
    common = ["compile", "a", "none", "--catalog", str(export), "--output-root", "/out"]
    assert run_cli(*common, "-q").stderr == ""
    assert run_cli("-q", *common).stderr == ""
    verbose = run_cli(*common, "-v").stderr
    assert "INFO planner.find_records: reading raw files from raw_file.jsonl: 2 possible ids" in verbose
    assert "reading" not in run_cli(*common).stderr


def test_names_outside_ascii_should_be_utf8_whatever_the_locale(run_cli: Cli) -> None:
    document = catalog_document("ä.raw", file_info={"ä\u2028.raw": [3, "m"], "ä": [3, "m", ETAG]})
    write_export(run_cli.folder / "catalog.jsonl", [document])
    result = run_cli(
        "compile", "--project", "PRID001", "--catalog", "catalog.jsonl", "--output-root", "/out",
        environment={"LANG": "C", "LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    )  # fmt: skip
    assert ids_in(result) == ["ä.raw"]
    assert r"ä.raw: ä\u2028.raw: Not verifiable" in result.stderr


def test_what_compile_writes_should_validate(run_cli: Cli, export: Path) -> None:
    compiled = run_cli("compile", "a", "none", "--catalog", export, "--output-root", "/out")
    validated = run_cli("validate", "-", stdin=compiled.stdout)
    assert validated.exit_code == 0
    assert "valid, 2 raw files, 1 file" in validated.stdout
    assert isinstance(plan_on_stdout(compiled).raw_files[0].files[0], PlannedFile)
