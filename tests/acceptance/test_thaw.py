"""`thaw` and `apply --wait-for-thaw`: what S3 has archived is asked for, waited for and restored.

Only moto plays archives; a proxy before it counts requests and gives the answers of AWS that moto does not.
"""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from apply_case import compile_plan, last_report, thermo
from archiving_s3 import ArchivingS3, archived_case
from cli import Cli
from conftest import MakeRestoreCase
from faulty_proxy import FaultyProxy
from network_faults import Answer, Fault, Rewrite
from restore_case import RestoreCase
from sample_data import MIB
from terminal import run_on_terminal
from waiting import wait_for

NAMES = ("cold.raw", "deep.raw", "under_way.raw", "restored.raw", "warm.raw", "here.raw")


@pytest.fixture
def case(archive: ArchivingS3, tmp_path: Path) -> RestoreCase:
    """Objects in every state of an archive; one of them is right on disk already."""
    case = archived_case(archive, tmp_path / "case", *(thermo(name, size_bytes=1000) for name in NAMES))
    for name in ("cold.raw", "under_way.raw", "restored.raw", "here.raw"):
        archive.archive(case.bucket(), name, "GLACIER")
    archive.archive(case.bucket(), "deep.raw", "DEEP_ARCHIVE")
    archive.request_restore(case.bucket(), "restored.raw", done=True)
    archive.request_restore(case.bucket(), "under_way.raw", done=False)
    case.destination().mkdir()
    (here,) = (sample for sample in case.raw_files if sample.raw_file_id == "here.raw")
    (case.destination() / "here.raw").write_bytes(here.contents["here.raw"])
    return case


@pytest.fixture
def proxy(archive: ArchivingS3) -> Iterator[FaultyProxy]:
    with FaultyProxy(archive.port) as proxy:
        yield proxy


def asked_for(proxy: FaultyProxy) -> list[str]:
    """The objects that S3 was asked to restore."""
    assert all("restore" in exchange.request.query for exchange in proxy.requests("POST"))
    return sorted(exchange.request.path.rpartition("/")[2] for exchange in proxy.requests("POST"))


def table(stdout: str) -> dict[tuple[str, str], tuple[str, str]]:
    """Files and size by state and archive, as the table says it."""
    rows = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in stdout.splitlines()[1:]]
    return {(row[0], row[1]): (row[2], row[3]) for row in rows if len(row) > 3}


def test_thaw_should_ask_for_what_is_archived_and_needed_and_for_nothing_else(
    run_cli: Cli, archive: ArchivingS3, case: RestoreCase, proxy: FaultyProxy
) -> None:
    plan = compile_plan(run_cli, case)

    result = run_cli("thaw", plan, "--days", "3", "--yes", "--endpoint-url", proxy.endpoint_url)

    assert result.exit_code == 0, result.stderr
    assert asked_for(proxy) == ["cold.raw", "deep.raw"]
    assert table(result.stdout) == {
        ("ready", "-"): ("2", "2.0 KiB"),
        ("right already", "GLACIER"): ("1", "1,000 B"),
        ("under way", "GLACIER"): ("1", "1,000 B"),
        ("archived", "GLACIER"): ("1", "1,000 B"),
        ("archived", "DEEP_ARCHIVE"): ("1", "1,000 B"),
    }
    assert "3 to 5 hours" in result.stdout
    assert "up to 12 hours" in result.stdout
    assert result.stdout.endswith("6 files: 2 ready, 1 right already, 3 under way\n")
    assert "expiry-date" in archive.restore_header(case.bucket(), "cold.raw")
    assert archive.restore_header(case.bucket(), "here.raw") == ""
    assert [path.name for path in case.destination().iterdir()] == ["here.raw"]

    # and again: nothing is asked for twice
    proxy.clear()
    again = run_cli("thaw", plan, "--endpoint-url", proxy.endpoint_url)
    assert again.exit_code == 0, again.stderr
    assert asked_for(proxy) == []


