"""Rows 14 to 17: etags that are not made of the bytes, and bytes that are not those of the etag."""

import itertools
import json
from typing import Any

import pytest
from apply_case import assert_failed, compile_plan, last_report, left_staged, thermo
from cli import Cli
from conftest import MakeRestoreCase
from fault_case import assert_old_or_right, final_paths, many_files, plant_old_files, whole_object
from faulty_proxy import FaultyProxy
from network_faults import Action, Answer, Cut, Drip, Fault, Flip, Reset, Rewrite, Stall, other_etag
from restore_case import RestoreCase
from sample_data import MIB

KMS = {"x-amz-server-side-encryption": "aws:kms"}
MADE_UP_ETAG = "0123456789abcdef0123456789abcdef"


def unsealed(case: RestoreCase, run_cli: Cli) -> Any:  # noqa: ANN401  # JSON to be changed at will
    """The case's plan without its digest, which nobody asks for then."""
    document = json.loads(compile_plan(run_cli, case).read_bytes())
    del document["plan_digest"]
    return document


# --- row 14


@pytest.mark.parametrize("old", [False, True], ids=["absent", "old"])
def test_etags_that_are_not_made_of_the_bytes_should_be_told_after_one_attempt_row_14(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, *, old: bool
) -> None:
    # given a clone's etag, an object encrypted since by SSE-KMS, one whose etag of SSE-KMS is in the plan, and SSE-C
    case = make_restore_case(many_files(5), endpoint_url=faulty_proxy.endpoint_url)
    document = unsealed(case, run_cli)
    clone, kms, planned_kms, customer_key = (f"many.d/00{number}" for number in range(4))
    document["raw_files"]["many.d"]["files"][2]["expected_etag"] = MADE_UP_ETAG
    content = case.raw_files[0].contents[planned_kms]
    faulty_proxy.add(
        Fault(action=other_etag("0x8DB5C2F3E1A2B3C"), key=clone),
        Fault(action=Rewrite(headers={"ETag": f'"{MADE_UP_ETAG}"', **KMS}), key=kms),
        Fault(action=whole_object(content, MADE_UP_ETAG, **KMS), key=planned_kms),
        Fault(action=Answer(status=400, code="InvalidRequest"), key=customer_key),
    )
    before = plant_old_files(case) if old else {}

    # when
    result = run_cli("apply", "-", stdin=json.dumps(document))

    # then
    encrypted = (
        "FAILURE - Not verifiable: S3 encrypts the object with aws:kms: its etag there is not made of its bytes,"
    )
    refused = f"Not verifiable: s3://{case.bucket()}/{customer_key}: S3 answered 400 InvalidRequest (encrypted with a "
    assert_failed(
        result,
        case,
        f"{clone}: FAILURE - Not verifiable: S3's etag '0x8DB5C2F3E1A2B3C' is not made of the object's bytes (",
        f"{kms}: {encrypted} expected ",
        f"{planned_kms}: {encrypted} expected {MADE_UP_ETAG}\n",
        f"{customer_key}: FAILURE - {refused}customer's key, SSE-C?)\n",
        "many.d/004: OK - ",
    )
    assert {path: path.read_bytes() for path in list(final_paths(case))[:4] if path.exists()} == {
        path: content for path, content in before.items() if path.name != "004"
    }
    for key in (clone, kms, planned_kms):
        assert len(faulty_proxy.requests("GET", key)) <= 1


# --- row 15


