"""Verifies the local files of a plan: reads them, computes their etags, and changes nothing.

Each file is looked at in every run: it has to be there, with its right size. Which files are read, too, is up to the
pass: those that it has not read yet, those that were wrong, and those that were touched since they were read.
"""

import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from applier.disk.folders import OutputFolder, closing_descriptor, open_regular_file
from applier.reports.results_writer import ResultSink
from applier.restore.check_file import look_at_local_file
from applier.restore.crew import Crew
from applier.restore.decide import LocalKind, LocalState
from applier.restore.failures import failure_of
from applier.restore.find_object import Acceptance
from applier.restore.progress import Progress
from applier.target import Target, distinct_targets
from applier.verify.pass_record import PassRecord, Verified
from applier.verify.sample import Candidate, choose_sample
from schemas.plan import Plan, PlannedFile, UnresolvedFile
from schemas.results import ApplyResult, Failure, FailureKind, FileResult, Outcome, RawFileResult
from schemas.results_file import file_line, raw_file_line
from schemas.text import printable

logger = logging.getLogger(__name__)

_NOT_ATTEMPTED = Failure(FailureKind.NOT_ATTEMPTED)
_STILL_WRONG = Failure(
    FailureKind.NOT_AS_PLANNED, "it was wrong when last read, and the time ran out before it could be read again"
)
_INTERRUPTED = Failure(FailureKind.INTERRUPTED)
_SAY_NOTHING = frozenset({FailureKind.INTERRUPTED, FailureKind.NOT_ATTEMPTED})


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyTools:
    """What verifying local files needs.

    Args:
        output: the output location.
        crew: reads several files at once, and pieces of one file at once.
        progress: notified of the bytes hashed.
        accept: whether the MD5 of the plan is accepted as a proof.
        now: UTC.
    """

    output: OutputFolder
    crew: Crew
    progress: Progress
    accept: Acceptance = field(default_factory=Acceptance)
    now: Callable[[], datetime] = _utc_now


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much a run reads.

    Args:
        share: of the plan's bytes; 1 for everything that the pass has not read yet.
        is_over: whether the time is up, so that no further file is read.
    """

    share: float = 1.0
    is_over: Callable[[], bool] = lambda: False


def verify_plan(
    plan: Plan, tools: VerifyTools, record: PassRecord, extent: Extent, sink: ResultSink
) -> tuple[ApplyResult, bool]:
    """Verify the files of a plan, as far as a run goes; one file's fault is its own.

    Args:
        plan: as `read_plan` accepted it.
        tools: what it takes.
        record: of the pass.
        extent: how much to read.
        sink: given every result as it comes.

    Returns:
        What became of every entry, and whether every thread has ended, see `apply_plan`. Files that are right count as
        skipped; of those that were read earlier in the pass, the remark says so.
    """
    planned = list(plan.planned_files())
    results: dict[int, FileResult] = {}
    lock = threading.Lock()
    chosen = _choose(plan, record, extent)

    def verify(indices: list[int], target: Target) -> None:
        read = (chosen is None or target.path in chosen or record.was_read(target.path)) and not extent.is_over()
        try:
            result = _verify_file(target, tools, record, read=read)
        except BaseException as error:  # noqa: BLE001  # one file's fault is its own, as in `restore_file`
            result = _failed(target.file, failure_of(error))
        _log(result)
        tools.progress.file_ended(result, len(indices))
        with lock:
            for index in indices:  # entries that share a destination share its result, each under its own name
                raw_file, file = planned[index]
                results[index] = replace(result, relative_path=file.relative_path)
                sink.write(file_line(raw_file, file, results[index]))

    # those that were wrong come first: the time may be up before the last file
    targets = sorted(distinct_targets(plan), key=lambda target: not record.was_wrong(target[1].path))
    ended = tools.crew.run(functools.partial(verify, indices, target) for indices, target in targets)
    with lock:  # threads that have not ended may still add what they see
        raw_files = tuple(_raw_file_results(plan, dict(results), sink))
    digest = plan.plan_digest or ""
    return ApplyResult(plan_digest=digest, output_location=plan.output_location, raw_files=raw_files), ended


def _choose(plan: Plan, record: PassRecord, extent: Extent) -> frozenset[str] | None:
    """Return which of the files that the pass has not read yet are to be read; None for all."""
    if extent.share >= 1:
        return None
    files = [Candidate(target.path, target.file.expected_size) for _, target in distinct_targets(plan)]
    unread = (file for file in files if not record.was_read(file.path))
    return choose_sample(unread, sum(file.weight for file in files), extent.share, record.head.pass_id)


def _verify_file(target: Target, tools: VerifyTools, record: PassRecord, *, read: bool) -> FileResult:
    """Look at a file, and read it if it is its turn.

    Raises:
        Interrupted: the run is to stop.
    """
    begun = time.monotonic()
    earlier = record.verified(target.path)
    local = _look(target, tools, read=read and earlier is None)
    if local.kind is LocalKind.UNVERIFIED and earlier is not None:
        if earlier.is_untouched(local.identity):
            return _verified_earlier(target.file, earlier)
        if read:
            local = _look(target, tools, read=True)
    match local.kind:
        case LocalKind.UNVERIFIED:
            return _failed(target.file, _STILL_WRONG if record.was_wrong(target.path) else _NOT_ATTEMPTED)
        case LocalKind.RIGHT:
            if local.identity is not None:
                record.note(target.path, Verified.of(local.identity, tools.now()))
            return FileResult(
                relative_path=target.file.relative_path,
                outcome=Outcome.SKIPPED,
                size_bytes=local.identity.size_bytes if local.identity is not None else target.file.expected_size,
                duration_seconds=time.monotonic() - begun,
                part_md5s=b"".join(local.part_digests) if len(local.part_digests) > 1 else b"",
            )
        case LocalKind.ABSENT:
            failure = Failure(FailureKind.NOT_AS_PLANNED, "there is no such file")
        case LocalKind.WRONG | LocalKind.UNREADABLE | LocalKind.UNUSABLE | LocalKind.CHANGING:
            failure = Failure(FailureKind.NOT_AS_PLANNED, local.detail)
    record.note(target.path, None)
    return _failed(target.file, failure)


def _look(target: Target, tools: VerifyTools, *, read: bool) -> LocalState:
    if read:
        _forget_cached_bytes(target, tools.output)
    return look_at_local_file(target, target.file.expected_size, tools, read=read)


def _forget_cached_bytes(target: Target, output: OutputFolder) -> None:
    """Have a file read from its disk or server, and not from memory, as far as the system does that."""
    folder_path, _, name = target.path.rpartition("/")
    with (
        suppress(OSError),
        output.folder(folder_path) as folder,
        closing_descriptor(open_regular_file(name, folder)) as file,
    ):
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)


def _verified_earlier(file: PlannedFile, earlier: Verified) -> FileResult:
    return FileResult(
        relative_path=file.relative_path,
        outcome=Outcome.SKIPPED,
        size_bytes=earlier.size_bytes,
        remark=f"earlier in this pass, at {earlier.at}",
    )


def _failed(file: PlannedFile | UnresolvedFile, failure: Failure) -> FileResult:
    return FileResult(
        relative_path=file.relative_path, outcome=Outcome.FAILED, failure=failure, size_bytes=file.expected_size
    )


def _log(result: FileResult) -> None:
    if result.failure is None:
        logger.info("%s: verified%s", printable(result.relative_path), f" {result.remark}" if result.remark else "")
    elif result.failure.kind not in _SAY_NOTHING:
        logger.error("%s: FAILURE - %s", printable(result.relative_path), result.failure.message)


def _raw_file_results(plan: Plan, seen: Mapping[int, FileResult], sink: ResultSink) -> Iterator[RawFileResult]:
    """Yield the result of each raw file in the plan's order; pass on those of entries that no thread has looked at."""
    place = 0
    for raw_file in plan.raw_files:
        if raw_file.error is not None:
            failed = RawFileResult.of(raw_file, (), Failure(FailureKind.UNRESOLVED, raw_file.error))
            sink.write(raw_file_line(failed))
            yield failed
            continue
        files: list[FileResult] = []
        for file in raw_file.files:
            result = None
            if isinstance(file, PlannedFile):
                result = seen.get(place)
                place += 1
            if result is None:
                failure = _INTERRUPTED if isinstance(file, PlannedFile) else Failure(FailureKind.UNRESOLVED, file.error)
                result = _failed(file, failure)
                sink.write(file_line(raw_file, file, result))
            files.append(result)
        yield RawFileResult.of(raw_file, files, None)