def test_a_copy_that_has_expired_should_be_no_copy_for_any_command(
    run_cli: Cli, case: RestoreCase, proxy: FaultyProxy
) -> None:
    # given an S3 that still names the last day of a copy that is gone
    plan = compile_plan(run_cli, case)
    expired = 'ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"'
    proxy.add(Fault(action=Rewrite(headers={"x-amz-restore": expired}), method="HEAD", key="cold.raw"))
    todo = f"Archived in GLACIER: s3://{case.bucket()}/cold.raw: request a restore (kraken-plan thaw"

    # when / then
    for command in (["status"], ["apply", "--dry-run"]):
        assert todo in run_cli(*command, plan, "--endpoint-url", proxy.endpoint_url).stdout
    thawed = run_cli("thaw", plan, "--yes", "--endpoint-url", proxy.endpoint_url)
    assert asked_for(proxy) == ["cold.raw", "deep.raw"]
    assert thawed.stdout.endswith("6 files: 2 ready, 1 right already, 3 under way\n")


def test_an_answer_that_it_is_under_way_already_should_be_fine(
    run_cli: Cli, case: RestoreCase, proxy: FaultyProxy
) -> None:
    """As AWS answers where two people thaw at the same time."""
    plan = compile_plan(run_cli, case)
    proxy.add(
        Fault(action=Answer(status=409, code="RestoreAlreadyInProgress"), method="POST", key="cold"),
        Fault(action=Answer(status=200, body=b""), method="POST", key="deep"),
    )

    result = run_cli("thaw", plan, "--yes", "--endpoint-url", proxy.endpoint_url)

    assert result.exit_code == 0, result.stderr
    assert asked_for(proxy) == ["cold.raw", "deep.raw"]
    assert "3 under way" in result.stdout


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (
            403,
            "AccessDenied",
            "Access denied: s3://{}/cold.raw: S3 answered 403 AccessDenied (not permitted: s3:Restore",
        ),
        (
            503,
            "GlacierExpeditedRetrievalNotAvailable",
            "Archived in GLACIER: s3://{}/cold.raw: S3 has no capacity for ",
        ),
        (403, "InvalidObjectState", "Archived in GLACIER: s3://{}/cold.raw: S3 says that it cannot be restored from"),
        (501, "NotImplemented", "Archived in GLACIER: s3://{}/cold.raw: this S3 does not take requests to restore"),
    ],
)
def test_what_s3_refuses_to_restore_should_be_named_after_one_request_and_the_rest_asked_for(
    run_cli: Cli, case: RestoreCase, proxy: FaultyProxy, *, status: int, code: str, words: str
) -> None:
    plan = compile_plan(run_cli, case)
    proxy.add(Fault(action=Answer(status=status, code=code), method="POST", key="cold"))

    result = run_cli("thaw", plan, "--yes", "--endpoint-url", proxy.endpoint_url)

    assert result.exit_code == 1
    assert asked_for(proxy) == ["cold.raw", "deep.raw"]
    assert f"cannot  cold.raw: {words.format(case.bucket())}" in result.stdout
    assert result.stdout.endswith("6 files: 2 ready, 1 right already, 2 under way, 1 cannot\n")


def test_what_cannot_be_had_with_the_tier_should_be_named_and_not_asked_for(
    run_cli: Cli, case: RestoreCase, proxy: FaultyProxy
) -> None:
    plan = compile_plan(run_cli, case)

    result = run_cli("thaw", plan, "--tier", "Expedited", "--yes", "--endpoint-url", proxy.endpoint_url)

    assert result.exit_code == 1
    assert asked_for(proxy) == ["cold.raw"]
    why = f"s3://{case.bucket()}/deep.raw: cannot be restored with --tier Expedited: use Standard or Bulk"
    assert f"cannot  deep.raw: Archived in DEEP_ARCHIVE: {why}\n" in result.stdout
    assert "1 to 5 minutes" in result.stdout


@pytest.mark.parametrize(("archive_status", "asked"), [("ARCHIVE_ACCESS", True), ("DEEP_ARCHIVE_ACCESS", False)])
def test_the_archives_of_intelligent_tiering_should_be_thawed_too(
    run_cli: Cli, case: RestoreCase, proxy: FaultyProxy, *, archive_status: str, asked: bool
) -> None:
    """As AWS answers; no test server plays it."""
    plan = compile_plan(run_cli, case)
    headers = {"x-amz-storage-class": "INTELLIGENT_TIERING", "x-amz-archive-status": archive_status}
    proxy.add(
        Fault(action=Rewrite(headers=headers), method="HEAD", key="warm.raw"),
        Fault(action=Answer(status=202, body=b""), method="POST", key="warm.raw"),
    )

    result = run_cli("thaw", plan, "--tier", "expedited", "--yes", "--endpoint-url", proxy.endpoint_url)

    assert ("warm.raw" in asked_for(proxy)) is asked
    assert "INTELLIGENT_TIERING" not in result.stdout
    assert (("archived" if asked else "cannot"), archive_status) in table(result.stdout)


