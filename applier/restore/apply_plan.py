"""Runs a whole plan: every file by the crew, and the results in the plan's order."""

import functools
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from applier.reports.results_writer import ResultSink
from applier.restore.check_file import Look, check_file
from applier.restore.find_object import is_found_listed_as_planned, is_listed_as_planned
from applier.restore.plan_results import PlanResults
from applier.restore.restore_file import restore_file
from applier.restore.small_files import (
    Placed,
    group_small_files,
    look_at_small_files,
    most_absent_together,
    most_listed_together,
    restore_absent_files,
)
from applier.restore.tools import RestoreTools
from applier.s3.archive import ThawWait
from applier.s3.fetcher import Interrupted
from applier.target import Target, distinct_targets, location_of
from schemas.plan import Plan
from schemas.results import ApplyResult, Failure, FailureKind, FileResult, Outcome
from schemas.tally import Fate, fate_of_file
from schemas.text import counted, human_rate, human_size, printable

logger = logging.getLogger(__name__)

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
    results = PlanResults(plan, bucket_failures, sink, tools.check.fetcher.stop)
    thawing: dict[str, _Ended] = {}

    def end(files: Sequence[_Ended]) -> None:
        for file in files:
            _log(file.result, file.target, tools.s3_name)
            tools.check.progress.file_ended(file.result, len(file.indices))
        results.files_ended([(file.indices, file.result) for file in files])

    def end_or_wait(files: Sequence[_Ended]) -> None:
        ended: list[_Ended] = []
        for file in files:
            if thaw_wait is not None and _is_thawing(file.result):
                thawing[file.target.path] = file
            else:
                ended.append(file)
        end(ended)

    ended = _Passes(tools, end_or_wait).run(distinct_targets(plan, bucket_failures), plan.totals().files)
    if ended and thaw_wait is not None:
        ended = _restore_thawed(thawing, tools, thaw_wait, end)
    end(list(thawing.values()))
    results.fail_clashing(tools.verified_files.clashes)
    return results.apply_result(), ended


@dataclass(frozen=True, slots=True)
class _Ended:
    """A file, its places in the plan, and how it ended."""

    indices: list[int]
    target: Target
    result: FileResult


@dataclass(frozen=True, slots=True)
class _Passes:
    """Restores files in two passes: fetching takes its time, so those that are listed and can be skipped go first.

    Args:
        tools: what restoring a file needs.
        end: takes files that have ended.
    """

    tools: RestoreTools
    end: Callable[[Sequence[_Ended]], None]
    left: list[Placed] = field(default_factory=list, init=False)

    def run(self, targets: Iterator[Placed], files: int) -> bool:
        """Restore files, about so many; return whether every thread has ended."""
        ahead, crew = self.tools.check.ahead, self.tools.check.crew
        targets = ahead.look_ahead(targets, location_of)
        groups = group_small_files(
            targets,
            lambda target: is_listed_as_planned(target, ahead),
            most_listed=most_listed_together(files, crew.threads),
            most_absent=most_absent_together(files, crew.threads),
        )
        ended = crew.run(
            functools.partial(self._skip_or_leave if listed else self._restore, group) for listed, group in groups
        )
        if not (ended and self.left):
            return ended
        together = most_absent_together(len(self.left), crew.threads)
        groups = group_small_files(self.left, lambda _: False, most_absent=together)
        return crew.run((functools.partial(self._restore_left, group) for _, group in groups), at_once=len(self.left))

    def _skip_or_leave(self, group: list[Placed]) -> None:
        self.left.extend(self._skip_right(group))

    def _restore_left(self, group: list[Placed]) -> None:
        for placed in self._restore_absent(group):
            self._restore_one(placed)

    def _restore(self, group: list[Placed]) -> None:
        # files in place come here, too, before the first page of a listing has told that they can be skipped
        left = deque(self._restore_absent(group))
        while len(left) > 1 and not is_found_listed_as_planned(left[0][1], self.tools.check.ahead):
            self._restore_one(left.popleft())
        for placed in self._skip_right(left):
            self._restore_one(placed)

    def _restore_absent(self, group: list[Placed]) -> list[Placed]:
        """Restore small files that are not there yet; return the others."""
        restored = restore_absent_files([target for _, target in group], self.tools)
        self.end([_Ended(*placed, restored[placed[1].path]) for placed in group if placed[1].path in restored])
        return [placed for placed in group if placed[1].path not in restored]

    def _skip_right(self, files: Sequence[Placed]) -> list[Placed]:
        """Skip those files that S3 has listed as the plan says, and that are right; return the others."""
        check = self.tools.check
        right = look_at_small_files([target for _, target in files if is_listed_as_planned(target, check.ahead)], check)
        skipped = [placed for placed in files if placed[1].path in right]
        self.end([_Ended(*placed, restore_file(placed[1], self.tools, right[placed[1].path])) for placed in skipped])
        return [placed for placed in files if placed[1].path not in right]

    def _restore_one(self, placed: Placed) -> None:
        self.end([_Ended(*placed, restore_file(placed[1], self.tools))])


def _is_thawing(result: FileResult) -> bool:
    return result.failure is not None and result.failure.kind is FailureKind.THAWING


def _restore_thawed(
    thawing: dict[str, _Ended],
    tools: RestoreTools,
    wait: ThawWait,
    end: Callable[[Sequence[_Ended]], None],
) -> bool:
    """Restore files as S3 gets them ready, round by round, and take them out; those left are still not ready.

    Returns:
        Whether every thread has ended.
    """

    def restore(waiting: _Ended) -> None:
        if not _has_thawed(waiting.target, tools):
            return
        result = _with_corrupt_copy(restore_file(waiting.target, tools), waiting.result)
        if not _is_thawing(result):
            del thawing[waiting.target.path]
            end([replace(waiting, result=result)])

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
