"""examples/slurm, with Slurm's part played by hand: what is submitted, run, signalled, queued again and reported."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from apply_case import compile_plan, last_report, left_staged, thermo
from approvers import Approvers, needs_ssh_keygen
from cli import Cli
from conftest import MakeRestoreCase
from faulty_proxy import FaultyProxy
from network_faults import Fault, Stall
from sample_data import MIB
from slurm_by_hand import RESTORE_JOB, SCRIPTS, SlurmByHand
from stalled_run import BIG_BYTES, PARTS, big, journal_lines, stall
from temporary_process import installed_program
from waiting import wait_for

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture
def slurm(run_cli: Cli, tmp_path: Path) -> Iterator[SlurmByHand]:
    (tmp_path / "slurm").mkdir()
    cluster = SlurmByHand(run_cli=run_cli, folder=tmp_path / "slurm", run_folder=tmp_path / "run")
    yield cluster
    cluster.end()


def results(slurm: SlurmByHand) -> list[str]:
    return sorted(path.name for path in (slurm.run_folder / "results").iterdir())


def test_scripts_should_pass_shellcheck() -> None:
    scripts = sorted(script for script in SCRIPTS.iterdir() if script.suffix != ".md")
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
    own_options = ("--concurrent", "2", "--max-bandwidth", "1G", "--report", "--mail-type=FAIL", "--report", "--time=5")
    submitted = slurm.submit(plan, 4, "--mem=8G", own_options=own_options)

    # then an array is submitted, and behind it a job that waits for all of it, however it ends
    assert (submitted.exit_code, submitted.stdout) == (0, "restore 101\nreport 102\n"), submitted.stderr
    array, report = slurm.asked("sbatch")
    assert {"--array=1-4%2", "--mem=8G"} <= set(array)
    assert {f"--dependency=afterany:{RESTORE_JOB}", "--mail-type=FAIL", "--time=5"} <= set(report)
    assert not {"--mail-type=FAIL", "--time=5"} & set(array)
    # each of the two tasks that run at once gets its half of the bandwidth
    assert array[-2:] == ["4", str(2**29)]

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
    assert "1 raw file, 1 entry: 0 verified, 0 failed, 0 unresolvable, 1 not attempted" in ended.stderr
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
    one, both = compile_plan(run_cli, case, "a.raw"), case.folder / "both.json"
    assert slurm.submit(one, 2).exit_code == 0
    assert slurm.submit(one, 2, "--array=1-2%1").exit_code == 0  # once more, what is there is gone on with
    submitted = len(slurm.asked("sbatch"))
    shutil.copy(compile_plan(run_cli, case), both)

    refused = {
        "run/plan.json is another plan: take a new RUN_FOLDER": slurm.submit(both, 2),
        "no.json": slurm.submit(case.folder / "no.json", 2),
        "PARTS is 0": slurm.submit(one, 0),
        "PARTS is 02": slurm.submit(one, "02"),
        "the array 1 leaves parts out: expected 1-2": slurm.submit(one, 2, "--array=1"),
        "the array 1-1 leaves parts out": slurm.submit(one, 2, "-a1-1"),
        "expected a number": slurm.submit(one, 2, own_options=("--concurrent", "many")),
        "expected such as 400M": slurm.submit(one, 2, own_options=("--max-bandwidth", "fast")),
        "there is no option --time=5": slurm.submit(one, 2, own_options=("--time=5",)),
        "Slurm takes % in paths": slurm.submit(one, 2, run_folder=slurm.folder / "100%A"),
    }

    assert {words: (end.exit_code, end.stdout) for words, end in refused.items()} == dict.fromkeys(refused, (2, ""))
    assert [words for words, end in refused.items() if words not in end.stderr] == []
    assert len(slurm.asked("sbatch")) == submitted


def test_submit_should_look_once_whether_anything_can_be_restored(
    run_cli: Cli, make_restore_case: MakeRestoreCase, slurm: SlurmByHand, s3: "S3Client"
) -> None:
    # given
    case = make_restore_case(thermo("a.raw", size_bytes=100), thermo("b.raw", size_bytes=100))
    plan = compile_plan(run_cli, case)

    # when / then without credentials, and with wrong ones
    nobody = slurm.submit(plan, 2, environment={"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""})
    stranger = slurm.submit(plan, 2, environment={"AWS_SECRET_ACCESS_KEY": "wrong"})
    assert (nobody.exit_code, stranger.exit_code) == (2, 2)
    assert "no AWS credentials found" in nobody.stderr
    assert "every task would be refused" in stranger.stderr
    assert "SignatureDoesNotMatch" in stranger.stderr
    assert slurm.asked("sbatch") == []

    # when / then some files are missing
    s3.delete_object(Bucket=case.bucket(), Key="a.raw")
    some = slurm.submit(plan, 2)
    assert some.exit_code == 0
    assert '1 of 2 files cannot be restored: "cannot" in ' in some.stderr
    assert len(slurm.asked("sbatch")) == 2

    # when / then nobody looks
    unseen = slurm.submit(plan, 2, own_options=("--skip-status",), environment={"AWS_SECRET_ACCESS_KEY": "wrong"})
    assert unseen.exit_code == 0


@needs_ssh_keygen
def test_submit_should_see_that_the_parts_are_approved_before_they_are_queued(
    run_cli: Cli, make_restore_case: MakeRestoreCase, slurm: SlurmByHand, tmp_path: Path
) -> None:
    # given a site that asks for approvals, and a plan that has one
    case = make_restore_case(thermo("a.raw", size_bytes=100), thermo("b.raw", size_bytes=100))
    plan, approvers = compile_plan(run_cli, case), Approvers(folder=tmp_path)
    site = case.folder / "alphakraken.strict.yaml"
    demand = f"kraken_plan:\n  approvals: {{required: 1, allowed_signers: {approvers.allow('anna')}}}\n"
    site.write_text(case.config_path.read_text(encoding="utf-8") + demand, encoding="utf-8")
    environment = {"KRAKEN_PLAN_CONFIG": str(site)}
    key: list[str | Path] = ["--key", approvers.key("anna")]
    assert run_cli("approve", plan, *key).exit_code == 0

    # when / then its parts have none
    refused = slurm.submit(plan, 2, environment=environment)
    assert (refused.exit_code, refused.stdout, slurm.asked("sbatch")) == (2, "", [])
    assert "plan-1-of-2.json: 0 valid approvals of 1 needed" in refused.stderr
    assert "kraken-plan approve" in refused.stderr
    assert (slurm.run_folder / "plan.json.approvals").exists()

    # when they are approved, and it is submitted again
    parts = sorted((slurm.run_folder / "parts").glob("plan-*-of-2.json"))
    assert run_cli("approve", *parts, *key).exit_code == 0
    submitted = slurm.submit(plan, 2, environment=environment)

    # then they are restored
    assert submitted.exit_code == 0, submitted.stderr
    for number in (1, 2):
        assert slurm.finish(slurm.start_task(number, environment=environment)).exit_code == 0
    assert case.unrestored() == []
