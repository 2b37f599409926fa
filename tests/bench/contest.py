"""Commands side by side on one task: rounds, medians, ratios taken pair by pair. What they do is told in `peers`."""

import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from peers import Task, kraken_plan

Command = Callable[[Task, Path], list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of one command: wall seconds, CPU seconds, peak memory in MiB."""

    wall_seconds: float
    cpu_seconds: float
    peak_mib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What the runs of one contestant come to.

    Attributes:
        ratio: of the first contestant's wall times to this one's: median, least, most; None for the first one.
        bar: at most so large the ratio should be.
    """

    name: str
    wall_seconds: float
    cpu_seconds: float
    peak_mib: float
    ratio: tuple[float, float, float] | None
    bar: float | None

    @property
    def described_ratio(self) -> str:
        """The ratio for people, empty for the first contestant."""
        return "{:.2f} ({:.2f}-{:.2f})".format(*self.ratio) if self.ratio else ""

    @property
    def described_bar(self) -> str:
        """The bar for people, and whether it was kept; empty without one."""
        if self.bar is None or self.ratio is None:
            return ""
        return f"bar {self.bar:.2f}: {'kept' if self.ratio[0] <= self.bar else 'MISSED'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """Commands that run one after the other, timed as one."""

    name: str
    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """What is compared, and how.

    Attributes:
        name: for progress on stderr.
        contestants: the first is what the others are compared with.
        restored_before: all find the task's files in place, restored once by kraken-plan.
        keeps_files: whether what was restored stays until the bench is over. ext4 takes its time to create files while
            it remembers deleted ones, for minutes, which with small files hides what else they cost.
        rounds: how many count; one more warms up.
        folder: files are restored below it.
        environment: of the commands.
    """

    name: str
    task: Task
    contestants: Sequence[Contestant]
    restored_before: bool
    keeps_files: bool
    rounds: int
    folder: Path
    environment: dict[str, str]


def timed(command: Sequence[str], environment: dict[str, str]) -> Run:
    """Run a command and return what the kernel counted for it."""
    measured = [sys.executable, str(Path(__file__).with_name("measured.py")), *command]
    counted = json.loads(subprocess.run(measured, env=environment, stdout=subprocess.PIPE, check=True).stdout)
    if counted.pop("exit_code") != 0:
        raise SystemExit(f"{' '.join(command)} failed")
    return Run(**counted)


def hold(contest: Contest) -> dict[str, list[Run]]:
    """Run all contestants in turn, round by round, and return the counted runs of each by its name."""
    runs: dict[str, list[Run]] = {contestant.name: [] for contestant in contest.contestants}
    restored = contest.folder / contest.name
    if contest.restored_before:
        restored.mkdir(parents=True)
        timed(kraken_plan(contest.task, restored), contest.environment)
    for number in range(contest.rounds + 1):
        words = f"round {number} of {contest.rounds}" if number else "warming up"
        print(f"{contest.name}: {words}", file=sys.stderr, flush=True)
        place = contest.folder / f"{contest.name}-{number}"
        for contestant in contest.contestants:
            folder = restored if contest.restored_before else place / contestant.name.replace(" ", "-")
            run = _run_once(contestant, contest, folder)
            if number:
                runs[contestant.name].append(run)
        if not contest.keeps_files:
            shutil.rmtree(place, ignore_errors=contest.restored_before)
    shutil.rmtree(restored, ignore_errors=True)
    return runs


def compare(runs: dict[str, list[Run]], bar: float | None) -> list[Row]:
    """Return medians, and the ratios of the first contestant's wall times to those of each other one.

    Args:
        runs: of each contestant.
        bar: of the second contestant.
    """
    first, *_ = runs.values()
    rows = []
    for place, (name, theirs) in enumerate(runs.items()):
        ratios = sorted(ours.wall_seconds / other.wall_seconds for ours, other in zip(first, theirs, strict=True))
        row = Row(
            name=name,
            wall_seconds=statistics.median(run.wall_seconds for run in theirs),
            cpu_seconds=statistics.median(run.cpu_seconds for run in theirs),
            peak_mib=max(run.peak_mib for run in theirs),
            ratio=(statistics.median(ratios), ratios[0], ratios[-1]) if place else None,
            bar=bar if place == 1 else None,
        )
        rows.append(row)
    return rows


def show(title: str, rows: Sequence[Row]) -> None:
    """Print the table of a case."""
    print(f"\n{title}")
    for row in rows:
        figures = f"{row.wall_seconds:7.2f} s  {row.cpu_seconds:6.2f} CPU s  {row.peak_mib:6.0f} MiB"
        print(f"  {row.name:28} {figures}   {row.described_ratio} {row.described_bar}".rstrip(), flush=True)


def _run_once(contestant: Contestant, contest: Contest, folder: Path) -> Run:
    """Run a contestant, into a folder of its own."""
    folder.mkdir(parents=True, exist_ok=contest.restored_before)
    os.sync()
    runs = [timed(command(contest.task, folder), contest.environment) for command in contestant.commands]
    return Run(
        wall_seconds=sum(run.wall_seconds for run in runs),
        cpu_seconds=sum(run.cpu_seconds for run in runs),
        peak_mib=max(run.peak_mib for run in runs),
    )