@pytest.mark.parametrize(
    ("headers", "named"),
    [({"x-amz-storage-class": "CLOUDTIER"}, "CLOUDTIER"), ({"x-amz-storage-class": None}, "a cold storage class")],
)
def test_what_s3_keeps_in_an_archive_of_its_own_should_not_be_called_ready(
    run_cli: Cli, case: RestoreCase, proxy: FaultyProxy, *, headers: dict[str, str | None], named: str
) -> None:
    """As Ceph does, for one, where it moves objects to a cloud."""
    plan = compile_plan(run_cli, case)
    proxy.add(Fault(action=Rewrite(headers=headers), method="HEAD", key="(cold|here).raw"))

    result = run_cli("thaw", plan, "--yes", "--endpoint-url", proxy.endpoint_url)

    assert result.exit_code == 1
    assert asked_for(proxy) == ["deep.raw"]
    todo = "its storage class is not one that thaw can restore: have it restored by hand, then apply again"
    assert f"cannot  cold.raw: Archived in {named}: s3://{case.bucket()}/cold.raw: {todo}\n" in result.stdout
    assert result.stdout.endswith("6 files: 2 ready, 1 right already, 2 under way, 1 cannot\n")


def test_an_object_that_is_not_the_planned_one_should_not_be_thawed(
    run_cli: Cli, archive: ArchivingS3, case: RestoreCase, proxy: FaultyProxy
) -> None:
    plan = compile_plan(run_cli, case)
    archive.client.put_object(Bucket=case.bucket(), Key="cold.raw", Body=b"another", StorageClass="GLACIER")
    archive.client.delete_object(Bucket=case.bucket(), Key="deep.raw")

    result = run_cli("thaw", plan, "--yes", "--endpoint-url", proxy.endpoint_url)

    assert result.exit_code == 1
    assert asked_for(proxy) == []
    assert "cannot  cold.raw: S3 " in result.stdout
    assert "cannot  deep.raw: S3 key not found: " in result.stdout


def test_without_a_terminal_nothing_should_be_asked_of_s3_unless_the_command_line_says_yes(
    run_cli: Cli, case: RestoreCase, proxy: FaultyProxy
) -> None:
    plan = compile_plan(run_cli, case)

    result = run_cli("thaw", plan, "--endpoint-url", proxy.endpoint_url)

    assert result.exit_code == 2
    assert asked_for(proxy) == []
    question = "Ask S3 to restore 2 files (2.0 KiB) with tier Standard, to keep the copies for 7 days?"
    assert question in result.stderr
    assert "--yes" in result.stderr
    assert ("archived", "GLACIER") in table(result.stdout)


@pytest.mark.parametrize(
    ("answer", "exit_code", "asked"),
    [
        ("y\n", 0, ["cold.raw", "deep.raw"]),
        ("n\n", 2, []),
        ("\n", 2, []),
        ("\x04", 2, []),  # Ctrl-D
        (signal.SIGINT, 130, []),
    ],
)
def test_on_a_terminal_s3_should_be_asked_after_a_yes(
    run_cli: Cli, case: RestoreCase, proxy: FaultyProxy, *, answer: str | int, exit_code: int, asked: list[str]
) -> None:
    plan = compile_plan(run_cli, case)

    result = run_on_terminal(run_cli, "thaw", plan, "--endpoint-url", proxy.endpoint_url, answer=answer)

    assert result.exit_code == exit_code, result.stderr
    assert asked_for(proxy) == asked
    if not asked:
        assert "S3 was asked for nothing" in result.stderr


