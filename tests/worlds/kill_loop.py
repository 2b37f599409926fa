"""Starts a restorer again and again, ends it at a random instant, damages files in between, and checks every time.

Whatever was to be ended in the middle: each final file must be as it was before the run, or as the plan says.
"""

import random
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fault_case import final_paths
from faulty_proxy import FaultyProxy
from network_faults import Action, Answer, Cut, Fault, Flip, Reset, Stall, other_etag
from restore_case import RestoreCase

if TYPE_CHECKING:
    import subprocess

_ACTIONS: Sequence[Action] = (
    Flip(),
    Cut(),
    Reset(),
    Answer(status=503, code="SlowDown"),
    Stall(seconds=0.3, after=1000),
    other_etag(),
)
_LONGEST_RUN_SECONDS = 60


def add_faults(proxy: FaultyProxy, share: float) -> None:
    """Spoil a share of all answers, each kind of fault as often as any other."""
    each = share / len(_ACTIONS)
    for number, action in enumerate(_ACTIONS):
        proxy.add(Fault(action=action, probability=each / (1 - number * each)))  # of those that are left to it


@dataclass(slots=True, kw_only=True)
class Tally:
    """What a loop has seen.

    Attributes:
        ended: Runs that were ended from outside.
        mid_run: Of these, those that had sent S3 a request.
        published: Of these, those that had given a file its final name.
        finished: Runs that were faster.
        exit_codes: Of the finished, and of those that ended by themselves after a signal.
        wrong: What was found that must not be, in words.
    """

    ended: int = 0
    mid_run: int = 0
    published: int = 0
    finished: int = 0
    exit_codes: set[int] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class KillLoop:
    """Runs that are ended at random instants.

    Attributes:
        case: What is restored.
        start: Starts the restorer.
        proxy: Stands between it and S3.
        seed: Decides on instants and damage; it stands in everything that is found.
        signal_number: What ends the runs.
        first_request: After how many requests a run is ended at the soonest.
    """

    case: RestoreCase
    start: Callable[[], "subprocess.Popen[str]"]
    proxy: FaultyProxy
    seed: int
    signal_number: signal.Signals = signal.SIGKILL
    first_request: int = 0

    def run(self, count: int) -> Tally:
        """End so many runs, and tell what was seen."""
        random_ = random.Random(self.seed)  # noqa: S311  # to be repeatable is the point
        tally = Tally()
        while tally.ended < count:
            assert tally.finished <= 3 * count + 10, f"seed {self.seed}: the runs end too soon: {tally}"
            self._damage(random_)
            files, reports = self._files(), self._reports()
            was_ended = self._end_one(random_, tally)
            tally.published += was_ended and self._files() != files
            where = f"seed {self.seed}, {self.signal_number.name} number {tally.ended}"
            tally.wrong += [f"{where}: {found}" for found in self._wrong(files, reports)]
        return tally

    def _end_one(self, random_: random.Random, tally: Tally) -> bool:
        """Run once, and tell whether the run had to be ended."""
        asked_before = len(self.proxy.log)
        requests, extra_seconds = (
            random_.randrange(self.first_request, self._requests_of_a_run()),
            random_.uniform(0, 0.06),
        )
        process = self.start()
        deadline = time.monotonic() + _LONGEST_RUN_SECONDS
        while process.poll() is None and len(self.proxy.log) - asked_before < requests:
            assert time.monotonic() < deadline, f"seed {self.seed}: the run hangs"
            time.sleep(0.002)
        time.sleep(extra_seconds)
        was_ended = process.poll() is None
        if was_ended:
            process.send_signal(self.signal_number)
        tally.ended += was_ended
        tally.mid_run += was_ended and len(self.proxy.log) > asked_before
        tally.finished += not was_ended
        _, said = process.communicate(timeout=_LONGEST_RUN_SECONDS)
        tally.exit_codes.add(process.returncode)
        if "Traceback" in said:
            tally.wrong.append(f"seed {self.seed}: {said}")
        return was_ended

    def _requests_of_a_run(self) -> int:
        """About as many as a run sends under faults."""
        return 2 * sum(len(sample.contents) for sample in self.case.raw_files)

    def _files(self) -> dict[Path, bytes | None]:
        return {path: path.read_bytes() if path.exists() else None for path in final_paths(self.case)}

    def _reports(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in self.case.reports()}

    def _wrong(self, files: Mapping[Path, bytes | None], reports: Mapping[Path, bytes]) -> list[str]:
        wrong = []
        for path, content in final_paths(self.case).items():
            before, after = files[path], path.read_bytes() if path.exists() else None
            if after in (before, content):
                continue
            if after is None and before in [kept.read_bytes() for kept in path.parent.glob(f"{path.name}.corrupted*")]:
                continue  # it could not be healed
            what = "nothing" if after is None else f"{len(after)} bytes that are neither the old nor the right ones"
            wrong.append(f"{path.name} has {what}")
        after_reports = self._reports()
        wrong += [f"{path.name} was changed" for path, text in reports.items() if after_reports.get(path) != text]
        wrong += [
            f"{path.name} is not whole" for path, text in after_reports.items() if not self._is_whole(text.decode())
        ]
        return wrong

    def _is_whole(self, report: str) -> bool:
        """Whether a report has its end, and one line for each file."""
        lines = report.splitlines()
        files = [relative_path for sample in self.case.raw_files for relative_path in sample.contents]
        return lines[-1].startswith("Options: ") and all(
            sum(line.startswith(f"{relative_path}: ") for line in lines) == 1 for relative_path in files
        )

    def _damage(self, random_: random.Random) -> None:
        """Spoil about half of the files that are there, and now and then what is staged."""
        for path in final_paths(self.case):
            if path.exists() and random_.random() < 0.5:
                damage(path, random_)
        for staged in sorted(self.case.output_location.rglob("*.part")):
            if random_.random() < 0.2:
                damage(staged, random_)


def damage(path: Path, random_: random.Random) -> None:
    """Flip a bit of a file, cut it or delete it."""
    size_bytes = path.stat().st_size
    match random_.choice(["flip", "truncate", "delete"]):
        case "flip" if size_bytes:
            with path.open("r+b") as file:
                offset = random_.randrange(size_bytes)
                file.seek(offset)
                byte = file.read(1)[0]
                file.seek(offset)
                file.write(bytes([byte ^ (1 << random_.randrange(8))]))
        case "truncate" if size_bytes:
            with path.open("r+b") as file:
                file.truncate(random_.randrange(size_bytes))
        case _:
            path.unlink()
