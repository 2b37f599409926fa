"""Runs a whole plan: every file by the crew, and the results in the plan's order."""

import functools
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from applier.reports.results_writer import ResultSink
from applier.restore.check_file import Look, check_file, group_small_files, look_at_small_files
from applier.restore.decide import LocalState
from applier.restore.failures import conflict_with
from applier.restore.restore_file import restore_file
from applier.restore.tools import RestoreTools
from applier.s3.archive import ThawWait
from applier.s3.fetcher import Interrupted
from applier.target import Target, distinct_targets, location_of
from schemas.paths import path_below
from schemas.plan import Plan, PlannedFile, RawFilePlan, UnresolvedFile
from schemas.results import ApplyResult, Failure, FailureKind, FileResult, Outcome, RawFileResult
from schemas.tally import Fate, fate_of_file
from schemas.text import counted, human_rate, human_size, printable

logger = logging.getLogger(__name__)

_NOT_ATTEMPTED = Failure(FailureKind.INTERRUPTED)
_NEVER_ENDED = Failure(FailureKind.UNFORESEEN, "it has not come to an end; see the log")
# A look that ends in one of these says that a file is still to be waited for.
_STILL_THAWING = frozenset({FailureKind.THAWING, FailureKind.NETWORK, FailureKind.TIMEOUT})


def apply_plan(
    plan: Plan,
    tools: RestoreTools,
    sink: ResultSink,
    bucket_failures: Mapping[str, Failure],
    thaw_wait: ThawWait | None = None,
) -> tuple[ApplyResult, bool]:
    """Restore every file of a plan; one file's fault is its own.

    Args:
        plan: as `read_plan` accepted it.
        tools: what restoring a file needs.
        sink: given every result as it comes.
        bucket_failures: why buckets cannot be used, by their name; their raw files fail as a whole.
        thaw_wait: how long to wait for files that S3 is restoring from its archives; None not to wait.

    Returns:
        All results, and whether every thread has ended: False only after an interruption that some did not answer.
    """
    for bucket, failure in bucket_failures.items():
        logger.error("bucket %s: %s", printable(bucket), failure.message)
    results = _Results(plan, bucket_failures, sink, tools.check.fetcher.stop)
    thawing: dict[str, _Thawing] = {}
    left: list[tuple[list[int], Target]] = []

    def end(indices: list[int], target: Target, result: FileResult) -> None:
        _log(result, target, tools.s3_name)
        tools.check.progress.file_ended(result, len(indices))
        results.file_ended(indices, result)

    def restore(indices: list[int], target: Target, local: LocalState | None = None) -> None:
        result = restore_file(target, tools, local)
        if thaw_wait is not None and _is_thawing(result):
            thawing[target.path] = _Thawing(indices=indices, target=target, result=result)
        else:
            end(indices, target, result)

    def skip_or_leave(group: list[tuple[list[int], Target]]) -> None:
        right = look_at_small_files([target for _, target in group], tools.check)
        for indices, target in group:
            if len(group) == 1 or target.path in right:
                restore(indices, target, right.get(target.path))
            else:
                left.append((indices, target))  # a task of its own: fetching takes its time

    targets = tools.check.ahead.look_ahead(distinct_targets(plan, bucket_failures), location_of)
    groups = group_small_files(targets, tools.check.ahead)
    crew = tools.check.crew
    ended = crew.run(functools.partial(skip_or_leave, group) for group in groups)
    ended = ended and crew.run(functools.partial(restore, indices, target) for indices, target in left)
    if ended and thaw_wait is not None:
        ended = _restore_thawed(thawing, tools, thaw_wait, end)
    for waiting in list(thawing.values()):
        end(waiting.indices, waiting.target, waiting.result)
    results.fail_clashing(tools.verified_files.clashes)
    return results.apply_result(), ended


@dataclass(frozen=True, slots=True, kw_only=True)
class _Thawing:
    """A file that S3 is restoring from an archive: its places in the plan, and how the first attempt ended."""

    indices: list[int]
    target: Target
    result: FileResult


def _is_thawing(result: FileResult) -> bool:
    return result.failure is not None and result.failure.kind is FailureKind.THAWING