def test_wait_should_come_back_when_everything_can_be_read(
    run_cli: Cli, archive: ArchivingS3, case: RestoreCase
) -> None:
    # given
    plan = compile_plan(run_cli, case)
    archive.take_looks_for_restores(2)

    # when
    result = run_cli("thaw", plan, "--yes", "--wait")

    # then
    assert result.exit_code == 0, result.stderr
    assert result.stdout.endswith("6 files: 5 ready, 1 right already\n")
    assert "under way; waiting\n" in result.stderr
    applied = run_cli("apply", plan)
    assert applied.exit_code == 0, applied.stderr
    assert case.unrestored() == []


def test_a_wait_should_end_in_time_and_say_what_is_not_ready(run_cli: Cli, case: RestoreCase) -> None:
    plan = compile_plan(run_cli, case)

    result = run_cli("thaw", plan, "--yes", "--wait", "--max-wait", "2s", timeout_seconds=40)

    assert result.exit_code == 1
    assert " under way\n" in result.stdout


def test_ctrl_c_should_end_a_wait(run_cli: Cli, case: RestoreCase, proxy: FaultyProxy) -> None:
    plan = compile_plan(run_cli, case)
    process = run_cli.start("thaw", plan, "--yes", "--wait", "--endpoint-url", proxy.endpoint_url)
    wait_for(lambda: proxy.requests("POST"), "the request to restore")

    process.send_signal(signal.SIGINT)
    result = run_cli.finish(process, timeout_seconds=20)

    assert result.exit_code == 130


def test_a_thaw_on_an_s3_without_archives_should_find_everything_ready(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo(size_bytes=1000))
    plan = compile_plan(run_cli, case, "sample.raw")

    result = run_cli("thaw", plan, "--wait")

    assert result.exit_code == 0, result.stderr
    assert result.stdout.endswith("1 file: 1 ready\n")


def test_what_the_plan_left_out_should_be_said(run_cli: Cli, archive: ArchivingS3, case: RestoreCase) -> None:
    # given a plan that was probed, which has an error in place of a missing file, and notes of archived ones
    warm = archive.client.head_object(Bucket=case.bucket(), Key="warm.raw")
    archive.client.delete_object(Bucket=case.bucket(), Key="warm.raw", VersionId=warm["VersionId"])
    probed = case.folder / "probed.json"
    arguments: list[str | Path] = [
        "--catalog",
        case.export_path,
        "--config",
        case.config_path,
        "--probe-s3",
        "-o",
        probed,
    ]
    assert run_cli("compile", *case.raw_file_ids, *arguments).exit_code == 1

    result = run_cli("thaw", probed, "--yes")

    assert result.exit_code == 0, result.stderr
    assert "left out, because the plan could not resolve them: 1 file\n" in result.stderr
    assert json.loads(probed.read_bytes())["raw_files"]["cold.raw"]["files"][0]["notes"]


# --- apply --wait-for-thaw


def lines_of(report: str, name: str) -> list[str]:
    return [line for line in report.splitlines() if line.startswith(f"{name}: ")]


def test_apply_should_restore_what_is_ready_and_then_the_rest_as_it_is_thawed(
    run_cli: Cli, archive: ArchivingS3, case: RestoreCase
) -> None:
    # given a file of many parts among those under way
    plan = compile_plan(run_cli, case)
    for name in ("cold.raw", "deep.raw"):
        archive.request_restore(case.bucket(), name, done=False)
    results = run_cli.folder / "results.jsonl"

    # when
    process = run_cli.start("apply", plan, "--wait-for-thaw", "--results", results)
    wait_for((case.destination() / "warm.raw").exists, "what is ready")
    wait_for((case.destination() / "restored.raw").exists, "what is ready")
    assert sorted(case.unrestored()) == [f"PRID001/{name}" for name in ("cold.raw", "deep.raw", "under_way.raw")]
    assert process.poll() is None
    archive.take_looks_for_restores(1)
    result = run_cli.finish(process)

    # then
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    report = last_report(case)
    assert "Successful files: 6\nFailed files: 0\n" in report
    for name in ("cold.raw", "deep.raw", "under_way.raw"):
        (line,) = lines_of(report, name)
        assert line.startswith(f"{name}: OK - Downloaded and verified (")
    written = [
        json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()[1:-1]
    ]  # less head and summary
    assert sorted(line["relative_path"] for line in written) == sorted(NAMES)