def test_other_bytes_should_not_pass_though_the_server_ignores_if_match_row_15(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given other bytes under their own etag, and under the planned one
    case = make_restore_case(many_files(3), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    etags = [file["expected_etag"] for file in json.loads(plan.read_bytes())["raw_files"]["many.d"]["files"]]
    faulty_proxy.add(
        Fault(action=whole_object(bytes(1000), MADE_UP_ETAG), key="many.d/000", method="GET"),
        Fault(action=whole_object(bytes(1000), etags[1]), key="many.d/001", method="GET"),
    )

    # when
    result = run_cli("apply", plan)

    # then
    assert_failed(
        result,
        case,
        f"000: FAILURE - Download verification failed (s3://{case.bucket()}/many.d/000 changed during the download: ",
        "001: FAILURE - Download verification failed (etag mismatch: downloaded ",
        "002: OK - ",
    )
    assert_old_or_right(case, result.exit_code)
    assert {exchange.request.if_match for exchange in faulty_proxy.requests("GET", "many.d/00")} == {
        f'"{etag}"' for etag in etags
    }


# --- row 16

BODY_BYTES = 100_000
OFFSETS = (0, 1, 4095, 4096, 50_000, BODY_BYTES - 1)
BREAKS: dict[str, list[Action]] = {
    "cut": [Cut(after=offset) for offset in OFFSETS],
    "reset": [Reset(after=offset) for offset in OFFSETS],
    "stall": [Stall(seconds=60, after=offset) for offset in OFFSETS],
}


def break_each(proxy: FaultyProxy, actions: list[Action], *, times: int | None) -> None:
    """Do a different harm to every file."""
    for number, action in enumerate(actions):
        proxy.add(Fault(action=action, key=f"many.d/{number:03}", method="GET", times=times))


@pytest.mark.parametrize("way", BREAKS)
def test_a_body_that_breaks_once_should_be_fetched_again_row_16(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, way: str
) -> None:
    case = make_restore_case(many_files(len(OFFSETS), BODY_BYTES), endpoint_url=faulty_proxy.endpoint_url)
    break_each(faulty_proxy, BREAKS[way], times=1)

    result = run_cli("apply", compile_plan(run_cli, case), "--timeout", "1")

    assert result.exit_code == 0, result.stderr
    assert_old_or_right(case, result.exit_code)
    assert len([exchange for exchange in faulty_proxy.log if exchange.fault]) == len(OFFSETS)


def test_bodies_that_always_break_should_be_named_and_cost_no_other_file_row_16(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given
    ways = list(itertools.chain(*BREAKS.values()))
    case = make_restore_case(many_files(len(ways) + 1, BODY_BYTES), endpoint_url=faulty_proxy.endpoint_url)
    break_each(faulty_proxy, ways, times=None)
    before = plant_old_files(case)

    # when
    result = run_cli("apply", compile_plan(run_cli, case), "--timeout", "1", "--retries", "1")

    # then
    assert_failed(result, case, f"Successful files: 1\nFailed files: {len(ways)}\nStatus: PARTIAL FAILURE\n")
    assert_old_or_right(case, result.exit_code, before)
    for number, action in enumerate(ways):
        kind = "Timed out" if isinstance(action, Stall) else "Network error"
        assert f"many.d/{number:03}: FAILURE - {kind}: " in last_report(case)
    assert all(len(faulty_proxy.requests("GET", f"many.d/{number:03}")) == 2 for number in range(len(ways)))


def test_a_body_that_drips_should_be_waited_for_row_16(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    case = make_restore_case(many_files(2, BODY_BYTES), endpoint_url=faulty_proxy.endpoint_url)
    faulty_proxy.add(Fault(action=Drip(bytes_per_second=BODY_BYTES), key="many.d/000", method="GET"))

    result = run_cli("apply", compile_plan(run_cli, case), "--timeout", "0.5", "--retries", "0")

    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_body_that_drips_for_ever_should_end_after_five_minutes_row_16(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    case = make_restore_case(many_files(2, BODY_BYTES), endpoint_url=faulty_proxy.endpoint_url)
    faulty_proxy.add(Fault(action=Drip(bytes_per_second=10), key="many.d/000", method="GET"))

    result = run_cli("apply", compile_plan(run_cli, case), "--retries", "0", timeout_seconds=400)

    assert_failed(result, case, "many.d/000: FAILURE - Timed out: ", "many.d/001: OK - ")
    assert_old_or_right(case, result.exit_code)


# --- row 17


def test_a_bit_flipped_anywhere_should_be_noticed_and_fetched_again_row_17(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given small files with a random byte flipped once, and a large one in each of whose parts it is
    case = make_restore_case(many_files(20), thermo(), endpoint_url=faulty_proxy.endpoint_url)
    break_each(faulty_proxy, [Flip() for _ in range(20)], times=1)
    for part in range(3):
        faulty_proxy.add(Fault(action=Flip(offset=part * 5 * MIB + part), key="sample.raw", times=1))

    # when
    result = run_cli("apply", compile_plan(run_cli, case))

    # then
    assert result.exit_code == 0, result.stderr
    assert_old_or_right(case, result.exit_code)
    assert len([exchange for exchange in faulty_proxy.log if exchange.fault]) == 23


@pytest.mark.parametrize("old", [False, True], ids=["absent", "old"])
def test_a_bit_that_is_always_flipped_should_fail_and_leave_nothing_row_17(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, *, old: bool
) -> None:
    # given
    case = make_restore_case(many_files(2), thermo(), endpoint_url=faulty_proxy.endpoint_url)
    faulty_proxy.add(Fault(action=Flip(offset=6_000_000), key="sample.raw"), Fault(action=Flip(), key="many.d/000"))
    before = plant_old_files(case) if old else {}

    # when
    result = run_cli("apply", compile_plan(run_cli, case))

    # then
    failed = "FAILURE - Download verification failed (etag mismatch: downloaded "
    assert_failed(result, case, f"sample.raw: {failed}", f"many.d/000: {failed}", "tried 2 times", "many.d/001: OK")
    assert_old_or_right(case, result.exit_code, before)
    assert case.unrestored() == ["PRID001/many.d/000", "PRID001/sample.raw"]
    assert left_staged(case) == []
