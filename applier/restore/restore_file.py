"""Restores one file: check, download, verify, publish, heal."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from applier.disk.journal import StagedContent
from applier.disk.local_bytes import parts_of, prefix_of
from applier.disk.publish import ReplacedMeanwhileError, SeenBefore, UnsyncedError, publish, set_aside
from applier.disk.staged_file import StagedFile, open_staged_file
from applier.disk.staging import SegmentSource, Staging, staged_name
from applier.restore.check_file import Verdict, check_file, is_absent
from applier.restore.decide import Action, LocalKind, LocalState, judge_encryption
from applier.restore.download import SMALL_FILE_BYTES, BytesRefutedError, download, is_resumable
from applier.restore.failures import FileFailedError, calls_for_a_check, failure_of
from applier.restore.find_object import FoundObject, name_md5
from applier.restore.part_hints import find_right_parts
from applier.restore.progress import VerifiedBytes
from applier.restore.tools import RestoreTools
from applier.s3.faults import S3Fault
from applier.s3.fetcher import Interrupted
from applier.s3.protocol import ObjectInfo
from applier.target import Target
from schemas.etag import Etag
from schemas.results import Failure, FailureKind, FileResult, Outcome
from schemas.text import printable

logger = logging.getLogger(__name__)

_MAX_DOWNLOADS = 2  # a mismatch is retried once from scratch; an attempt with a local file's bytes does not count
_MAX_CHECKS = 3  # how often to look again where another program comes between check and publication
# These failures say nothing about the local file.
_LEAVES_LOCAL_FILE = frozenset({FailureKind.INTERRUPTED, FailureKind.NOT_VERIFIABLE, FailureKind.CONFLICT})
_WORTH_RESUMING = frozenset({FailureKind.NETWORK, FailureKind.TIMEOUT})


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """How restoring a file ended."""

    outcome: Outcome
    failure: Failure | None = None
    object_bytes: int | None = None
    corrupt_copy: str | None = None
    remark: str | None = None
    part_digests: Sequence[bytes] = ()
    fetched_parts: int | None = None


def restore_file(target: Target, tools: RestoreTools, local: LocalState | None = None) -> FileResult:
    """Bring one file of the plan under its final name, verified; whatever fails on the way is in the result.

    Args:
        target: the file.
        tools: what restoring it needs.
        local: what the local file is, where it was looked at already.
    """
    begun = tools.clock()
    if logger.isEnabledFor(logging.DEBUG):
        logger.debug("%s: start, %s", printable(target.file.relative_path), printable(str(target.location)))
    try:
        end = _restore(target, tools, local)
    except BaseException as error:  # noqa: BLE001  # one file's fault is its own; also what a library panics with
        end = _End(outcome=Outcome.FAILED, failure=failure_of(error))
    planned_bytes = target.file.expected_size
    return FileResult(
        relative_path=target.file.relative_path,
        outcome=end.outcome,
        failure=end.failure,
        size_bytes=end.object_bytes if planned_bytes is None else planned_bytes,
        duration_seconds=tools.clock() - begun,
        corrupt_copy=end.corrupt_copy,
        remark=end.remark,
        part_md5s=b"".join(end.part_digests) if len(end.part_digests) > 1 else b"",
        fetched_parts=end.fetched_parts,
        retries=tools.check.fetcher.retries.take(target.location),
    )


def _restore(target: Target, tools: RestoreTools, local: LocalState | None) -> _End:
    if local is None and (end := _download_if_absent(target, tools)) is not None:
        return end
    for checks_left in reversed(range(_MAX_CHECKS)):
        verdict, local = check_file(target, tools.check, local=local), None
        match verdict.action:
            case Failure() as failure:
                return _End(outcome=Outcome.FAILED, failure=failure)
            case Action.SKIP:
                digests = verdict.local.part_digests if verdict.local else ()
                return _End(outcome=Outcome.SKIPPED, object_bytes=_object_bytes(verdict), part_digests=digests)
            case Action.VERIFY:
                raise AssertionError("the local file was not hashed")
            case Action.DOWNLOAD | Action.HEAL:
                try:
                    return _download_and_publish(target, verdict, tools)
                except BaseException as error:  # noqa: BLE001  # as in `restore_file`
                    if not isinstance(error, ReplacedMeanwhileError) or checks_left == 0:
                        return _fail(target, verdict, tools, error)
                    logger.info("%s: another program has changed it, looking again", printable(target.name))
    raise AssertionError("the last check has ended it")


def _download_if_absent(target: Target, tools: RestoreTools) -> _End | None:
    """Download a small file that is not there yet, without asking S3 first; None where that is not the way.

    The download is the pre-check, too: its If-Match has S3 refuse any other etag than the plan's before a byte is
    sent. One request in place of two.
    """
    file = target.file
    if file.expected_size is None or not 0 < file.expected_size <= SMALL_FILE_BYTES:
        return None
    if not is_absent(tools.check.output, target):
        return None
    info = ObjectInfo(etag=file.expected_etag, size_bytes=file.expected_size)
    assumed = Verdict(action=Action.DOWNLOAD, source=FoundObject(location=target.location, info=info))
    try:
        end = _download_and_publish(target, assumed, tools, is_checked=False)
    except (BytesRefutedError, ReplacedMeanwhileError):
        return None  # S3 or the local file is not what was assumed: the check says what it is
    except S3Fault as fault:
        if not calls_for_a_check(fault):
            raise
        return None
    name = printable(file.relative_path)
    logger.debug("%s: S3 pre-check passed with the download, If-Match %s", name, file.expected_etag)
    return end


def _download_and_publish(target: Target, verdict: Verdict, tools: RestoreTools, *, is_checked: bool = True) -> _End:
    """Download a file as often as it takes, and give it its final name.

    Raises:
        BytesRefutedError: the bytes are wrong, and S3 was not checked before.
        ReplacedMeanwhileError: the local file is no longer the one that was looked at.
        S3Fault, Interrupted, OSError, FileFailedError: it cannot be done.
    """
    if verdict.action is Action.HEAL and verdict.local is not None:
        name = printable(target.file.relative_path)
        logger.warning("%s: the local file is wrong (%s), healing", name, verdict.local.detail)
    with tools.stagings.lent(target.destination) as staging:
        downloads, from_scratch = 0, False
        while True:
            try:
                return _try_download(target, verdict, staging, tools, from_scratch=from_scratch)
            except BytesRefutedError as refuted:
                downloads += not refuted.with_local_bytes
                _judge_refuted(target, refuted, downloads, tools)
                if not is_checked:
                    raise
                from_scratch = True


def _judge_refuted(target: Target, refuted: BytesRefutedError, downloads: int, tools: RestoreTools) -> None:
    """Raise FileFailedError where downloading once more cannot help."""
    logger.warning("%s: not verified as read back: %s", printable(target.file.relative_path), refuted)
    if tools.check.accept.md5_of(target.file) is None:
        encryption = tools.check.fetcher.encryption(target.location)
        if failure := judge_encryption(target.file, encryption):
            raise FileFailedError(name_md5(target.file.expected_md5, failure))
    if downloads == _MAX_DOWNLOADS:
        raise FileFailedError(Failure(FailureKind.VERIFICATION, f"{refuted}; tried {downloads} times"))


def _try_download(
    target: Target, verdict: Verdict, staging: Staging, tools: RestoreTools, *, from_scratch: bool
) -> _End:
    """Download a file into a staged one, and give that its final name if what is read back is what the plan says.

    Raises:
        BytesRefutedError: it is not.
    """
    source = verdict.source
    if source is None:
        raise AssertionError("a download needs the pre-check's answer")
    verified = VerifiedBytes(tools.check.progress, tools.check.fetcher.raise_if_stopped)
    with _staged(target, source.info, staging, verified) as staged:
        copies = None if from_scratch else _find_copies(target, verdict, source, staged, tools)
        downloaded = download(target, source, staged, verified, tools.check, copies=copies)
        tools.check.fetcher.raise_if_stopped()
        staged.sync()
        staged.close()
        corrupt_copy = publish(
            staging,
            staged.file_name,
            tools.check.output,
            target,
            _seen_before(verdict, tools),
            verified_files=tools.verified_files,
        )
        _try_to(staged.remove_journal)
    remarks = (source.note and f"from {source.note}", "by MD5" if downloaded.by_md5 else None)
    return _End(
        outcome=Outcome.HEALED if verdict.action is Action.HEAL else Outcome.DOWNLOADED,
        object_bytes=source.info.size_bytes,
        corrupt_copy=corrupt_copy,
        remark=", ".join(filter(None, remarks)) or None,
        part_digests=downloaded.part_digests,
        fetched_parts=downloaded.fetched_parts if verdict.local and verdict.local.part_digests else None,
    )


def _find_copies(
    target: Target, verdict: Verdict, source: FoundObject, staged: StagedFile, tools: RestoreTools
) -> SegmentSource | None:
    """Return what has bytes of the file already: a local file of which some are right, or another run's staged file."""
    if not staged.may_take_copies:
        return None
    local, output = verdict.local, tools.check.output
    copies: SegmentSource | None = None
    if local is not None and local.kind is LocalKind.WRONG:
        right_parts = find_right_parts(target, source, local, tools.hints, tools.check)
        copies = parts_of(output, target, local.identity, right_parts)
        copies = copies or prefix_of(output, target, local.identity, source.info.size_bytes)
    copies = copies or staged.find_elsewhere()
    if copies is not None:
        staged.local_bytes_follow()
    return copies