def test_a_wait_for_thaw_that_ends_in_vain_should_report_the_files_as_archived_once(
    run_cli: Cli, case: RestoreCase
) -> None:
    plan = compile_plan(run_cli, case)
    results = run_cli.folder / "results.jsonl"

    result = run_cli("apply", plan, "--wait-for-thaw", "--max-wait", "3s", "--results", results)

    # what nobody has asked S3 for is not waited for, and neither is what is not done in time
    assert result.exit_code == 1
    assert "waiting for 1 file that S3 is thawing" in result.stderr
    report = last_report(case)
    (line,) = lines_of(report, "under_way.raw")
    assert line.startswith("under_way.raw: FAILURE - Archived in GLACIER: s3://")
    assert line.endswith("its restore is under way, apply again when it is done")
    (line,) = lines_of(report, "cold.raw")
    assert line.endswith("request a restore (kraken-plan thaw, or aws s3api restore-object), then apply again")
    assert result.stderr.count("under_way.raw: FAILURE") == 1
    written = [
        json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()[1:-1]
    ]  # less head and summary
    kinds = {line["relative_path"]: line["failure_kind"] for line in written if line["failure_kind"]}
    assert kinds == {"under_way.raw": "thawing", "cold.raw": "archived", "deep.raw": "archived"}
    assert len(written) == len(NAMES)

    # and these results can be read again
    reported = run_cli("report", "--plan", plan, results)
    assert reported.exit_code == 1, reported.stderr
    assert line in last_report(case)
    assert run_cli("select", plan, "--failed", results, "-o", "rest.json").exit_code == 0


def test_ctrl_c_should_end_a_wait_for_thaw_with_reports(run_cli: Cli, case: RestoreCase) -> None:
    plan = compile_plan(run_cli, case)
    process = run_cli.start("apply", plan, "--wait-for-thaw")
    wait_for((case.destination() / "warm.raw").exists, "what is ready")

    process.send_signal(signal.SIGINT)
    result = run_cli.finish(process, timeout_seconds=20)

    assert result.exit_code == 130
    (line,) = lines_of(last_report(case), "under_way.raw")
    assert line.startswith("under_way.raw: FAILURE - ")


def test_a_corrupt_file_whose_object_is_thawed_meanwhile_should_be_healed(
    run_cli: Cli, archive: ArchivingS3, case: RestoreCase
) -> None:
    # given
    plan = compile_plan(run_cli, case)
    (case.destination() / "under_way.raw").write_bytes(b"x" * 1000)

    # when
    process = run_cli.start("apply", plan, "--wait-for-thaw")
    wait_for((case.destination() / "under_way.raw.corrupted").exists, "the first attempt")
    archive.take_looks_for_restores(1)
    result = run_cli.finish(process)

    # then no bytes are lost, and the report says where they are
    assert result.exit_code == 1  # two are archived
    (line,) = lines_of(last_report(case), "under_way.raw")
    assert line.startswith(
        "under_way.raw: OK - Self-healed (hash mismatch detected, re-downloaded; "
        "corrupt file kept as under_way.raw.corrupted)"
    )
    assert sorted(case.unrestored()) == ["PRID001/cold.raw", "PRID001/deep.raw"]


def test_a_file_of_many_parts_should_be_waited_for_too(run_cli: Cli, archive: ArchivingS3, tmp_path: Path) -> None:
    # given an object that is asked about before any of its bytes are
    case = archived_case(archive, tmp_path / "large", thermo("large.raw", size_bytes=MIB))
    archive.archive(case.bucket(), "large.raw", "GLACIER")
    archive.request_restore(case.bucket(), "large.raw", done=False)
    plan = compile_plan(run_cli, case)
    process = run_cli.start("apply", plan, "--wait-for-thaw")
    wait_for(case.destination().exists, "the first attempt")

    # when
    archive.take_looks_for_restores(1)
    result = run_cli.finish(process)

    # then
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []


def test_only_thaw_should_ask_s3_to_do_anything(run_cli: Cli, case: RestoreCase, proxy: FaultyProxy) -> None:
    plan = compile_plan(run_cli, case)

    run_cli("status", plan, "--endpoint-url", proxy.endpoint_url)
    run_cli("apply", plan, "--wait-for-thaw", "--max-wait", "0", "--endpoint-url", proxy.endpoint_url)

    assert {exchange.request.method for exchange in proxy.log} == {"GET", "HEAD"}
