"""Scorecard row 28: kill -9 at random instants, under faulty answers, with damage to local files in between."""

import signal
import subprocess
import sys
from collections.abc import Callable

import naive_restorer
import pytest
from apply_case import compile_plan, left_staged, mixed
from cli import Cli
from conftest import MakeRestoreCase
from embedded_s3 import EmbeddedS3
from faulty_proxy import FaultyProxy
from kill_loop import KillLoop, Tally, add_faults
from restore_case import RestoreCase

SHARE_OF_FAULTY_ANSWERS = 0.25

Start = Callable[[], "subprocess.Popen[str]"]


def kill(case: RestoreCase, proxy: FaultyProxy, start: Start, count: int) -> Tally:
    add_faults(proxy, SHARE_OF_FAULTY_ANSWERS)
    tally = KillLoop(case=case, start=start, proxy=proxy, seed=proxy.seed).run(count)
    print(tally)
    return tally


def kill_the_program(
    run_cli: Cli, make_restore_case: MakeRestoreCase, s3_server: EmbeddedS3, *, count: int, seed: int
) -> None:
    """Let it run once, so that there is a report; kill it so often; let it run in peace."""
    with FaultyProxy(s3_server.port, seed=seed) as proxy:
        case = make_restore_case(mixed(), endpoint_url=proxy.endpoint_url)
        plan = compile_plan(run_cli, case)
        assert run_cli("apply", plan).exit_code == 0

        tally = kill(case, proxy, lambda: run_cli.start("apply", plan, "--retries", "3"), count)

        assert tally.wrong == []
        assert tally.mid_run >= tally.published >= count / 4, f"seed {seed}: {tally}"
        # 2: four faults in a row met the first question to the bucket, and the run was refused
        assert tally.exit_codes <= {-signal.SIGKILL, 0, 1, 2}, f"seed {seed}: {tally}"
        proxy.clear()
        done = run_cli("apply", plan)
    assert done.exit_code == 0, f"seed {seed}: {done.stderr}"
    assert case.unrestored() == [], f"seed {seed}"
    assert left_staged(case) == [], f"seed {seed}"


def test_30_kills_should_leave_old_or_right_files_row_28(
    run_cli: Cli, make_restore_case: MakeRestoreCase, s3_server: EmbeddedS3
) -> None:
    kill_the_program(run_cli, make_restore_case, s3_server, count=30, seed=28)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", [280, 281])
def test_120_kills_should_leave_old_or_right_files_row_28(
    run_cli: Cli, make_restore_case: MakeRestoreCase, s3_server: EmbeddedS3, seed: int
) -> None:
    kill_the_program(run_cli, make_restore_case, s3_server, count=120, seed=seed)


def test_a_restorer_that_writes_in_place_should_be_caught_row_28(
    run_cli: Cli, make_restore_case: MakeRestoreCase, s3_server: EmbeddedS3
) -> None:
    """The control: the same kills and the same check."""
    with FaultyProxy(s3_server.port, seed=28) as proxy:
        case = make_restore_case(mixed(), endpoint_url=proxy.endpoint_url)
        plan = compile_plan(run_cli, case)
        command = [sys.executable, naive_restorer.__file__, str(plan), "in place"]

        def start() -> "subprocess.Popen[str]":
            process = subprocess.Popen(
                command, env=run_cli.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8"
            )
            run_cli.started.append(process)
            return process

        tally = kill(case, proxy, start, count=3)

    assert any("neither the old nor the right" in found for found in tally.wrong), tally
