"""Scorecard row 29: SIGINT, SIGTERM and a second one. A scheduler's SIGTERM is an orderly stop, with reports."""

import json
import signal
import time
from typing import IO

import pytest
from apply_case import bruker, compile_plan, last_report, left_staged, mixed, thermo
from cli import Cli
from conftest import MakeRestoreCase
from embedded_s3 import EmbeddedS3
from faulty_proxy import FaultyProxy
from kill_loop import KillLoop, add_faults
from network_faults import Fault, Stall
from restore_case import RestoreCase
from stalled_run import BIG_BYTES, PARTS, big, journal_lines, stall, start_until_four_parts_are_staged
from waiting import wait_for

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
# Two seconds are promised; machines that run tests may be busy. The stalls that would have to be waited for last 60.
SOON_SECONDS = 10


def wait_until_said(stderr: IO[str], line: str) -> None:
    """Read on to a line that the program says."""
    assert line in iter(stderr.readline, ""), f"never said: {line}"


def staged_bytes(case: RestoreCase) -> int:
    """What the journal of the big file says of its bytes that are there."""
    lines = [json.loads(line) for line in journal_lines(case).splitlines()]
    return sum(line["landed"][1] - line["landed"][0] for line in lines if "landed" in line)


@BOTH
def test_a_signal_should_stop_in_order_and_the_next_run_should_resume_row_29(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, number: signal.Signals
) -> None:
    # given a run that hangs in the last part of a file and before another, corrupt one, while a third one is done
    case = make_restore_case(
        big(),
        thermo("done.raw", size_bytes=100),
        thermo("waiting.raw", size_bytes=100),
        endpoint_url=faulty_proxy.endpoint_url,
    )
    waiting = case.destination() / "waiting.raw"
    waiting.parent.mkdir()
    waiting.write_bytes(b"corrupt")
    plan = compile_plan(run_cli, case)
    stall(faulty_proxy, PARTS - 1)
    faulty_proxy.add(Fault(action=Stall(seconds=60), key="waiting.raw"))
    process = start_until_four_parts_are_staged(run_cli, case, plan)
    wait_for((case.destination() / "done.raw").exists, "the other file")

    # when
    process.send_signal(number)
    begun = time.monotonic()
    result = run_cli.finish(process)

    # then it ends soon, with a report of every file, and keeps what is staged
    assert result.exit_code == 128 + number
    assert time.monotonic() - begun < SOON_SECONDS
    assert result.stdout == f"{case.reports()[0]}\n"
    report = last_report(case)
    assert "big.raw: FAILURE - Not attempted (interrupted)\n" in report
    assert "waiting.raw: FAILURE - Not attempted (interrupted)\n" in report
    assert "done.raw: OK - Downloaded and verified" in report
    assert sum(report.count(f"\n{name}.raw: ") for name in ("big", "waiting", "done")) == 3
    assert case.unrestored() == ["PRID001/big.raw", "PRID001/waiting.raw"]
    assert waiting.read_bytes() == b"corrupt"
    missing_bytes = BIG_BYTES - staged_bytes(case)
    assert 0 < missing_bytes <= BIG_BYTES / PARTS

    # and the next run fetches only what is missing
    faulty_proxy.clear()
    again = run_cli("apply", plan)
    assert again.exit_code == 0, again.stderr
    assert case.unrestored() == []
    assert left_staged(case) == []
    assert sum(exchange.sent_bytes for exchange in faulty_proxy.requests("GET", "big.raw")) <= 1.1 * missing_bytes


