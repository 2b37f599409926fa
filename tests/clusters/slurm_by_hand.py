"""Plays Slurm for examples/slurm where there is none: notes what is asked of it, and runs jobs when a test says so.

`sbatch` and `scontrol` are scripts that note their arguments. A job gets Slurm's variables and a process group of its
own, so that it can be signalled as Slurm does: the batch script alone, or all of its processes.
"""

import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cli import PROGRAM, Cli, CliResult
from real_blocks import ROOT

SCRIPTS = ROOT / "examples" / "slurm"
RESTORE_JOB, REPORT_JOB = "101", "102"
_FIRST_TASK_JOB = 1000

_NOTE = """#!/bin/sh
{ printf '%s' "$(basename "$0")"; printf '\\t%s' "$@"; echo; } >> "$NOTED"
[ "$(basename "$0")" != sbatch ] || echo "$((100 + $(grep -c ^sbatch "$NOTED")))"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmByHand:
    """The cluster.

    Attributes:
        run_cli: What it runs the program with.
        folder: An empty folder for the scripts and what they note.
        run_folder: What is submitted goes there.
        started: Jobs; what still runs is killed by `end`.
    """

    run_cli: Cli
    folder: Path
    run_folder: Path
    started: list["subprocess.Popen[str]"] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("sbatch", "scontrol"):
            (self.folder / name).write_text(_NOTE)
            (self.folder / name).chmod(0o755)

    def submit(
        self,
        plan: Path,
        parts: int | str,
        *options: str,
        own_options: tuple[str, ...] = (),
        run_folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> CliResult:
        """Run submit.sh to its end, with options of its own and of sbatch."""
        arguments: list[str | Path] = [*own_options, plan, str(parts), run_folder or self.run_folder, *options]
        return self.finish(self._start([SCRIPTS / "submit.sh", *arguments], environment or {}))

    def asked(self, program: str) -> list[list[str]]:
        """With which arguments a program of Slurm's was called so far."""
        noted = self.folder / "noted"
        calls = [line.split("\t") for line in noted.read_text().splitlines()] if noted.exists() else []
        return [arguments for name, *arguments in calls if name == program]

    def start_task(
        self, number: int, *, restarts: int = 0, environment: Mapping[str, str] | None = None
    ) -> "subprocess.Popen[str]":
        """Start a task of the array that was submitted first."""
        variables = {
            "SLURM_JOB_ID": self.task_job(number),
            "SLURM_ARRAY_JOB_ID": RESTORE_JOB,
            "SLURM_ARRAY_TASK_ID": str(number),
            **({"SLURM_RESTART_COUNT": str(restarts)} if restarts else {}),  # Slurm does not set it at first
        }
        return self._start(self._script(0), variables | dict(environment or {}))

    def task_job(self, number: int) -> str:
        """The job's own number of a task."""
        return str(_FIRST_TASK_JOB + number)

    def report(self) -> CliResult:
        """Run the job that was submitted behind the array."""
        return self.finish(self._start(self._script(1), {"SLURM_JOB_ID": REPORT_JOB}))

    def finish(self, process: "subprocess.Popen[str]") -> CliResult:
        """Wait for a job."""
        return self.run_cli.finish(process)

    def end(self) -> None:
        """Kill what still runs."""
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()

    def _script(self, number: int) -> list[str | Path]:
        """A submitted script with its arguments."""
        arguments = self.asked("sbatch")[number]
        first = next(place for place, argument in enumerate(arguments) if not argument.startswith("--"))
        return ["/bin/bash", *arguments[first:]]

    def _start(self, command: list[str | Path], environment: Mapping[str, str]) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            ["/usr/bin/env", "--default-signal=INT,TERM,USR1", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            cwd=self.run_cli.folder,
            env={
                **self.run_cli.environment,
                "PATH": f"{self.folder}:{PROGRAM.parent}:/usr/bin:/bin",
                "NOTED": str(self.folder / "noted"),
                **environment,
            },
            start_new_session=True,
        )
        self.started.append(process)
        return process
