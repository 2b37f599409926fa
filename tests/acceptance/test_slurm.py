"""examples/slurm, with Slurm's part played by hand: what is submitted, run, signalled, queued again and reported."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from apply_case import compile_plan, last_report, left_staged, thermo
from cli import Cli
from conftest import MakeRestoreCase
from faulty_proxy import FaultyProxy
from network_faults import Fault, Stall
from sample_data import MIB
from slurm_by_hand import RESTORE_JOB, SCRIPTS, SlurmByHand
from stalled_run import BIG_BYTES, PARTS, big, journal_lines, stall
from temporary_process import installed_program
from waiting import wait_for


@pytest.fixture
def slurm(run_cli: Cli, tmp_path: Path) -> Iterator[SlurmByHand]:
    (tmp_path / "slurm").mkdir()
    cluster = SlurmByHand(run_cli=run_cli, folder=tmp_path / "slurm", run_folder=tmp_path / "run")
    yield cluster
    cluster.end()


def results(slurm: SlurmByHand) -> list[str]:
    return sorted(path.name for path in (slurm.run_folder / "results").iterdir())


def test_scripts_should_pass_shellcheck() -> None:
    scripts = sorted(SCRIPTS.iterdir())
    assert [script.name for script in scripts] == ["report.sbatch", "restore.sbatch", "submit.sh"]
    checked = subprocess.run(
        [installed_program("shellcheck"), "--shell=bash", *scripts], capture_output=True, encoding="utf-8", check=False
    )
    assert (checked.returncode, checked.stdout) == (0, "")


def test_tasks_at_once_should_restore_the_plan_and_the_dependent_job_report_it(
    run_cli: Cli, make_restore_case: MakeRestoreCase, slurm: SlurmByHand
) -> None:
    # given
    case = make_restore_case(*(thermo(f"{number}.raw", size_bytes=6 * MIB) for number in range(4)))
    plan = compile_plan(run_cli, case)

    # when
    submitted = slurm.submit(plan, 4, "--array=1-4%2")

    # then an array is submitted, and behind it a job that waits for all of it, however it ends
    assert (submitted.exit_code, submitted.stdout) == (0, "restore 101\nreport 102\n"), submitted.stderr
    array, report = slurm.asked("sbatch")
    assert [option for option in array if option.startswith("--array")] == ["--array=1-4", "--array=1-4%2"]
    assert f"--dependency=afterany:{RESTORE_JOB}" in report

    # when
    tasks = [slurm.start_task(number) for number in (1, 2, 3, 4)]
    ended = [slurm.finish(task) for task in tasks]
    done = slurm.report()

    # then
    assert [task.exit_code for task in ended] == [0, 0, 0, 0], ended
    assert (done.exit_code, done.stdout) == (0, f"{case.reports()[0]}\n"), done.stderr
    assert len(case.reports()) == 1
    assert last_report(case).count(": OK - Downloaded and verified") == 4
    assert (slurm.run_folder / "outcome.html").exists()
    assert case.unrestored() == []
    assert left_staged(case) == []
    assert slurm.asked("scontrol") == []


def test_a_task_that_is_cancelled_should_keep_what_it_has_for_its_next_run(
    run_cli: Cli, make_restore_case: MakeRestoreCase, slurm: SlurmByHand, faulty_proxy: FaultyProxy
) -> None:
    # given a task that hangs in the last part of a file
    case = make_restore_case(big(), thermo("small.raw", size_bytes=1000), endpoint_url=faulty_proxy.endpoint_url)
    slurm.submit(compile_plan(run_cli, case), 2)
    stall(faulty_proxy, PARTS - 1)
    task = slurm.start_task(1)
    wait_for(lambda: journal_lines(case).count('"part"') == PARTS - 1, "four parts in the journal")

    # when it gets SIGTERM, the script and its child, and the other task runs to its end
    os.killpg(task.pid, signal.SIGTERM)
    ended = slurm.finish(task)
    other = slurm.finish(slurm.start_task(2))

    # then it has stopped in order, and its job is not queued again
    assert ended.exit_code == 143
    assert "1 raw file, 1 entry: 0 verified, 1 failed, 0 unresolvable, 0 not attempted" in ended.stderr
    assert other.exit_code == 0
    assert slurm.asked("scontrol") == []
    early = slurm.report()
    assert early.exit_code == 1
    assert "big.raw: FAILURE - Not attempted (interrupted)\n" in last_report(case)

    # when Slurm runs it again
    faulty_proxy.clear()
    again = slurm.finish(slurm.start_task(1, restarts=1))

    # then it goes on with what is staged, and has results of its own
    assert again.exit_code == 0, again.stderr
    fetched = sum(exchange.sent_bytes for exchange in faulty_proxy.requests("GET", "big.raw"))
    assert 0 < fetched <= 1.1 * BIG_BYTES / PARTS
    assert results(slurm) == ["101.part-1.run-0.results", "101.part-1.run-1.results", "101.part-2.run-0.results"]
    assert slurm.report().exit_code == 0
    assert last_report(case).count(": OK - Downloaded and verified") == 2
    assert case.unrestored() == []
    assert left_staged(case) == []


def test_a_task_whose_time_is_up_should_be_queued_again_but_not_for_ever(
    run_cli: Cli, make_restore_case: MakeRestoreCase, slurm: SlurmByHand, faulty_proxy: FaultyProxy
) -> None:
    # given an S3 that says nothing
    case = make_restore_case(thermo(size_bytes=100), endpoint_url=faulty_proxy.endpoint_url)
    slurm.submit(compile_plan(run_cli, case), 1)
    faulty_proxy.add(Fault(action=Stall(seconds=60)))

    for restarts in (0, 1):
        # when the script alone gets what Slurm announces the time limit with
        asked_before = len(faulty_proxy.log)
        task = slurm.start_task(1, restarts=restarts, environment={"KRAKEN_MOST_RUNS": "2"})
        wait_for(lambda before=asked_before: len(faulty_proxy.log) > before, "the first request")  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        os.kill(task.pid, signal.SIGUSR1)
        ended = slurm.finish(task)

        # then
        assert ended.exit_code == 143
        assert ("not queued again" if restarts else "queued again") in ended.stderr
        assert slurm.asked("scontrol") == [["requeue", slurm.task_job(1)]]


def test_a_part_that_is_refused_should_not_be_queued_again(
    run_cli: Cli, make_restore_case: MakeRestoreCase, slurm: SlurmByHand
) -> None:
    # given a part that was changed
    case = make_restore_case(thermo(size_bytes=100))
    slurm.submit(compile_plan(run_cli, case), 1)
    part = slurm.run_folder / "parts" / "plan-1-of-1.json"
    part.write_text(json.dumps(json.loads(part.read_bytes()) | {"plan_digest": "sha256:" + "0" * 64}))

    # when / then
    ended = slurm.finish(slurm.start_task(1))
    assert ended.exit_code == 2
    assert "plan_digest" in ended.stderr
    assert slurm.asked("scontrol") == []

    # and where nothing was run, the report says so
    done = slurm.report()
    assert (done.exit_code, done.stdout) == (2, "")
    assert "no part has left any results" in done.stderr


def test_submit_should_refuse_what_cannot_be_run(
    run_cli: Cli, make_restore_case: MakeRestoreCase, slurm: SlurmByHand
) -> None:
    case = make_restore_case(thermo("a.raw", size_bytes=100), thermo("b.raw", size_bytes=100))
    one = compile_plan(run_cli, case, "a.raw")
    assert slurm.submit(one, 2).exit_code == 0
    assert slurm.submit(one, 2).exit_code == 0  # once more, what is there is gone on with
    submitted = len(slurm.asked("sbatch"))

    other = slurm.submit(compile_plan(run_cli, case), 2)
    no_plan = slurm.submit(case.folder / "no.json", 2)
    no_number = slurm.submit(one, 0)

    assert (other.exit_code, other.stdout) == (2, "")
    assert "run/plan.json is another plan: take a new RUN_FOLDER" in other.stderr
    assert no_plan.exit_code == no_number.exit_code == 2
    assert len(slurm.asked("sbatch")) == submitted
