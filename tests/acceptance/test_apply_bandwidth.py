"""`apply --max-bandwidth`, on a real S3 server, by obstore and by boto3."""

import json
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from apply_case import bruker, compile_plan, last_report, left_staged, thermo
from cli import Cli
from conftest import MakeRestoreCase
from faulty_proxy import FaultyProxy
from restore_case import RestoreCase
from sample_data import MIB
from waiting import wait_for

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BY_BOTO3 = "a//b"  # a key that obstore cannot address
SIZE_BYTES = 6 * MIB


@pytest.fixture
def case(make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy) -> RestoreCase:
    """Two files of 6 MiB."""
    raw_files = [thermo(name, size_bytes=SIZE_BYTES) for name in ("obstore.raw", "boto3.raw")]
    return make_restore_case(*raw_files, endpoint_url=faulty_proxy.endpoint_url)


@pytest.fixture
def plan(run_cli: Cli, case: RestoreCase, s3: "S3Client") -> Path:
    """A plan by which boto3.raw is fetched by boto3."""
    plan = compile_plan(run_cli, case)
    document = json.loads(plan.read_bytes())
    del document["plan_digest"]
    file = document["raw_files"]["boto3.raw"]["files"][0]
    s3.put_object(Bucket=case.bucket(), Key=BY_BOTO3, Body=case.raw_files[1].contents["boto3.raw"])
    file |= {"s3_key": BY_BOTO3, "expected_etag": s3.head_object(Bucket=case.bucket(), Key=BY_BOTO3)["ETag"].strip('"')}
    plan.write_text(json.dumps(document), encoding="utf-8")
    return plan


def asked_bytes(proxy: FaultyProxy, key: str) -> list[int]:
    """How many bytes each GET asked for."""
    ranges = [exchange.request.range.removeprefix("bytes=").split("-") for exchange in proxy.requests("GET", key)]
    return [int(last) - int(first) + 1 for first, last in ranges]


def test_a_limit_should_hold_over_all_files_and_both_libraries(
    run_cli: Cli, case: RestoreCase, plan: Path, faulty_proxy: FaultyProxy
) -> None:
    begun = time.monotonic()
    result = run_cli("apply", plan, "--max-bandwidth", "2M")
    duration_seconds = time.monotonic() - begun

    # then all is restored, in requests of a quarter of a second, and not before the limit lets it
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert asked_bytes(faulty_proxy, "obstore.raw") == [MIB // 2] * 12
    assert asked_bytes(faulty_proxy, BY_BOTO3) == [MIB // 2] * 12
    assert duration_seconds > 2 * SIZE_BYTES / (2 * MIB) - 1


def test_a_limit_so_low_that_turns_are_farther_apart_than_the_timeout_should_fail_nothing(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given 16 files of two requests each, four seconds apart, and no second attempt
    raw_files = [thermo(f"{number}.raw", size_bytes=4100) for number in range(16)]
    case = make_restore_case(*raw_files, endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)

    # when
    result = run_cli("apply", plan, "--max-bandwidth", "16K", "--jobs", "16", "--timeout", "3", "--retries", "0")

    # then
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert sorted(asked_bytes(faulty_proxy, ".raw")) == [4] * 16 + [4096] * 16


def test_an_interruption_should_not_wait_for_the_limit(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given 13 files that get a byte in turn, one a second
    case = make_restore_case(bruker(), endpoint_url=faulty_proxy.endpoint_url)
    process = run_cli.start("apply", compile_plan(run_cli, case), "--max-bandwidth", "1", "--jobs", "16")
    wait_for(lambda: len(faulty_proxy.requests("GET")) >= 2, "the first requests")

    # when
    process.send_signal(signal.SIGINT)
    result = run_cli.finish(process)

    # then every thread has ended in order: what was staged is gone
    assert result.exit_code == 130
    assert last_report(case).count("FAILURE - Not attempted (interrupted)") >= 13
    assert left_staged(case) == []


@pytest.mark.parametrize("rate", ["0", "-5M", "fast"])
def test_a_bandwidth_that_is_not_a_rate_should_be_refused(run_cli: Cli, rate: str) -> None:
    refused = run_cli("apply", "plan.json", "--max-bandwidth", rate)

    assert refused.exit_code == 2
    assert f"Invalid value for '--max-bandwidth': '{rate}' is not a rate" in refused.stderr
    assert "for example 200M" in refused.stderr