def _restore_thawed(
    thawing: dict[str, _Thawing],
    tools: RestoreTools,
    wait: ThawWait,
    end: Callable[[list[int], Target, FileResult], None],
) -> bool:
    """Restore files as S3 gets them ready, round by round, and take them out; those left are still not ready.

    Returns:
        Whether every thread has ended.
    """

    def restore(waiting: _Thawing) -> None:
        if not _has_thawed(waiting.target, tools):
            return
        result = _with_corrupt_copy(restore_file(waiting.target, tools), waiting.result)
        if not _is_thawing(result):
            del thawing[waiting.target.path]
            end(waiting.indices, waiting.target, result)

    ended = True
    for _ in wait.rounds(tools.check.fetcher.stop):
        tools.check.progress.files_thawing(len(thawing))
        ended = tools.check.crew.run(functools.partial(restore, waiting) for waiting in list(thawing.values()))
        if not (thawing and ended):
            break
    tools.check.progress.files_thawing(len(thawing))
    return ended


def _has_thawed(target: Target, tools: RestoreTools) -> bool:
    """Tell whether it is worth while to restore a file; asks S3 only, which is a fraction of what an attempt takes."""
    try:
        failure = check_file(target, tools.check, Look.THREE_WAY_BY_SIZE).s3_failure
    except Interrupted:
        return False
    except BaseException:  # noqa: BLE001  # `restore_file` will say what it is
        return True
    return failure is None or failure.kind not in _STILL_THAWING


def _with_corrupt_copy(result: FileResult, before: FileResult) -> FileResult:
    """Return a result that knows of the corrupt file that the attempt before has moved aside: the file was healed."""
    if before.corrupt_copy is None or result.corrupt_copy is not None:
        return result
    if (failure := result.failure) is not None:
        detail = f"{failure.detail}; the corrupt local file was moved to {before.corrupt_copy}"
        return replace(result, failure=Failure(failure.kind, detail), corrupt_copy=before.corrupt_copy)
    outcome = Outcome.HEALED if result.outcome is Outcome.DOWNLOADED else result.outcome
    return replace(result, outcome=outcome, corrupt_copy=before.corrupt_copy)


class _Results:
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

    def file_ended(self, indices: list[int], result: FileResult) -> None:
        """Note a result at each of its places."""
        with self._lock:
            for index in indices:
                self._files[index] = result
                self._sink.file_ended(*self._planned[index], result)

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
                    self._sink.file_ended(raw_file, file, failed)

    def apply_result(self) -> ApplyResult:
        """Return all results; what has none was not attempted."""
        with self._lock:
            planned = iter(list(self._files))
        raw_files = []
        for raw_file in self._plan.raw_files:
            result = self._raw_file_result(raw_file, planned)
            if result.failure is not None:
                self._sink.raw_file_failed(result)
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
            # of an entry that shares its destination, under its own name
            return replace(result, relative_path=file.relative_path)
        else:
            failure = _NOT_ATTEMPTED if self._stop.is_set() else _NEVER_ENDED
        result = FileResult(
            relative_path=file.relative_path, outcome=Outcome.FAILED, failure=failure, size_bytes=file.expected_size
        )
        if raw_file.raw_file_id not in self._failed:
            self._sink.file_ended(raw_file, file, result)
        return result


def _log(result: FileResult, target: Target, s3_name: str) -> None:
    """Log how a file ended, in a line of its own; a log in JSON has the same as fields."""
    level = logging.ERROR if fate_of_file(result) is Fate.FAILED else logging.INFO
    if not logger.isEnabledFor(level):
        return
    retries = f", {counted(result.retries, 'retry')}" if result.retries else ""
    if result.failure is not None:
        words = f"FAILURE - {result.failure.message}{retries}"
    else:
        size_bytes, seconds = result.size_bytes or 0, result.duration_seconds
        rate = f", {human_rate(size_bytes / seconds)}" if seconds > 0 else ""
        words = f"{fate_of_file(result).value}, {human_size(size_bytes)} in {seconds:.1f} s{rate}{retries}"
    if logger.isEnabledFor(logging.INFO):
        words += f"; {printable(str(target.location))} at {s3_name}"
    fields = {
        "file": result.relative_path,
        "outcome": result.outcome.value,
        "failure_kind": result.failure and result.failure.kind.name.lower(),
        "size_bytes": result.size_bytes,
        "duration_seconds": round(result.duration_seconds, 3),
        "retries": result.retries,
        "object": str(target.location),
        "s3": s3_name,
    }
    logger.log(level, "%s: %s", printable(result.relative_path), words, extra={"fields": fields})


def _failure_as_a_whole(raw_file: RawFilePlan, bucket_failures: Mapping[str, Failure]) -> Failure | None:
    if raw_file.error is not None:
        return Failure(FailureKind.UNRESOLVED, raw_file.error)
    return bucket_failures.get(raw_file.bucket_name or "")
