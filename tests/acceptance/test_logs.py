"""What the log says, where it goes, and in which form."""

import json
import re
from typing import TYPE_CHECKING

import pytest
from apply_case import compile_plan, thermo
from cli import Cli, shell
from conftest import MakeRestoreCase
from faulty_proxy import FaultyProxy
from network_faults import Answer, Fault

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


def test_the_log_should_have_a_line_per_file_with_s3_credentials_and_retries(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, s3: "S3Client"
) -> None:
    # given a file whose first request fails, one that is there already, and one that is gone from S3
    case = make_restore_case(
        thermo(size_bytes=100), thermo("there.raw"), thermo("gone.raw"), endpoint_url=faulty_proxy.endpoint_url
    )
    plan = compile_plan(run_cli, case)
    case.destination().mkdir()
    (case.destination() / "there.raw").write_bytes(case.raw_files[1].contents["there.raw"])
    faulty_proxy.add(Fault(action=Answer(status=503), key="sample.raw", times=1))
    s3.delete_object(Bucket=case.bucket(), Key="gone.raw")
    url = re.escape(faulty_proxy.endpoint_url)
    place = rf"at {url} \(region [a-z0-9-]+, credentials: the environment, access key …\w+\)"

    # when
    result = run_cli("apply", plan, "-v", "--log-file", "apply.log")
    again = run_cli("apply", plan, "-q", "--log-file", "apply.log", "--log-format", "json")

    # then stderr has one of each, with the time and the module
    for words in (
        rf"INFO applier\.restore\.apply_plan: sample\.raw: downloaded, 100 B in .*, 1 retry; s3:.*/sample\.raw {place}",
        rf"INFO applier\.restore\.apply_plan: there\.raw: already right, 12\.0 MiB in .*; s3://.*/there\.raw {place}",
        rf"ERROR applier\.restore\.apply_plan: gone\.raw: FAILURE - S3 key not found: .*; s3://.*/gone\.raw {place}",
    ):
        assert len(re.findall(rf"^{STAMP} {words}$", result.stderr, re.MULTILINE)) == 1, result.stderr
    # and the file has the same and what was said, then, appended and in JSON, a line per file in spite of -q
    lines = (run_cli.folder / "apply.log").read_text(encoding="utf-8").splitlines()
    text = [line for line in lines if not line.startswith("{")]
    assert all(re.match(rf"{STAMP} (DEBUG|INFO|WARNING|ERROR) ", line) for line in text)
    assert sum("3 entries: 2 verified, 1 failed" in line for line in text) == 1
    records = [json.loads(line) for line in lines[len(text) :]]
    by_file = {record["file"]: record for record in records if "file" in record}
    assert (
        by_file["sample.raw"].items()
        >= {
            "level": "INFO",
            "logger": "applier.restore.apply_plan",
            "outcome": "skipped",
            "failure_kind": None,
            "size_bytes": 100,
            "retries": 0,
            "object": f"s3://{case.bucket()}/sample.raw",
        }.items()
    )
    assert by_file["gone.raw"]["failure_kind"] == "deleted"
    assert all(re.fullmatch(STAMP, record["time"]) for record in records)
    # and quietly, stderr has only the errors, in the form that was asked for
    said = [json.loads(line) for line in again.stderr.splitlines()]
    assert [record["level"] for record in said[:1]] == ["ERROR"]
    assert "gone.raw" in said[-1]["message"]
    assert len(said) == 2


def test_json_on_stderr_should_be_json_line_by_line_whatever_is_said(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    plan = compile_plan(run_cli, make_restore_case(thermo()))
    done = run_cli("apply", plan, "--log-format", "json", "--progress", "json")
    refused = run_cli("apply", "no\nsuch.json", "--log-format", "json")
    misused = run_cli("apply", plan, "--log-format", "json", "--jobs", "0")

    records = [json.loads(line) for line in done.stderr.splitlines()]
    progress = [record["progress"] for record in records if "progress" in record]
    assert progress[-1].items() >= {"entries": 1, "verified": 1, "failed": 0, "not_attempted": 0}.items()
    assert progress[-1]["has_ended"]
    assert progress[-1]["verified_bytes"] == progress[-1]["total_bytes"] == progress[-1]["fetched_bytes"]
    assert any(record.get("message", "").startswith("1 raw file, 1 entry: 1 verified") for record in records)
    assert (refused.exit_code, misused.exit_code) == (2, 2)
    assert [json.loads(line)["level"] for line in refused.stderr.splitlines()] == ["ERROR"]
    assert "--jobs" in json.loads(misused.stderr)["message"]


def test_the_log_should_name_no_modules_unless_asked(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    case = make_restore_case(thermo(size_bytes=100))
    plan = compile_plan(run_cli, case)
    case.destination().mkdir()
    (case.destination() / "sample.raw").write_bytes(b"corrupt")

    result = run_cli("apply", plan, "--progress", "none")

    healing = [line for line in result.stderr.splitlines() if "healing" in line]
    assert len(healing) == 1
    assert re.match(rf"{STAMP} WARNING sample\.raw: the local file is wrong", healing[0])


def test_a_log_file_that_cannot_be_written_should_be_refused(run_cli: Cli) -> None:
    refused = run_cli("apply", "plan.json", "--log-file", "no/such/folder/apply.log")
    assert refused.exit_code == 2
    assert "'--log-file': no/such/folder/apply.log cannot be written: No such file or directory" in refused.stderr


@pytest.mark.parametrize("begin", ["{\n", "\x01\xa1F", "BEGIN IONS\n", '{"results_version": '])
def test_a_file_that_is_not_a_log_should_not_become_one(run_cli: Cli, begin: str) -> None:
    other = run_cli.folder / "other"
    other.write_text(begin, encoding="latin-1")
    refused = run_cli("validate", "plan.json", "--log-file", other)
    assert refused.exit_code == 2
    assert "other: something that is not a log already exists there; it was left untouched" in refused.stderr
    assert other.read_text(encoding="latin-1") == begin


@pytest.mark.parametrize("begin", ["", "2026-11-29 02:10:11,123 INFO started\n", "[2026-11-29] started\n"])
def test_a_log_should_be_appended_to_whoever_began_it(run_cli: Cli, begin: str) -> None:
    log = run_cli.folder / "restore.log"
    log.write_text(begin, encoding="utf-8")
    for log_format in ("json", "text"):
        run_cli("validate", "none.json", "--log-file", log, "--log-format", log_format)
    text = log.read_text(encoding="utf-8")
    assert text.startswith(begin)
    assert text.count("there is no such plan file") == 2


def test_a_log_should_be_appended_to_a_stream_whatever_it_holds(run_cli: Cli) -> None:
    (run_cli.folder / "all.txt").write_text("begun\n", encoding="utf-8")
    run_cli("validate", "none.json", "--log-file", "/dev/stderr", under=shell('exec "$@" 2>>all.txt'))
    text = (run_cli.folder / "all.txt").read_text(encoding="utf-8")
    assert text.startswith("begun\n")
    assert text.count("there is no such plan file") == 2
