"""Merges what several runs reported into one result of a plan. Pure.

For each file, the newest run that attempted it counts; of runs that began in the same second, the one that is named
last. A result counts only if it is about the bytes that the plan asks for (etag, chunk size) at the place that it asks
for, never by the name alone.

The order of runs rests on the clocks of their hosts, which may disagree. So a success counts only if its file is still
in place: `MergedResults.successes` says where to look, and where a file is not, another run's failure counts.

A raw file that failed as a whole (its bucket was missing) lends its failure to those of its files that no run has a
result of: the run may have been of a part of the plan.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from schemas.errors import ResultsError
from schemas.paths import is_within, path_below
from schemas.plan import Plan, PlannedFile, RawFilePlan, UnresolvedFile
from schemas.results import (
    ApplyResult,
    Failure,
    FailureKind,
    FileResult,
    Outcome,
    RawFileResult,
    RecordedFile,
    RecordedRawFile,
    RecordedRun,
)
from schemas.text import counted, printable

logger = logging.getLogger(__name__)

_NOT_ATTEMPTED = Failure(FailureKind.NOT_ATTEMPTED)
_SAYS_NOTHING = frozenset({FailureKind.INTERRUPTED, FailureKind.NOT_ATTEMPTED})
_CLOCK_TOLERANCE = timedelta(minutes=1)

_Entry = tuple[str, str]  # raw_file_id, relative_path


class RestoredFile(NamedTuple):
    """A file that a run reported as verified: below which output location, under which path, of which size."""

    output_location: str
    path_below: str
    size_bytes: int | None


class _Report(NamedTuple):
    """What one run reported of a file; `order` is the run's place among all, by their clocks."""

    order: int
    run: RecordedRun
    result: FileResult


def merge_results(plan: Plan, runs: Sequence[RecordedRun]) -> "MergedResults":
    """Merge what runs over a plan, or over parts of it, have recorded.

    Where the plan lies below another output location than a run's, files are compared by their place below it.

    Raises:
        ResultsError: a run has recorded results, and none of them is of this plan.
    """
    merged = MergedResults(plan)
    for order, run in enumerate(sorted(runs, key=lambda run: run.head.started_at)):
        merged.add(order, run)
    return merged


def check_same_place(plan: Plan, runs: Sequence[RecordedRun]) -> None:
    """Refuse runs that restored to another place than the plan does.

    Raises:
        ResultsError: one did: its results are of other files.
    """
    for run in runs:
        if run.head.output_location != plan.output_location:
            raise ResultsError(
                f"{run.name}: these results are of files below {printable(run.head.output_location)}, not below "
                f"{printable(plan.output_location)}. To report on those, give --output-root "
                f"{printable(run.head.output_location)}"
            )


def warn_of_clocks_ahead(runs: Sequence[RecordedRun], now: datetime) -> None:
    """Warn of runs that began in the future (UTC): the clock of their host is ahead, and they would count as newer."""
    for run in runs:
        if run.head.started_at > now + _CLOCK_TOLERANCE:
            words = "%s: this run began in the future, at %s UTC: is the clock of its host ahead?"
            logger.warning(words, run.name, f"{run.head.started_at:%Y-%m-%d %H:%M:%S}")


