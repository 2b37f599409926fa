"""The main job, as a user does it: compile, apply, read the report. Real program, real S3 server, real files."""

import json
import re
import shutil
from typing import TYPE_CHECKING

import pytest
from apply_case import assert_failed, bruker, compile_plan, last_report, left_staged, thermo
from cli import Cli
from conftest import MakeRestoreCase
from faulty_proxy import FaultyProxy
from network_faults import Answer, Fault, Flip
from restore_case import raw_file
from sample_data import MIB, made_up_bytes

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SMALL = made_up_bytes("small", 1000)


# --- fresh, again, mixed


def test_apply_should_restore_verify_and_report_every_file(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    # given the three kinds of instrument data
    sciex = raw_file("s.wiff", {"s.wiff": (SMALL, 5), "s.wiff.scan": (SMALL * 7, 5)}, prefix="s.wiff")
    case = make_restore_case(thermo(), bruker(), sciex)

    # when
    result = run_cli("apply", compile_plan(run_cli, case))

    # then
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    (report,) = case.reports()
    assert result.stdout == f"{report}\n"
    text = report.read_text(encoding="utf-8")
    assert "Total raw files: 3\nTotal files: 17\nSuccessful files: 17\nFailed files: 0\nStatus: SUCCESS\n" in text
    assert "\nsample.raw: OK - Downloaded and verified (12.0 MB in " in text
    assert left_staged(case) == []


def test_apply_should_handle_existing_and_new_files_in_one_batch(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo("old.raw"), thermo("new.raw"))
    run_cli("apply", compile_plan(run_cli, case, "old.raw"))

    result = run_cli("apply", compile_plan(run_cli, case))

    assert result.exit_code == 0
    assert "old.raw: OK - Skipped (already exists)" in last_report(case)
    assert "new.raw: OK - Downloaded and verified" in last_report(case)


def test_two_raw_files_of_one_project_should_go_into_one_report(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo("a.raw", size_bytes=10), thermo("b.raw", size_bytes=10))

    result = run_cli("apply", compile_plan(run_cli, case))

    assert result.stdout == f"{case.reports()[0]}\n"
    assert "Raw Files Processed: 2" in last_report(case)
    assert "Raw File: a.raw" in last_report(case)
    assert "Raw File: b.raw" in last_report(case)


def test_five_raw_files_of_three_projects_should_make_three_reports(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    # given
    projects = ("PRID001", "PRID001", "PRID002", "PRID002", "PRID003")
    case = make_restore_case(*(thermo(f"{i}.raw", project, 100 + i) for i, project in enumerate(projects)))

    # when
    result = run_cli("apply", compile_plan(run_cli, case))

    # then
    assert result.exit_code == 0
    assert case.unrestored() == []
    counts = {project: last_report(case, project).split("Total raw files: ")[1][0] for project in set(projects)}
    assert counts == {"PRID001": "2", "PRID002": "2", "PRID003": "1"}
    assert len(result.stdout.splitlines()) == 3


@pytest.mark.parametrize("size_bytes", [0, 1, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 10 * MIB, 10 * MIB + 1])
def test_apply_should_restore_sizes_around_the_chunk(
    run_cli: Cli, make_restore_case: MakeRestoreCase, size_bytes: int
) -> None:
    # given; at exactly one chunk S3 has `<md5 of md5>-1` where the catalog has the bare MD5
    case = make_restore_case(thermo(size_bytes=size_bytes))
    plan = compile_plan(run_cli, case)

    # when / then
    assert run_cli("apply", plan).exit_code == 0
    assert case.unrestored() == []
    assert run_cli("apply", plan).exit_code == 0
    assert "sample.raw: OK - Skipped (already exists)" in last_report(case)


def test_apply_should_use_each_files_own_chunk_size(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    # given one batch with chunks of 5, 6, 100 and 500 MB
    content = made_up_bytes("c", 13 * MIB)
    files = {f"c.d/{chunk_size_mb}": (content, chunk_size_mb) for chunk_size_mb in (5, 6, 100, 500)}
    case = make_restore_case(raw_file("c.d", files))

    # when
    result = run_cli("apply", compile_plan(run_cli, case))

    # then
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []


# --- healing


def test_quarantine_should_keep_every_corrupt_copy(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    # given
    case = make_restore_case(thermo())
    plan = compile_plan(run_cli, case)
    path = case.destination() / "sample.raw"
    path.parent.mkdir()

    # when healed three times
    for content in (b"one", b"two", b"three"):
        path.write_bytes(content)
        assert run_cli("apply", plan, "--on-corrupt", "quarantine").exit_code == 0

    # then
    assert case.unrestored() == []
    assert path.with_name("sample.raw.corrupted").read_bytes() == b"one"
    assert path.with_name("sample.raw.corrupted.1").read_bytes() == b"two"
    assert path.with_name("sample.raw.corrupted.2").read_bytes() == b"three"
    assert "corrupt file kept as sample.raw.corrupted.2" in last_report(case)


def test_apply_should_move_a_corrupt_file_aside_where_healing_fails(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given a corrupt file and a network that flips a bit every time
    case = make_restore_case(thermo(), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    path = case.destination() / "sample.raw"
    path.parent.mkdir()
    path.write_bytes(b"corrupt")
    faulty_proxy.add(Fault(action=Flip(offset=6_000_000), key="sample.raw"))

    # when
    result = run_cli("apply", plan)

    # then
    assert_failed(result, case, "sample.raw: FAILURE - Download verification failed (etag mismatch: downloaded ")
    assert "the corrupt local file was moved to sample.raw.corrupted)" in last_report(case)
    assert not path.exists()
    assert path.with_name("sample.raw.corrupted").read_bytes() == b"corrupt"


# --- S3 says no


def test_every_download_should_carry_if_match(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    case = make_restore_case(thermo(), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    etag = json.loads(plan.read_bytes())["raw_files"]["sample.raw"]["files"][0]["expected_etag"]

    run_cli("apply", plan)

    gets = faulty_proxy.requests("GET", "sample.raw")
    assert len(gets) == 3
    assert {exchange.request.if_match for exchange in gets} == {f'"{etag}"'}


def test_s3_should_be_checked_before_a_large_file_is_fetched_or_a_local_one_is_read(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given a large file that is missing, and a small one that is there
    case = make_restore_case(
        thermo("large.raw", size_bytes=33 * MIB), thermo("there.raw"), endpoint_url=faulty_proxy.endpoint_url
    )
    plan = compile_plan(run_cli, case)
    case.destination().mkdir()
    (case.destination() / "there.raw").write_bytes(case.raw_files[1].contents["there.raw"])

    # when
    result = run_cli("-vv", "apply", plan)

    # then, on the wire and in the log
    for name in case.raw_file_ids:
        methods = [exchange.request.method for exchange in faulty_proxy.log if name in exchange.request.path]
        assert methods[0] == "HEAD"
        assert f"{name}: S3 pre-check passed, etag " in result.stderr
    assert faulty_proxy.requests("GET", "there.raw") == []


def test_a_failed_batch_should_be_completed_by_the_next_apply(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given a batch over two projects in which some failed
    case = make_restore_case(thermo(), bruker(), thermo("p.raw", "PRID002"), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    faulty_proxy.add(Fault(action=Answer(status=403, code="AccessDenied"), key=".raw"))
    first = run_cli("apply", plan)
    assert first.exit_code == 1
    assert "sample.raw: FAILURE - Access denied: " in last_report(case)
    assert "p.raw: FAILURE - Access denied: " in last_report(case, "PRID002")
    faulty_proxy.clear()

    # when
    second = run_cli("apply", plan)

    # then all is well, the old reports are kept, and only what had failed was fetched
    assert second.exit_code == 0, second.stderr
    assert case.unrestored() == []
    assert len(case.reports()) == 2
    assert len(case.reports("PRID002")) == 2
    assert faulty_proxy.requests("GET", "sample.d") == []


# --- the plan and nothing else


def test_apply_should_need_neither_catalog_nor_config(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    case = make_restore_case(thermo())
    plan = compile_plan(run_cli, case)
    case.export_path.unlink()
    case.config_path.unlink()

    assert run_cli("apply", plan).exit_code == 0
    assert case.unrestored() == []


def test_apply_should_report_what_compile_could_not_resolve(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    # given a batch of present and absent files, and one without a project
    case = make_restore_case(thermo(), thermo("orphan.raw"))
    case.documents[1]["project_id"] = None
    case.write_catalog()
    plan = compile_plan(run_cli, case, "sample.raw", "absent.raw", "orphan.raw")

    # when
    result = run_cli("apply", plan)

    # then the rest is restored, and those without a destination are reported at the output location
    assert result.exit_code == 1
    assert (case.destination() / "sample.raw").exists()
    (report,) = case.output_location.glob("_download_status_batch_*.txt")
    text = report.read_text(encoding="utf-8")
    assert "Raw File: absent.raw\nProject ID: -\nS3 Bucket: -\nFiles: 0\n\nERROR: RawFile not found in the cat" in text
    assert "Raw File: orphan.raw" in text
    assert "Failed raw files: 2\nStatus: FAILURE" in text
    assert "Status: SUCCESS" in last_report(case)


def test_entries_with_one_destination_and_one_etag_should_be_restored_once_and_reported_twice(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    case = make_restore_case(thermo(size_bytes=1000), endpoint_url=faulty_proxy.endpoint_url)
    document = json.loads(compile_plan(run_cli, case).read_bytes())
    del document["plan_digest"]
    document["raw_files"]["again"] = document["raw_files"]["sample.raw"]

    result = run_cli("apply", "-", stdin=json.dumps(document))

    assert result.exit_code == 0, result.stderr
    assert last_report(case).count("sample.raw: OK - Downloaded and verified") == 2
    assert len(faulty_proxy.requests("GET", "sample.raw")) == 1


def test_expect_digest_should_refuse_any_other_plan(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    # given
    case = make_restore_case(thermo())
    plan = compile_plan(run_cli, case)
    digest = json.loads(plan.read_bytes())["plan_digest"]

    # when / then
    refused = run_cli("apply", plan, "--expect-digest", "sha256:" + "0" * 64)
    assert refused.exit_code == 2
    assert digest in refused.stderr
    assert list(case.output_location.iterdir()) == []
    assert run_cli("apply", plan, "--expect-digest", digest).exit_code == 0


def test_a_plan_that_was_changed_should_be_refused_until_it_is_sealed(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    # given
    case = make_restore_case(thermo(), thermo("second.raw"))
    plan = compile_plan(run_cli, case)
    document = json.loads(plan.read_bytes())
    del document["raw_files"]["second.raw"]
    plan.write_text(json.dumps(document), encoding="utf-8")

    # when / then
    refused = run_cli("apply", plan)
    assert refused.exit_code == 2
    assert "kraken-plan seal" in refused.stderr
    assert list(case.output_location.iterdir()) == []
    assert run_cli("seal", plan).exit_code == 0
    assert run_cli("apply", plan).exit_code == 0
    assert case.unrestored() == ["PRID001/second.raw"]


def test_output_root_should_move_every_destination(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    case = make_restore_case(thermo(), thermo("p.raw", "PRID002"))
    plan = compile_plan(run_cli, case)
    root = case.folder / "elsewhere"
    root.mkdir()

    result = run_cli("apply", plan, "--output-root", root)

    assert result.exit_code == 0, result.stderr
    assert (root / "PRID001" / "sample.raw").read_bytes() == case.raw_files[0].contents["sample.raw"]
    assert (root / "PRID002" / "p.raw").exists()
    assert list(case.output_location.iterdir()) == []
    digest = json.loads(plan.read_bytes())["plan_digest"]
    assert f"Plan: {digest}" in next((root / "PRID001").glob("_download*")).read_text(encoding="utf-8")


def test_dry_run_should_say_what_would_be_done_and_change_nothing(
    run_cli: Cli, make_restore_case: MakeRestoreCase, s3: "S3Client"
) -> None:
    # given a right, a wrong, an absent and an impossible file
    case = make_restore_case(*(thermo(f"{name}.raw", size_bytes=100) for name in ("right", "wrong", "absent", "gone")))
    plan = compile_plan(run_cli, case)
    destination = case.destination()
    destination.mkdir()
    shutil.copy(case.folder / "source" / "0" / "right.raw", destination)
    (destination / "wrong.raw").write_bytes(b"wrong")
    s3.delete_object(Bucket=case.bucket(), Key="gone.raw")

    # when
    result = run_cli("apply", plan, "--dry-run")

    # then
    assert result.exit_code == 1
    sums, to_do = result.stdout.splitlines()[:2]
    assert sums == "4 entries: 1 verified, 1 failed, 0 unresolvable, 2 not attempted"
    assert to_do.startswith("To do: 1 to download, 1 to heal; ")
    assert [name for name in case.raw_file_ids if name in result.stdout] == ["wrong.raw", "absent.raw", "gone.raw"]
    assert sorted(path.name for path in case.output_location.rglob("*")) == ["PRID001", "right.raw", "wrong.raw"]


def test_results_should_hold_a_line_for_each_entry(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    case = make_restore_case(thermo(size_bytes=1000))
    plan = compile_plan(run_cli, case, "sample.raw", "absent.raw")

    run_cli("apply", plan, "--results", case.folder / "results.jsonl", "--no-report")

    head, *lines, summary = map(json.loads, (case.folder / "results.jsonl").read_text(encoding="utf-8").splitlines())
    assert head["plan_digest"] == json.loads(plan.read_bytes())["plan_digest"]
    by_id = {line["raw_file_id"]: line for line in lines}
    assert by_id["sample.raw"]["outcome"] == "downloaded"
    assert by_id["sample.raw"]["size_bytes"] == 1000
    assert by_id["absent.raw"]["relative_path"] is None
    assert by_id["absent.raw"]["message"] == "RawFile not found in the catalog"
    assert (summary["verified"], summary["unresolvable"], summary["entries"]) == (1, 1, 2)
    assert (summary["exit_code"], summary["fetched_bytes"], summary["options"]) == (1, 1000, head["options"])
    assert head["options"] == [f"--results {case.folder / 'results.jsonl'}", "--no-report"]
    assert list(case.output_location.rglob("_download*")) == []


def test_one_job_should_do_as_well_as_many(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    case = make_restore_case(thermo(), bruker())

    assert run_cli("apply", compile_plan(run_cli, case), "--jobs", "1").exit_code == 0
    assert case.unrestored() == []


def test_very_verbose_apply_should_log_each_files_way_and_every_request(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo())

    result = run_cli("-vv", "apply", compile_plan(run_cli, case))

    place = f"s3://{case.bucket()}/sample.raw"
    assert f"sample.raw: start, {place}" in result.stderr
    assert re.search(rf"DEBUG applier\.s3\.\w+: GET {place} from byte 0: answered after ", result.stderr)
    assert "sample.raw: S3 pre-check passed with the download, If-Match " in result.stderr
    assert "sample.raw: verified as read back, etag " in result.stderr
    assert "sample.raw: downloaded, 12.0 MiB in " in result.stderr


def test_apply_should_load_what_it_needs_and_no_more(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    """Loading is most of a short run's time, and boto3 with its model of S3 a third of it."""
    # given a model of S3 with which no client of botocore can be made
    case = make_restore_case(thermo(size_bytes=100))
    plan = compile_plan(run_cli, case)
    model = run_cli.folder / ".aws" / "models" / "s3" / "2006-03-01" / "service-2.json"
    model.parent.mkdir(parents=True)
    model.write_text("{}", encoding="ascii")

    # when
    result = run_cli("apply", plan, environment={"PYTHONPROFILEIMPORTTIME": "1"})

    # then
    assert result.exit_code == 0
    assert case.unrestored() == []
    loaded = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert {"botocore.session", "obstore"} <= loaded
    assert loaded & {"boto3", "tenacity", "tqdm", "jsonschema", "pymongo", "yaml"} == set()
