"""Puts what several runs said together into one result of a plan. Pure.

Of a file, the newest run that has something to say of it counts. `Not attempted (interrupted)` says nothing; of runs
that began in the same second, the one named last is the newer. A run's word counts only if it is of the bytes that the
plan asks for (etag, chunk size) at the place that it asks for, never by the name alone.

That a raw file failed as a whole (its bucket was missing) is said of those of its files that no run has a word of: the
run may have been of a part of the plan.
"""

import logging
from collections.abc import Iterator, Sequence

from schemas.errors import ResultsError
from schemas.paths import is_within, path_below
from schemas.plan import Plan, PlannedFile, RawFilePlan, UnresolvedFile
from schemas.recorded_results import RecordedFile, RecordedRawFile, RecordedRun, RunHead
from schemas.results import ApplyResult, Failure, FailureKind, FileResult, Outcome, RawFileResult
from schemas.text import counted, printable

logger = logging.getLogger(__name__)

_NOT_ATTEMPTED = Failure(FailureKind.NOT_ATTEMPTED)


def merge_results(plan: Plan, runs: Sequence[RecordedRun]) -> ApplyResult:
    """Return the result of a plan out of what runs over it, or over parts of it, have recorded.

    Where the plan lies below another output location than a run's, its files are compared by their place below it.

    Raises:
        ResultsError: a run has recorded results, and none of them is of this plan.
    """
    merger = _Merger(plan)
    with_head = [(run.head, run) for run in runs if run.head is not None]
    for head, run in sorted(with_head, key=lambda pair: pair[0].started_at):
        merger.add(head, run)
    return ApplyResult(
        plan_digest=plan.plan_digest or "",
        output_location=plan.output_location,
        raw_files=tuple(map(merger.raw_file_result, plan.raw_files)),
    )


def check_same_place(plan: Plan, runs: Sequence[RecordedRun]) -> None:
    """See that runs restored to where the plan restores to.

    Raises:
        ResultsError: one did not: what it said is of other files.
    """
    for run in runs:
        if run.head is not None and run.head.output_location != plan.output_location:
            raise ResultsError(
                f"{run.name}: these results are of files below {printable(run.head.output_location)}, not below "
                f"{printable(plan.output_location)}. If the report is to be of those, give --output-root "
                f"{printable(run.head.output_location)}"
            )


class _Merger:
    """The plan's entries, and the best word of each so far."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._raw_files = {raw_file.raw_file_id: raw_file for raw_file in plan.raw_files}
        self._planned = {
            (raw_file.raw_file_id, file.relative_path): (raw_file, file) for raw_file, file in plan.planned_files()
        }
        self._files: dict[tuple[str, str], FileResult] = {}
        self._failed: dict[str, Failure] = {}

    def add(self, head: RunHead, run: RecordedRun) -> None:
        """Take a run's results in; it is newer than those before.

        Raises:
            ResultsError: none of them is of this plan.
        """
        strange: list[RecordedFile | RecordedRawFile] = [file for file in run.files if not self._take(head, file)]
        strange += [raw_file for raw_file in run.failed_raw_files if not self._take_failure(head, raw_file)]
        if not strange:
            return
        total = len(run.files) + len(run.failed_raw_files)
        if len(strange) == total:
            raise ResultsError(
                f"{run.name}: none of its {counted(total, 'result')} is of this plan: it is of the plan "
                f"{printable(head.plan_digest)}, which asks for other files, other bytes or other places"
            )
        words = "%s: %s of %s not of this plan (other files, bytes or places), not counted; for example %s"
        logger.warning(words, run.name, f"{len(strange):,}", counted(total, "result"), _described(strange[0]))

    def _take(self, head: RunHead, recorded: RecordedFile) -> bool:
        """Take one file's result in, and tell whether it is of this plan."""
        failure = recorded.result.failure
        if failure is not None and failure.kind is FailureKind.UNRESOLVED:
            return recorded.raw_file_id in self._raw_files  # of these the plan itself says why they fail
        key = recorded.raw_file_id, recorded.result.relative_path
        entry = self._planned.get(key)
        if entry is None or not self._is_of(head, recorded, *entry):
            return False
        if failure is None or failure.kind is not FailureKind.INTERRUPTED or key not in self._files:
            self._files[key] = recorded.result
        return True

    def _take_failure(self, head: RunHead, recorded: RecordedRawFile) -> bool:
        raw_file = self._raw_files.get(recorded.raw_file_id)
        if raw_file is None:
            return False
        if raw_file.error is None:
            if not self._is_same_place(head, recorded.destination_base, raw_file.destination_base):
                return False
            self._failed[recorded.raw_file_id] = recorded.failure
        return True

    def _is_of(self, head: RunHead, recorded: RecordedFile, raw_file: RawFilePlan, file: PlannedFile) -> bool:
        return (
            recorded.expected_etag == file.expected_etag
            and ("-" not in file.expected_etag or recorded.chunk_size_mb == file.chunk_size_mb)
            and self._is_same_place(head, recorded.absolute_dest_path, raw_file.absolute_dest_path(file))
        )

    def _is_same_place(self, head: RunHead, recorded: str | None, planned: str | None) -> bool:
        return _below(recorded, head.output_location) == _below(planned, self._plan.output_location)

    def raw_file_result(self, raw_file: RawFilePlan) -> RawFileResult:
        """Return what became of a raw file."""
        return RawFileResult.of(raw_file, self._file_results(raw_file), self._failure_as_a_whole(raw_file))

    def _failure_as_a_whole(self, raw_file: RawFilePlan) -> Failure | None:
        if raw_file.error is not None:
            return Failure(FailureKind.UNRESOLVED, raw_file.error)
        has_a_word = any((raw_file.raw_file_id, file.relative_path) in self._files for file in raw_file.files)
        return None if has_a_word else self._failed.get(raw_file.raw_file_id)

    def _file_results(self, raw_file: RawFilePlan) -> Iterator[FileResult]:
        without_a_word = self._failed.get(raw_file.raw_file_id, _NOT_ATTEMPTED)
        for file in raw_file.files:
            said, failure = self._files.get((raw_file.raw_file_id, file.relative_path)), without_a_word
            if isinstance(file, UnresolvedFile):
                said, failure = None, Failure(FailureKind.UNRESOLVED, file.error)
            yield said or FileResult(
                relative_path=file.relative_path,
                outcome=Outcome.FAILED,
                failure=failure,
                size_bytes=file.expected_size,
            )


def _below(path: str | None, output_location: str) -> str | None:
    return path_below(path, output_location) if path is not None and is_within(path, output_location) else path


def _described(recorded: RecordedFile | RecordedRawFile) -> str:
    name = printable(recorded.raw_file_id, 200)
    return f"{name}: {printable(recorded.result.relative_path, 300)}" if isinstance(recorded, RecordedFile) else name
