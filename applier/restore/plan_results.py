"""Gathers the results of a plan's files as they come, and gives them in the plan's order."""

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from applier.reports.results_writer import ResultSink
from applier.restore.failures import conflict_with
from schemas.paths import path_below
from schemas.plan import Plan, PlannedFile, RawFilePlan, UnresolvedFile
from schemas.results import ApplyResult, Failure, FailureKind, FileResult, Outcome, RawFileResult
from schemas.results_file import file_line, raw_file_line
from schemas.text import printable

logger = logging.getLogger(__name__)

_NOT_ATTEMPTED = Failure(FailureKind.INTERRUPTED)
_NEVER_ENDED = Failure(FailureKind.UNFORESEEN, "it has not come to an end; see the log")


class PlanResults:
    """Gathers results as they come, and gives them in the plan's order."""

    def __init__(
        self, plan: Plan, bucket_failures: Mapping[str, Failure], sink: ResultSink, stop: threading.Event
    ) -> None:
        self._plan, self._sink, self._stop = plan, sink, stop
        self._lock = threading.Lock()
        self._planned = list(plan.planned_files())
        self._files: list[FileResult | None] = [None] * len(self._planned)
        self._failed = {
            raw_file.raw_file_id: failure
            for raw_file in plan.raw_files
            if (failure := _failure_as_a_whole(raw_file, bucket_failures)) is not None
        }

    def files_ended(self, ended: Sequence[tuple[list[int], FileResult]]) -> None:
        """Note the results of files that have ended together, each at all of its places."""
        lines = "".join(file_line(*self._planned[index], result) for indices, result in ended for index in indices)
        with self._lock:
            for indices, result in ended:
                for index in indices:
                    self._files[index] = result
            self._sink.write(lines)

    def fail_clashing(self, clashes: Mapping[str, str]) -> None:
        """Have both names fail that are one file for the file system, also the one that was restored first.

        Args:
            clashes: each such path with the other, relative to the output location.
        """
        if not clashes:
            return
        with self._lock:
            for index, (raw_file, file) in enumerate(self._plan.planned_files()):
                path = path_below(raw_file.absolute_dest_path(file), self._plan.output_location)
                result = self._files[index]
                if result is not None and result.outcome.succeeded and path in clashes:
                    failure = conflict_with(clashes[path])
                    logger.error("%s: FAILURE - %s", printable(file.relative_path), failure.message)
                    failed = replace(result, outcome=Outcome.FAILED, failure=failure)
                    self._files[index] = failed
                    self._sink.write(file_line(raw_file, file, failed))

    def apply_result(self) -> ApplyResult:
        """Return all results; what has none was not attempted."""
        with self._lock:
            planned = iter(list(self._files))
        raw_files = []
        for raw_file in self._plan.raw_files:
            result = self._raw_file_result(raw_file, planned)
            if result.failure is not None:
                self._sink.write(raw_file_line(result))
            raw_files.append(result)
        return ApplyResult(
            plan_digest=self._plan.plan_digest or "",
            output_location=self._plan.output_location,
            raw_files=tuple(raw_files),
        )

    def _raw_file_result(self, raw_file: RawFilePlan, planned: Iterator[FileResult | None]) -> RawFileResult:
        # also where it fails as a whole for its bucket: every planned file has its place among `planned`
        files = (
            []
            if raw_file.error is not None
            else [self._file_result(raw_file, file, planned) for file in raw_file.files]
        )
        return RawFileResult.of(raw_file, files, self._failed.get(raw_file.raw_file_id))

    def _file_result(
        self, raw_file: RawFilePlan, file: PlannedFile | UnresolvedFile, planned: Iterator[FileResult | None]
    ) -> FileResult:
        if isinstance(file, UnresolvedFile):
            failure = Failure(FailureKind.UNRESOLVED, file.error)
        elif (result := next(planned)) is not None:
            shares_its_destination = result.relative_path != file.relative_path
            return replace(result, relative_path=file.relative_path) if shares_its_destination else result
        else:
            failure = _NOT_ATTEMPTED if self._stop.is_set() else _NEVER_ENDED
        result = FileResult(
            relative_path=file.relative_path, outcome=Outcome.FAILED, failure=failure, size_bytes=file.expected_size
        )
        if raw_file.raw_file_id not in self._failed:
            self._sink.write(file_line(raw_file, file, result))
        return result


def _failure_as_a_whole(raw_file: RawFilePlan, bucket_failures: Mapping[str, Failure]) -> Failure | None:
    if raw_file.error is not None:
        return Failure(FailureKind.UNRESOLVED, raw_file.error)
    return bucket_failures.get(raw_file.bucket_name or "")