@contextmanager
def _staged(target: Target, info: ObjectInfo, staging: Staging, verified: VerifiedBytes) -> Iterator[StagedFile]:
    """Give a staged file; where the block fails, it is left to a later run that can resume it, else removed."""
    file = target.file
    content = StagedContent.of(Etag.parse(file.expected_etag), file.chunk_size_mb, info.size_bytes)
    staged = open_staged_file(staging, staged_name(file), content, resumable=is_resumable(info.size_bytes))
    try:
        yield staged
    except BaseException as error:
        _try_to(staged.close)
        verified.take_back()  # also where it is kept: whoever resumes it verifies it once more
        passing = isinstance(error, S3Fault) and error.failure.kind in _WORTH_RESUMING
        if not (staged.can_be_resumed and (passing or isinstance(error, Interrupted))):
            _try_to(staged.remove)
        raise


def _fail(target: Target, verdict: Verdict, tools: RestoreTools, error: BaseException) -> _End:
    """Return the failure of a file that S3 has as planned; a corrupt one that could not be healed is moved aside.

    No wrong file stays under a final name, and no bytes are lost.
    """
    failure = failure_of(error)
    judged_wrong = verdict.local is not None and verdict.local.kind is LocalKind.WRONG
    corrupt_copy = None
    if judged_wrong and failure.kind not in _LEAVES_LOCAL_FILE and not isinstance(error, UnsyncedError):
        try:
            seen_before = _seen_before(verdict, tools)
            corrupt_copy = set_aside(tools.check.output, target, seen_before, verified_files=tools.verified_files)
        except OSError as second_error:
            _log_clean_up(second_error)
        if corrupt_copy is not None:
            detail = f"{failure.detail}; the corrupt local file was moved to {corrupt_copy}"
            failure = Failure(failure.kind, detail)
    return _End(outcome=Outcome.FAILED, failure=failure, object_bytes=_object_bytes(verdict), corrupt_copy=corrupt_copy)


def _object_bytes(verdict: Verdict) -> int | None:
    return verdict.source.info.size_bytes if verdict.source is not None else None


def _seen_before(verdict: Verdict, tools: RestoreTools) -> SeenBefore:
    return SeenBefore(
        identity=verdict.local.identity if verdict.local else None,
        keep=tools.quarantine.keep_healed,
        planned_paths=tools.quarantine.planned_paths,
    )


def _try_to(clean_up: Callable[[], None]) -> None:
    """Clean up as far as the file system allows it: what failed before is what is reported."""
    try:
        clean_up()
    except OSError as error:
        _log_clean_up(error)


def _log_clean_up(error: OSError) -> None:
    logger.warning("could not clean up %s: %s", printable(str(error.filename or "")), error.strerror or error)
