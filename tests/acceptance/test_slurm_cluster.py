"""examples/slurm on a real Slurm of one node: `make test-slurm`."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from apply_case import compile_plan, last_report, left_staged, thermo
from cli import PROGRAM, Cli
from conftest import MakeRestoreCase
from faulty_proxy import FaultyProxy
from restore_case import RestoreCase
from slurm_by_hand import SCRIPTS
from slurm_cluster import SlurmCluster, missing_programs, slurm_cluster
from stalled_run import BIG_BYTES, PARTS, big, journal_lines, stall
from waiting import wait_for

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(missing_programs()), reason=f"Slurm is not installed: no {', '.join(missing_programs())}"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    with slurm_cluster(tmp_path_factory.mktemp("slurm")) as running:
        yield running


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """A restore of two parts of which the first hangs in the last part of its file."""

    case: RestoreCase
    run_folder: Path
    restore: str
    report: str

    @property
    def said(self) -> str:
        return "".join(path.read_text(encoding="utf-8") for path in (self.run_folder / "logs").iterdir())

    @property
    def results(self) -> list[str]:
        return sorted(path.name.partition(".")[2] for path in (self.run_folder / "results").iterdir())


def submit(run_cli: Cli, cluster: SlurmCluster, case: RestoreCase, *options: str) -> Submitted:
    """Submit, and wait till the first part hangs and the second is done."""
    run_folder = run_cli.folder / "run"
    path = f"{PROGRAM.parent}:{cluster.environment['PATH']}"
    own = {"PATH": path, "KRAKEN_PLAN_APPLY_TIMEOUT": "300"}  # or the stalled request would be sent again
    done = subprocess.run(
        [SCRIPTS / "submit.sh", compile_plan(run_cli, case), "2", run_folder, *options],
        env={**run_cli.environment, **cluster.environment, **own},
        cwd=run_cli.folder,
        check=True,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    words = done.stdout.split()
    assert words[::2] == ["restore", "report"]
    submitted = Submitted(case=case, run_folder=run_folder, restore=words[1], report=words[3])
    wait_for(lambda: journal_lines(case).count('"part"') == PARTS - 1, "four parts in the journal")
    wait_for(lambda: cluster.job(f"{submitted.restore}_2")["JobState"] == "COMPLETED", "the other task")
    return submitted


def wait_for_state(cluster: SlurmCluster, job: str, *states: str, minutes: int = 1) -> dict[str, str]:
    for attempt in range(2 * minutes):
        try:
            wait_for(lambda: cluster.job(job)["JobState"] in states, f"{job} to be {states}")
        except AssertionError:
            if attempt == 2 * minutes - 1:
                raise
    return cluster.job(job)


def test_a_task_at_its_time_limit_should_be_queued_again_and_the_report_wait_for_it(
    run_cli: Cli, make_restore_case: MakeRestoreCase, cluster: SlurmCluster, faulty_proxy: FaultyProxy
) -> None:
    # given a task with a minute of time
    case = make_restore_case(big(), thermo("small.raw", size_bytes=1000), endpoint_url=faulty_proxy.endpoint_url)
    stall(faulty_proxy, PARTS - 1)
    submitted = submit(run_cli, cluster, case, "--time=1", "--signal=B:USR1@55")
    first = f"{submitted.restore}_1"

    # when its time is nearly up, then it is queued again, and the job behind the array waits
    assert wait_for_state(cluster, first, "PENDING", minutes=2)["Restarts"] == "1"
    assert "SIGTERM: stopping" in submitted.said
    assert "part 1 of 2: the time is up, queued again" in submitted.said
    assert cluster.job(submitted.report)["JobState"] == "PENDING"

    # when it runs again, after the two minutes that Slurm waits (sooner, the end of the first run may hit the second)
    faulty_proxy.clear()
    ended = wait_for_state(cluster, submitted.report, "COMPLETED", "FAILED", "CANCELLED", minutes=5)

    # then it has gone on with what was staged, and everything is reported
    assert (ended["JobState"], ended["ExitCode"]) == ("COMPLETED", "0:0"), submitted.said
    fetched = sum(exchange.sent_bytes for exchange in faulty_proxy.requests("GET", "big.raw"))
    assert 0 < fetched <= 1.1 * BIG_BYTES / PARTS
    assert submitted.results == ["part-1.run-0.results", "part-1.run-1.results", "part-2.run-0.results"]
    assert last_report(case).count(": OK - Downloaded and verified") == 2
    assert case.unrestored() == []
    assert left_staged(case) == []


def test_an_array_that_is_cancelled_should_be_reported_and_not_come_again(
    run_cli: Cli, make_restore_case: MakeRestoreCase, cluster: SlurmCluster, faulty_proxy: FaultyProxy
) -> None:
    # given
    case = make_restore_case(big(), thermo("small.raw", size_bytes=1000), endpoint_url=faulty_proxy.endpoint_url)
    stall(faulty_proxy, PARTS - 1)
    submitted = submit(run_cli, cluster, case)

    # when
    cluster.ask("scancel", submitted.restore)
    ended = wait_for_state(cluster, submitted.report, "COMPLETED", "FAILED", "CANCELLED")

    # then
    assert (ended["JobState"], ended["ExitCode"]) == ("FAILED", "1:0"), submitted.said
    assert "1 raw file, 1 entry: 0 verified, 0 failed, 0 unresolvable, 1 not attempted" in submitted.said
    assert "queued again" not in submitted.said
    assert cluster.job(f"{submitted.restore}_1")["JobState"] == "CANCELLED"
    assert "big.raw: FAILURE - Not attempted (interrupted)\n" in last_report(case)
    assert "small.raw: OK - Downloaded and verified" in last_report(case)