class MergedResults:
    """The newest success and the newest failure of each entry of a plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._raw_files = {raw_file.raw_file_id: raw_file for raw_file in plan.raw_files}
        self._planned = {
            (raw_file.raw_file_id, file.relative_path): (raw_file, file) for raw_file, file in plan.planned_files()
        }
        self._successes: dict[_Entry, _Report] = {}
        self._failures: dict[_Entry, _Report] = {}
        self._failed_raw_files: dict[str, Failure] = {}

    def add(self, order: int, run: RecordedRun) -> None:
        """Add a run's results; it is newer than all that were added before.

        Raises:
            ResultsError: none of them is of this plan.
        """
        strange = [
            line
            for line in run.lines
            if not (
                self._add_file(order, run, line) if isinstance(line, RecordedFile) else self._add_raw_file(run, line)
            )
        ]
        if not strange:
            return
        if len(strange) == len(run.lines):
            raise ResultsError(
                f"{run.name}: none of its {counted(len(strange), 'result')} is of this plan: they are of the plan "
                f"{printable(run.head.plan_digest)}, which asks for other files, other bytes or other places"
            )
        words = "%s: %s of %s not of this plan (other files, bytes or places), not counted; for example %s"
        total = counted(len(run.lines), "result")
        logger.warning(words, run.name, f"{len(strange):,}", total, _describe(strange[0]))

    def _add_file(self, order: int, run: RecordedRun, recorded: RecordedFile) -> bool:
        """Add one file's result, and tell whether it is of this plan."""
        failure = recorded.result.failure
        if failure is not None and failure.kind is FailureKind.UNRESOLVED:
            return recorded.raw_file_id in self._raw_files  # the plan itself says why these fail
        entry = recorded.raw_file_id, recorded.result.relative_path
        planned = self._planned.get(entry)
        if planned is None or not self._is_of(run, recorded, *planned):
            return False
        report = _Report(order, run, recorded.result)
        if failure is None:
            self._successes[entry] = report
        elif failure.kind in _SAYS_NOTHING:
            self._failures.setdefault(entry, report._replace(order=-1))
        else:
            self._failures[entry] = report
        return True

    def _add_raw_file(self, run: RecordedRun, recorded: RecordedRawFile) -> bool:
        raw_file = self._raw_files.get(recorded.raw_file_id)
        if raw_file is None:
            return False
        if raw_file.error is None:
            if not self._is_same_place(run, recorded.destination_base, raw_file.destination_base):
                return False
            self._failed_raw_files[recorded.raw_file_id] = recorded.failure
        return True

    def _is_of(self, run: RecordedRun, recorded: RecordedFile, raw_file: RawFilePlan, file: PlannedFile) -> bool:
        return (
            recorded.expected_etag == file.expected_etag
            and ("-" not in file.expected_etag or recorded.chunk_size_mb == file.chunk_size_mb)
            and self._is_same_place(run, recorded.absolute_dest_path, raw_file.absolute_dest_path(file))
        )

    def _is_same_place(self, run: RecordedRun, recorded: str | None, planned: str | None) -> bool:
        return _below(recorded, run.head.output_location) == _below(planned, self._plan.output_location)

    def successes(self) -> Iterator[RestoredFile]:
        """Yield the files that are right if they are still in place."""
        for entry, success in self._successes.items():
            if success is self._newest(entry):
                yield self._restored_file(entry, success)

    def warn_of_disagreements(self) -> None:
        """Warn where the clocks of different hosts decide whether a file counts as verified or as failed."""
        pairs = Counter[tuple[str, str]]()
        for entry, success in self._successes.items():
            failure = self._failures.get(entry)
            if failure is not None and failure.order >= 0 and failure.run.head.host != success.run.head.host:
                reports = (failure, success) if success is self._newest(entry) else (success, failure)
                pairs[reports[0].run.name, reports[1].run.name] += 1
        for (older, newer), number in pairs.items():
            words = "%s and %s, of different hosts, disagree on %s: the latter is the later one if their clocks agree"
            logger.warning(words, older, newer, counted(number, "file"))

    def apply_result(self, out_of_place: Mapping[RestoredFile, str]) -> ApplyResult:
        """Return the result of the plan.

        Args:
            out_of_place: those of `successes` that are not in place any more, and what was found instead.
        """
        return ApplyResult(
            plan_digest=self._plan.plan_digest or "",
            output_location=self._plan.output_location,
            raw_files=tuple(self._raw_file_result(raw_file, out_of_place) for raw_file in self._plan.raw_files),
        )

    def _raw_file_result(self, raw_file: RawFilePlan, out_of_place: Mapping[RestoredFile, str]) -> RawFileResult:
        has_a_result = any(self._newest((raw_file.raw_file_id, file.relative_path)) for file in raw_file.files)
        failure = None if has_a_result else self._failed_raw_files.get(raw_file.raw_file_id)
        if raw_file.error is not None:
            failure = Failure(FailureKind.UNRESOLVED, raw_file.error)
        files = (self._file_result(raw_file, file, out_of_place) for file in raw_file.files)
        return RawFileResult.of(raw_file, files, failure)

    def _file_result(
        self, raw_file: RawFilePlan, file: PlannedFile | UnresolvedFile, out_of_place: Mapping[RestoredFile, str]
    ) -> FileResult:
        entry = raw_file.raw_file_id, file.relative_path
        if isinstance(file, UnresolvedFile):
            return _failed(file, Failure(FailureKind.UNRESOLVED, file.error))
        newest = self._newest(entry)
        if newest is None:
            return _failed(file, self._failed_raw_files.get(raw_file.raw_file_id, _NOT_ATTEMPTED))
        found = out_of_place.get(self._restored_file(entry, newest)) if newest.result.outcome.succeeded else None
        if found is None:
            return newest.result
        failure = self._failures.get(entry)
        if failure is not None and failure.order >= 0:
            return failure.result
        reported = f"{newest.run.name} reports it as {newest.result.outcome.value}"
        return _failed(file, Failure(FailureKind.NOT_AS_RESTORED, f"{found}; {reported}. Apply the plan again"))

    def _newest(self, entry: _Entry) -> _Report | None:
        success, failure = self._successes.get(entry), self._failures.get(entry)
        if success is None or failure is None:
            return success or failure
        return success if success.order > failure.order else failure

    def _restored_file(self, entry: _Entry, success: _Report) -> RestoredFile:
        raw_file, file = self._planned[entry]
        below = path_below(raw_file.absolute_dest_path(file), self._plan.output_location)
        size_bytes = success.result.size_bytes if file.expected_size is None else file.expected_size
        return RestoredFile(success.run.head.output_location, below, size_bytes)


def _failed(file: PlannedFile | UnresolvedFile, failure: Failure) -> FileResult:
    return FileResult(
        relative_path=file.relative_path, outcome=Outcome.FAILED, failure=failure, size_bytes=file.expected_size
    )


def _below(path: str | None, output_location: str) -> str | None:
    return path_below(path, output_location) if path is not None and is_within(path, output_location) else path


def _describe(recorded: RecordedFile | RecordedRawFile) -> str:
    name = printable(recorded.raw_file_id, 200)
    return f"{name}: {printable(recorded.result.relative_path, 300)}" if isinstance(recorded, RecordedFile) else name
