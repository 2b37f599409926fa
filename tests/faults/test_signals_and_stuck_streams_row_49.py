"""Scorecard row 49: the terminal hangs up, a batch system sends SIGUSR1, nobody reads stderr or stdout any more."""

import fcntl
import functools
import signal
import sys
import termios
import time
from typing import IO, TYPE_CHECKING

import pytest
from apply_case import compile_plan, last_report, left_staged, thermo
from cli import Cli
from conftest import MakeRestoreCase
from faulty_proxy import FaultyProxy
from network_faults import Fault, Stall
from plan_samples import make_plan, plan_bytes, planned_file, planned_raw_file
from restore_case import RestoreCase, raw_file
from sample_data import made_up_bytes
from waiting import wait_for

if TYPE_CHECKING:
    import subprocess

# Two seconds are promised; machines that run tests may be busy.
SOON_SECONDS = 20
PIPE_BYTES = 4096
ROWS = 2000


def stalling_case(make_restore_case: MakeRestoreCase, proxy: FaultyProxy, seconds: float) -> RestoreCase:
    """Two files, of which the second one keeps the run waiting."""
    case = make_restore_case(
        thermo("done.raw", size_bytes=100), thermo("waiting.raw", size_bytes=100), endpoint_url=proxy.endpoint_url
    )
    proxy.add(Fault(action=Stall(seconds=seconds), key="waiting.raw"))
    return case


def start_until_one_is_done(
    run_cli: Cli, case: RestoreCase, *options: str, under: tuple[str, ...] = ()
) -> "subprocess.Popen[str]":
    process = run_cli.start("apply", compile_plan(run_cli, case), *options, under=under)
    wait_for((case.destination() / "done.raw").exists, "the first file")
    return process


def wait_until_nothing_moves(proxy: FaultyProxy) -> None:
    """Wait until the run stands still because nobody reads what it writes."""
    seen = -1
    while len(proxy.log) == 0 or len(proxy.log) != seen:
        seen = len(proxy.log)
        time.sleep(1.5)


def start_show_that_nobody_reads(run_cli: Cli) -> "subprocess.Popen[str]":
    plan = make_plan(planned_raw_file("many.d", *(planned_file(f"many.d/{'x' * 150}{n}") for n in range(ROWS))))
    (run_cli.folder / "plan.json").write_bytes(plan_bytes(plan))
    process = run_cli.start("show", "plan.json", "--files")
    assert process.stdout is not None
    fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    wait_for(functools.partial(unread_bytes, process.stdout), "the first lines")
    return process


def unread_bytes(stream: IO[str]) -> int:
    """How much is in a pipe."""
    return int.from_bytes(fcntl.ioctl(stream, termios.FIONREAD, bytes(4)), sys.byteorder)


def test_a_hangup_should_stop_in_order_and_report_row_49(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    case = stalling_case(make_restore_case, faulty_proxy, 60)
    process = start_until_one_is_done(run_cli, case)

    process.send_signal(signal.SIGHUP)
    result = run_cli.finish(process, timeout_seconds=SOON_SECONDS)

    assert result.exit_code == 128 + signal.SIGHUP
    assert "SIGHUP: stopping" in result.stderr
    assert "done.raw: OK - Downloaded and verified" in last_report(case)
    assert "waiting.raw: FAILURE - Not attempted (interrupted)\n" in last_report(case)
    faulty_proxy.clear()
    assert run_cli("apply", case.folder / "plan.json").exit_code == 0
    assert left_staged(case) == []


@pytest.mark.parametrize("second", [signal.SIGHUP, signal.SIGTERM])
def test_a_hangup_that_is_sent_along_two_ways_should_be_one_row_49(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, second: signal.Signals
) -> None:
    case = stalling_case(make_restore_case, faulty_proxy, 60)
    process = start_until_one_is_done(run_cli, case)
    assert process.stderr is not None

    process.send_signal(signal.SIGHUP)
    while not process.stderr.readline().startswith("SIGHUP: stopping"):
        pass
    process.send_signal(second)

    assert run_cli.finish(process, timeout_seconds=SOON_SECONDS).exit_code == 128 + signal.SIGHUP
    assert "waiting.raw: FAILURE - Not attempted (interrupted)\n" in last_report(case)


def test_a_hangup_should_be_ignored_under_nohup_row_49(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    case = stalling_case(make_restore_case, faulty_proxy, 3)
    process = start_until_one_is_done(run_cli, case, under=("nohup",))

    process.send_signal(signal.SIGHUP)
    result = run_cli.finish(process)

    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []


@pytest.mark.parametrize("options", [(), ("--quiet",)])
def test_sigusr1_should_tell_the_progress_and_end_nothing_row_49(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, options: tuple[str, ...]
) -> None:
    case = stalling_case(make_restore_case, faulty_proxy, 3)
    process = start_until_one_is_done(run_cli, case, *options)

    process.send_signal(signal.SIGUSR1)
    result = run_cli.finish(process)

    assert result.exit_code == 0, result.stderr
    assert " to go · " in result.stderr
    assert case.unrestored() == []


def test_sigusr1_should_not_end_a_command_that_has_no_progress_row_49(run_cli: Cli) -> None:
    process = start_show_that_nobody_reads(run_cli)

    process.send_signal(signal.SIGUSR1)
    time.sleep(0.5)
    result = run_cli.finish(process, timeout_seconds=SOON_SECONDS)

    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) > ROWS


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_second_signal_should_end_a_run_whose_stderr_nobody_reads_row_49(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, first: signal.Signals
) -> None:
    # given a log that fills the pipe
    files = {f"many.d/{'x' * 150}{number}": (made_up_bytes(str(number), 100), 5) for number in range(200)}
    case = make_restore_case(raw_file("many.d", files), endpoint_url=faulty_proxy.endpoint_url)
    process = run_cli.start("apply", compile_plan(run_cli, case), "-v", "--jobs", "4")
    assert process.stderr is not None
    fcntl.fcntl(process.stderr, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    wait_until_nothing_moves(faulty_proxy)
    assert process.poll() is None
    assert case.unrestored() != []

    # when
    process.send_signal(first)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)

    # then
    assert process.wait(SOON_SECONDS) in {128 + first, 128 + signal.SIGINT}


def test_the_second_signal_should_end_a_status_whose_stdout_nobody_reads_row_49(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    files = {f"many.d/{'x' * 150}{number}": (made_up_bytes(str(number), 100), 5) for number in range(100)}
    case = make_restore_case(raw_file("many.d", files), endpoint_url=faulty_proxy.endpoint_url)
    process = run_cli.start("status", compile_plan(run_cli, case), "--all")
    assert process.stdout is not None
    fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    wait_until_nothing_moves(faulty_proxy)
    assert process.poll() is None

    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)

    assert process.wait(SOON_SECONDS) == 128 + signal.SIGINT


def test_the_second_signal_should_end_a_table_that_nobody_reads_row_49(run_cli: Cli) -> None:
    process = start_show_that_nobody_reads(run_cli)

    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)

    assert process.wait(SOON_SECONDS) == 128 + signal.SIGINT