@pytest.mark.parametrize(("first", "second"), [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGINT)])
def test_a_second_signal_should_end_at_once_row_29(
    run_cli: Cli,
    make_restore_case: MakeRestoreCase,
    faulty_proxy: FaultyProxy,
    first: signal.Signals,
    second: signal.Signals,
) -> None:
    case = make_restore_case(big(), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    stall(faulty_proxy, 1)
    process = start_until_four_parts_are_staged(run_cli, case, plan)
    assert process.stderr is not None

    process.send_signal(first)
    wait_until_said(process.stderr, f"{first.name}: stopping; once more ends at once\n")
    process.send_signal(second)

    begun = time.monotonic()
    assert run_cli.finish(process).exit_code == 128 + second
    assert time.monotonic() - begun < SOON_SECONDS
    assert case.reports() == []
    assert not (case.destination() / "big.raw").exists()
    assert left_staged(case) != []


def test_sigterm_that_comes_twice_should_be_one_row_29(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given a run, as a job of a scheduler that signals the launcher, which passes it on, and the whole process group
    case = make_restore_case(big(), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    stall(faulty_proxy, 1)
    process = start_until_four_parts_are_staged(run_cli, case, plan)
    assert process.stderr is not None

    # when
    process.send_signal(signal.SIGTERM)
    wait_until_said(process.stderr, "SIGTERM: stopping; once more ends at once\n")
    process.send_signal(signal.SIGTERM)

    # then
    assert run_cli.finish(process).exit_code == 128 + signal.SIGTERM
    assert "big.raw: FAILURE - Not attempted (interrupted)\n" in last_report(case)


@BOTH
def test_a_signal_while_s3_says_nothing_should_report_all_files_as_not_attempted_row_29(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, number: signal.Signals
) -> None:
    case = make_restore_case(bruker(), thermo("sample.raw", size_bytes=100), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    faulty_proxy.add(Fault(action=Stall(seconds=60)))
    process = run_cli.start("apply", plan)
    wait_for(lambda: len(faulty_proxy.log) > 0, "the first request")

    process.send_signal(number)
    begun = time.monotonic()
    result = run_cli.finish(process)

    assert result.exit_code == 128 + number
    assert time.monotonic() - begun < SOON_SECONDS
    assert last_report(case).count(": FAILURE - Not attempted (interrupted)\n") == len(bruker().contents) + 1


def stop_at_random(  # noqa: PLR0917  # fixtures
    run_cli: Cli,
    make_restore_case: MakeRestoreCase,
    s3_server: EmbeddedS3,
    number: signal.Signals,
    count: int,
    seed: int,
) -> None:
    """The loop of row 28, with a signal that leaves time for reports."""
    with FaultyProxy(s3_server.port, seed=seed) as proxy:
        case = make_restore_case(mixed(), endpoint_url=proxy.endpoint_url)
        plan = compile_plan(run_cli, case)
        add_faults(proxy, 0.25)
        loop = KillLoop(
            case=case,
            start=lambda: run_cli.start("apply", plan, "--retries", "3"),
            proxy=proxy,
            seed=seed,
            signal_number=number,
            first_request=1,
        )

        tally = loop.run(count)

        assert tally.wrong == []
        assert 128 + number in tally.exit_codes
        assert tally.exit_codes <= {128 + number, 0, 1}, f"seed {seed}: {tally}"
        assert len(case.reports()) == tally.ended + tally.finished, f"seed {seed}: {tally}"
        proxy.clear()
        done = run_cli("apply", plan)
    assert done.exit_code == 0, f"seed {seed}: {done.stderr}"
    assert case.unrestored() == [], f"seed {seed}"
    assert left_staged(case) == [], f"seed {seed}"


@BOTH
def test_four_signals_at_random_instants_should_leave_old_or_right_files_and_reports_row_29(
    run_cli: Cli, make_restore_case: MakeRestoreCase, s3_server: EmbeddedS3, number: signal.Signals
) -> None:
    stop_at_random(run_cli, make_restore_case, s3_server, number, 4, 29)


@pytest.mark.long
@pytest.mark.timeout(1800)
@BOTH
def test_sixty_signals_at_random_instants_should_leave_old_or_right_files_and_reports_row_29(
    run_cli: Cli, make_restore_case: MakeRestoreCase, s3_server: EmbeddedS3, number: signal.Signals
) -> None:
    stop_at_random(run_cli, make_restore_case, s3_server, number, 60, 290)
