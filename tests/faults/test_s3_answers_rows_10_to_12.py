"""Rows 10 to 12: what S3 says of an object, each by its own name, and objects that change while they are read."""

import json
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest
from apply_case import assert_failed, assert_no_s3, bruker, compile_plan, last_report, thermo
from cli import Cli
from conftest import MakeRestoreCase
from fault_case import assert_old_or_right, many_files, plant_old_files
from faulty_proxy import FaultyProxy
from network_faults import Answer, Fault, Stall, other_etag
from raw_server import RawServer
from restore_case import raw_file
from sample_data import MIB
from versions import purge_older_versions
from waiting import wait_for

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DENIED = Answer(status=403, code="AccessDenied")


# --- row 10


@pytest.mark.parametrize("old", [False, True], ids=["absent", "old"])
def test_what_s3_says_of_one_object_should_be_told_by_its_own_name_and_cost_one_file_row_10(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, s3: "S3Client", *, old: bool
) -> None:
    # given a key that is gone, one with a delete marker, one that is denied, and a good one
    case = make_restore_case(many_files(4), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    gone, marked, denied = (f"many.d/00{number}" for number in range(3))
    version = s3.head_object(Bucket=case.bucket(), Key=gone)["VersionId"]
    s3.delete_object(Bucket=case.bucket(), Key=gone, VersionId=version)
    s3.delete_object(Bucket=case.bucket(), Key=marked)
    purge_older_versions(s3, case.bucket(), marked)
    faulty_proxy.add(Fault(action=DENIED, key=denied))
    before = plant_old_files(case) if old else {}

    # when
    result = run_cli("apply", plan)

    # then nothing was asked for twice but to learn why a HEAD was denied
    url = f"s3://{case.bucket()}"
    advice = "missing, or not permitted to these credentials: s3:GetObject, s3:ListBucket"
    assert_failed(
        result,
        case,
        f"{gone}: FAILURE - S3 key not found: {url}/{gone}\n",
        f"{marked}: FAILURE - S3 key not found: {url}/{marked}\n",
        f"{denied}: FAILURE - Access denied: {url}/{denied}: S3 answered 403 AccessDenied ({advice})\n",
        "many.d/003: OK - ",
    )
    assert_old_or_right(case, result.exit_code, before)
    assert case.unrestored() == [f"PRID001/{key}" for key in (gone, marked, denied)]
    for key in (gone, marked, denied):
        asked = [exchange for exchange in faulty_proxy.log if key in exchange.request.path]
        assert 1 <= len(asked) <= 2


def test_a_missing_bucket_should_be_told_once_per_raw_file_and_none_of_its_files_tried_row_10(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given
    case = make_restore_case(bruker(), thermo("p.raw", "PRID002"), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    plan.write_text(plan.read_text(encoding="utf-8").replace(case.bucket(), "no-such-bucket"), encoding="utf-8")
    assert run_cli("seal", plan).exit_code == 0

    # when
    result = run_cli("apply", plan)

    # then
    lines = ("ERROR: S3 bucket does not exist: no-such-bucket\n", "Failed raw files: 1\nStatus: FAILURE\n")
    assert_failed(result, case, *lines)
    assert "f3.xml" not in last_report(case)
    assert [exchange.request.path for exchange in faulty_proxy.requests("GET", "no-such-bucket")] == ["/no-such-bucket"]
    assert case.unrestored() == [f"PRID001/{path}" for path in case.raw_files[0].contents]


def test_a_wrong_secret_key_should_be_refused_at_the_start_row_10(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given 20 files that are absent
    files = {f"s.d/{number}": (bytes([number]) * 100, 5) for number in range(20)}
    case = make_restore_case(raw_file("s.d", files), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)

    # when
    result = run_cli("apply", plan, environment={"AWS_SECRET_ACCESS_KEY": "wrong" * 8})

    # then
    assert_no_s3(result, case, "Access denied: ", "SignatureDoesNotMatch")
    assert [exchange for exchange in faulty_proxy.log if "/s.d/" in exchange.request.path] == []


def test_a_bucket_that_denies_everything_should_not_be_asked_for_every_file_row_10(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given
    case = make_restore_case(many_files(200), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    faulty_proxy.add(Fault(action=DENIED, key="many.d/"))

    # when
    result = run_cli("apply", plan, "--jobs", "16")

    # then 50 denials, what was under way by then, and now and then one that may be allowed
    assert_failed(result, case, "Successful files: 0\nFailed files: 200\nStatus: FAILURE\n")
    assert last_report(case).count("FAILURE - Access denied: ") == 200
    assert "was not asked for, as 5" in last_report(case)
    assert 50 <= len(faulty_proxy.requests("GET", "many.d/")) <= 50 + 16 + 200 // 50
    assert len(case.unrestored()) == 200


def test_a_wrong_clock_should_be_named_before_any_file_is_tried_row_10(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    case = make_restore_case(thermo(size_bytes=100), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    faulty_proxy.add(Fault(action=Answer(status=403, code="RequestTimeTooSkewed")))

    result = run_cli("apply", plan)

    assert_no_s3(result, case, "Access denied: ", "RequestTimeTooSkewed (this machine's clock is wrong: set it")
    assert [exchange for exchange in faulty_proxy.log if "sample.raw" in exchange.request.path] == []


def test_credentials_that_expire_should_end_the_run_soon_row_10(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given credentials that are good for 30 requests, and files of which every other is to be healed
    case = make_restore_case(many_files(200), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    before = dict(list(plant_old_files(case).items())[::2])
    for path in case.destination().rglob("*"):
        if path.is_file() and path not in before:
            path.unlink()
    faulty_proxy.add(Fault(action=Answer(status=400, code="ExpiredToken"), key="many.d/", skip=30))

    # when
    result = run_cli("apply", plan, "--jobs", "8")

    # then
    assert_failed(result, case, "ExpiredToken (the credentials have expired: log in again, then apply again)\n")
    assert_old_or_right(case, result.exit_code, before)
    failed = len(case.unrestored())
    assert 170 <= failed < 200
    assert last_report(case).count("FAILURE - Access denied: ") == failed
    assert len(faulty_proxy.log) < 100


# --- row 11


@pytest.mark.parametrize("local", [None, b"what was there before"])
def test_a_tampered_object_should_be_told_and_the_local_file_left_alone_row_11(
    run_cli: Cli, make_restore_case: MakeRestoreCase, s3: "S3Client", faulty_proxy: FaultyProxy, local: bytes | None
) -> None:
    # given
    case = make_restore_case(thermo(), thermo("good.raw"), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    s3.put_object(Bucket=case.bucket(), Key="sample.raw", Body=b"tampered")
    purge_older_versions(s3, case.bucket(), "sample.raw")
    path = case.destination() / "sample.raw"
    path.parent.mkdir()
    if local is not None:
        path.write_bytes(local)

    # when
    result = run_cli("apply", plan)

    # then both etags are named, nothing of it was fetched, and the other file is restored
    expected = json.loads(plan.read_bytes())["raw_files"]["sample.raw"]["files"][0]["expected_etag"]
    found = s3.head_object(Bucket=case.bucket(), Key="sample.raw")["ETag"].strip('"')
    line = f"S3 corruption detected (etag mismatch: S3 {found}, expected {expected})"
    assert_failed(result, case, f"sample.raw: FAILURE - {line}\n", "good.raw: OK - Downloaded", "PARTIAL FAILURE")
    assert (path.read_bytes() if path.exists() else None) == local
    assert {exchange.status for exchange in faulty_proxy.requests("GET", "sample.raw")} <= {412}


# --- row 12


@pytest.mark.parametrize("size_mb", [36, 12])
def test_an_object_overwritten_between_two_ranges_should_never_be_mixed_row_12(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, s3: "S3Client", size_mb: int
) -> None:
    # given a download whose first range is on its way
    case = make_restore_case(thermo(size_bytes=size_mb * MIB), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    faulty_proxy.add(Fault(action=Stall(seconds=1, after=1000), key="sample.raw", method="GET", times=1))
    process = run_cli.start("apply", plan, "--jobs", "1")
    wait_for(lambda: faulty_proxy.requests("GET", "sample.raw"), "the first range")

    # when
    s3.put_object(Bucket=case.bucket(), Key="sample.raw", Body=bytes(size_mb * MIB))
    result = run_cli.finish(process)

    # then; of a file of up to 32 MiB S3 is asked once more what it has
    said = "Download verification failed (s3://" if size_mb > 32 else "S3 object was overwritten (etag mismatch: S3 "
    assert_failed(result, case, f"sample.raw: FAILURE - {said}")
    assert ("changed during the download" in last_report(case)) is (size_mb > 32)
    assert [exchange.status for exchange in faulty_proxy.requests("GET", "sample.raw")] == [206, 412]
    assert not (case.destination() / "sample.raw").exists()


def test_an_answer_with_another_etag_should_not_be_mixed_in_row_12(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given an object whose ETag has changed when its second part is asked for
    case = make_restore_case(thermo(), endpoint_url=faulty_proxy.endpoint_url)
    faulty_proxy.add(Fault(action=other_etag(), key="sample.raw", method="GET", skip=1))

    # when
    result = run_cli("apply", compile_plan(run_cli, case))

    # then
    assert_failed(result, case, "changed during the download")
    assert case.unrestored() == ["PRID001/sample.raw"]


def test_a_denial_that_is_not_s3s_should_be_told_as_that_of_a_portal_in_between_row_10(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    # given
    case = make_restore_case(thermo(size_bytes=10))
    plan = compile_plan(run_cli, case)
    page = b"<html>blocked</html>"
    blocked = b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(page), page)
    with RawServer(defaultdict(lambda: blocked)) as portal:
        # when
        result = run_cli("apply", plan, "--endpoint-url", portal.url(""))

    # then
    assert result.exit_code == 1
    said = "is a proxy, web filter or portal in between?"
    assert f"bucket {case.bucket()}: the answer (403) is not in S3's words: {said}" in result.stderr
    assert "s3:GetObject, s3:ListBucket; or refused by a proxy or portal in between)" in last_report(case)
