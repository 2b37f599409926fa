"""A corrupt file that was verified before costs the parts that are bad, and no more."""

import json
import os
from pathlib import Path

import pytest
from apply_case import compile_plan, last_report, left_staged
from cli import Cli
from conftest import MakeRestoreCase
from faulty_proxy import FaultyProxy
from restore_case import RestoreCase, raw_file
from sample_data import MIB, made_up_bytes

PARTS = 8
CONTENT = made_up_bytes("parts", PARTS * 5 * MIB - 7)


@pytest.fixture
def case(make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy) -> RestoreCase:
    return make_restore_case(raw_file("big.raw", {"big.raw": (CONTENT, 5)}), endpoint_url=faulty_proxy.endpoint_url)


def state_files(run_cli: Cli) -> list[Path]:
    return sorted(run_cli.folder.glob(".local/state/kraken-plan/results/*/*.jsonl"))


def flip(path: Path, *offsets: int) -> None:
    with path.open("r+b") as file:
        for offset in offsets:
            byte = os.pread(file.fileno(), 1, offset)
            os.pwrite(file.fileno(), bytes([byte[0] ^ 1]), offset)


def fetched_bytes(proxy: FaultyProxy) -> int:
    return sum(exchange.sent_bytes for exchange in proxy.requests("GET", "big.raw"))


@pytest.mark.parametrize("verified_by", ["downloading it", "skipping it"])
def test_a_corrupt_part_should_be_healed_by_fetching_that_part(
    run_cli: Cli, case: RestoreCase, faulty_proxy: FaultyProxy, verified_by: str
) -> None:
    # given a file that was verified, of which two parts rot
    plan = compile_plan(run_cli, case)
    assert run_cli("apply", plan).exit_code == 0
    if verified_by == "skipping it":
        for path in state_files(run_cli):
            path.unlink()
        assert run_cli("apply", plan).exit_code == 0
    local = case.destination() / "big.raw"
    flip(local, 7, 23 * MIB, 24 * MIB)
    before = fetched_bytes(faulty_proxy)

    # when
    result = run_cli("apply", plan)

    # then
    assert result.exit_code == 0, result.stderr
    assert local.read_bytes() == CONTENT
    assert "big.raw: OK - Self-healed (2 of 8 parts re-downloaded)" in last_report(case)
    assert fetched_bytes(faulty_proxy) - before == 2 * 5 * MIB
    assert left_staged(case) == []


def test_without_a_record_all_parts_should_be_fetched(
    run_cli: Cli, case: RestoreCase, faulty_proxy: FaultyProxy
) -> None:
    plan = compile_plan(run_cli, case)
    assert run_cli("apply", plan).exit_code == 0
    flip(case.destination() / "big.raw", 7)
    before = fetched_bytes(faulty_proxy)

    assert run_cli("apply", plan, "--state-dir", run_cli.folder / "another").exit_code == 0

    assert case.unrestored() == []
    assert "big.raw: OK - Self-healed (hash mismatch detected, re-downloaded)" in last_report(case)
    assert fetched_bytes(faulty_proxy) - before == len(CONTENT)


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line.replace('"part_md5s": "', '"part_md5s": "00'),
        lambda line: line[: len(line) // 2],
        lambda line: line.replace('"chunk_size_mb": 5', '"chunk_size_mb": [5]'),
        lambda line: json.dumps({**json.loads(line), "part_md5s": "00" * 16 * PARTS}) if "part_md5s" in line else line,
    ],
    ids=["longer", "torn", "odd", "others"],
)
def test_a_record_that_lies_should_cost_a_fetch_and_nothing_else(
    run_cli: Cli, case: RestoreCase, damage: object
) -> None:
    assert callable(damage)
    plan = compile_plan(run_cli, case)
    assert run_cli("apply", plan).exit_code == 0
    flip(case.destination() / "big.raw", 7)
    (kept,) = state_files(run_cli)
    kept.write_text("".join(damage(line) for line in kept.read_text().splitlines(keepends=True)), encoding="utf-8")

    assert run_cli("apply", plan).exit_code == 0

    assert case.unrestored() == []
    assert "big.raw: OK - Self-healed (hash mismatch detected, re-downloaded)" in last_report(case)


def test_parts_that_change_after_the_look_should_not_come_under_the_final_name(run_cli: Cli, case: RestoreCase) -> None:
    # given a corrupt file whose record says that seven parts are right
    plan = compile_plan(run_cli, case)
    assert run_cli("apply", plan).exit_code == 0
    local = case.destination() / "big.raw"
    flip(local, 7)
    os.link(local, local.with_name("other name"))  # so it is not copied from: somebody may write to it

    assert run_cli("apply", plan).exit_code == 0

    assert case.unrestored() == []
    assert "big.raw: OK - Self-healed (hash mismatch detected, re-downloaded)" in last_report(case)


def test_the_last_ten_runs_of_a_plan_should_be_kept(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    case = make_restore_case(raw_file("s.raw", {"s.raw": (b"small", 5)}))
    plan = compile_plan(run_cli, case)

    for _ in range(12):
        assert run_cli("apply", plan, "--no-report").exit_code == 0

    kept = state_files(run_cli)
    assert len(kept) == 10
    assert '"outcome": "skipped"' in kept[0].read_text(encoding="utf-8")


@pytest.mark.parametrize("state", ["a file", "no home"])
def test_a_state_folder_that_cannot_be_written_should_stop_nothing(
    run_cli: Cli, make_restore_case: MakeRestoreCase, state: str
) -> None:
    case = make_restore_case(raw_file("s.raw", {"s.raw": (b"small", 5)}))
    plan = compile_plan(run_cli, case)
    (run_cli.folder / "in the way").write_bytes(b"")
    home = "in the way" if state == "a file" else "/proc/no such folder"

    result = run_cli("apply", plan, environment={"XDG_STATE_HOME": str(run_cli.folder / home)})

    assert result.exit_code == 0
    assert case.unrestored() == []
    assert "the results of this run are not kept for later" in result.stderr
    assert (run_cli.folder / "in the way").read_bytes() == b""
