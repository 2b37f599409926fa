"""Looks at small files, and restores them, several at once: with them, it is calls that take time.

Only what is as it should be is dealt with here. Everything else is left to `restore_file`, which says what it is.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence

from applier.disk.folders import write_all
from applier.disk.hashing import LARGEST_TOGETHER_BYTES, hash_small_files, md5_lanes
from applier.disk.publish import ReplacedMeanwhileError, publish_together
from applier.disk.staging import Staging, staged_name
from applier.restore.check_file import is_absent
from applier.restore.decide import LocalKind, LocalState, judge_local
from applier.restore.failures import calls_for_a_check, failure_of
from applier.restore.jobs import DEFAULT_JOBS
from applier.restore.tools import CheckTools, RestoreTools
from applier.s3.faults import S3Fault
from applier.s3.fetcher import Interrupted
from applier.target import Target
from schemas.etag import MIB, Etag, fold_part_digests
from schemas.plan import PlannedFile
from schemas.results import FileResult, Outcome
from schemas.text import printable

logger = logging.getLogger(__name__)

Placed = tuple[list[int], Target]

_MOST_IN_A_LOOK = 64


def group_small_files(
    targets: Iterable[Placed], is_listed: Callable[[Target], bool], *, most_listed: int = 1, most_absent: int = 1
) -> Iterator[tuple[bool, list[Placed]]]:
    """Yield files by themselves, or several small ones together.

    Args:
        targets: files with their places in the plan.
        is_listed: whether S3 has listed the object of a file as the plan says: then the local file is worth a look.
        most_listed: so many that are listed go together at most.
        most_absent: so many that are not listed; they are of one folder, and are staged in one place.

    Returns:
        Whether all of them are listed, and the files.
    """
    group: list[Placed] = []
    group_key = (False, "", "")
    for placed in targets:
        _, target = placed
        if not _is_small(target.file):
            yield False, [placed]
            continue
        key = (True, "", "") if is_listed(target) else (False, target.destination, target.folder)
        if group and (key != group_key or len(group) >= (most_listed if key[0] else most_absent)):
            yield group_key[0], group
            group = []
        group.append(placed)
        group_key = key
    if group:
        yield group_key[0], group


def most_absent_together(files: int, threads: int) -> int:
    """Return how many files a thread restores in one go, of so many in all."""
    return min(md5_lanes(), _share_of_a_thread(files, threads))


def most_listed_together(files: int, threads: int) -> int:
    """Return how many files a thread looks at in one go: more, because threads then wait for each other less often."""
    return min(_MOST_IN_A_LOOK, _share_of_a_thread(files, threads)) if md5_lanes() > 1 else 1


def _share_of_a_thread(files: int, threads: int) -> int:
    """Return how many files may go together so that threads enough are busy.

    With more than these, a file of a small plan would go by itself, which takes it twice the requests.
    """
    return max(1, files // (2 * min(threads, DEFAULT_JOBS)))


def look_at_small_files(targets: Sequence[Target], tools: CheckTools) -> dict[str, LocalState]:
    """Return what those local files are that are right, by their paths; any other is to be looked at by itself."""
    if len(targets) <= 1:
        return {}
    named = [(target.path, target) for target in targets]
    try:
        seen = _look(tools.output.descriptor, named, tools.crew.raise_if_stopped)
    except (OSError, MemoryError, Interrupted):
        return {}
    right = {path: local for path, local in seen.items() if local.kind is LocalKind.RIGHT}
    tools.progress.bytes_verified(sum(target.file.expected_size or 0 for path, target in named if path in right))
    return right


def restore_absent_files(targets: Sequence[Target], tools: RestoreTools) -> dict[str, FileResult]:
    """Bring small files of a folder that are not there yet under their final names, verified.

    One request each, which is the pre-check, too: its If-Match has S3 refuse any other etag than the plan's before a
    byte is sent.

    Returns:
        How files have ended, by their paths; the others are left, with nothing done.
    """
    absent = [target for target in targets if is_absent(tools.check.output, target)] if len(targets) > 1 else []
    if not absent:
        return {}
    ended: dict[str, FileResult] = {}
    begun = tools.clock()

    def end(target: Target, error: BaseException | None = None) -> None:
        ended[target.path] = FileResult(
            relative_path=target.file.relative_path,
            outcome=Outcome.FAILED if error else Outcome.DOWNLOADED,
            failure=failure_of(error) if error else None,
            size_bytes=target.file.expected_size,
            duration_seconds=tools.clock() - begun,
            retries=tools.check.fetcher.retries.take(target.location),
        )

    try:
        with tools.stagings.lent(absent[0].destination) as staging:
            staged: dict[str, Target] = {}
            try:
                for target in absent:
                    _stage(target, staging, staged, tools, end)
                _publish(staged, staging, tools, end)
            finally:
                _remove(staged, staging)
    except (OSError, MemoryError) as error:
        logger.info("restoring %d files one by one, because together failed: %s", len(absent) - len(ended), error)
    except BaseException as error:  # noqa: BLE001  # as in `restore_file`
        for target in absent:
            if target.path not in ended:
                end(target, error)
    return ended


def _is_small(file: PlannedFile) -> bool:
    size_bytes, chunk_bytes = file.expected_size, file.chunk_size_mb * MIB
    return size_bytes is not None and 0 < size_bytes <= min(LARGEST_TOGETHER_BYTES, chunk_bytes)


def _look(
    folder: int, named: Sequence[tuple[str, Target]], raise_if_stopped: Callable[[], None] = lambda: None
) -> dict[str, LocalState]:
    """Return what those files below a folder are, by their paths there, that could be read in one go."""
    seen: dict[str, LocalState] = {}
    files = [(name, target.file.expected_size or 0) for name, target in named]
    for (name, target), file in zip(named, hash_small_files(folder, files, raise_if_stopped), strict=True):
        if file is not None:
            identity, digest = file
            etag = fold_part_digests([digest], multipart=Etag.parse(target.file.expected_etag).parts is not None)
            judged = judge_local(target.file, etag)
            seen[name] = LocalState(judged.kind, judged.detail, identity, [digest])
    return seen


def _stage(
    target: Target,
    staging: Staging,
    staged: dict[str, Target],
    tools: RestoreTools,
    end: Callable[[Target, BaseException | None], None],
) -> None:
    """Fetch a file into a synced staged one, and note it by its name there; end it where that fails."""
    name, fetcher, progress = staged_name(target.file), tools.check.fetcher, tools.check.progress
    try:
        descriptor = staging.create(name)
        staged[name] = target

        def write(buffer: memoryview, offset: int) -> None:
            write_all(descriptor, buffer, offset)
            progress.bytes_fetched(len(buffer))

        try:
            whole = (0, target.file.expected_size or 0)
            fetcher.download_file_from_s3(target.location, target.file.expected_etag, whole, write)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException as error:  # noqa: BLE001  # as in `restore_file`
        if staged.pop(name, None) is not None:
            _remove([name], staging)
        if not (isinstance(error, S3Fault) and calls_for_a_check(error)):
            end(target, error)


def _publish(
    staged: dict[str, Target],
    staging: Staging,
    tools: RestoreTools,
    end: Callable[[Target, BaseException | None], None],
) -> None:
    """Read staged files back, give those that are right their final names, and take these off the list.

    Runs even when the run is to stop: the files are few and small, and on a slow line nothing that was fetched would be
    kept otherwise.
    """
    files = []
    seen = _look(staging.descriptor, list(staged.items()))
    for name, target in staged.items():
        local = seen.get(name)
        if local is None:
            logger.info("%s: could not be read back in one go", printable(target.file.relative_path))
        elif local.kind is not LocalKind.RIGHT:
            logger.warning("%s: not verified as read back", printable(target.file.relative_path))
        else:
            files.append((name, target))
    if not files:
        return
    failures = publish_together(staging, files, tools.check.output, verified_files=tools.verified_files)
    for name, target in files:
        failure = failures.get(target.path)
        if failure is None:
            tools.check.progress.bytes_verified(target.file.expected_size or 0)
            logger.debug(
                "%s: S3 pre-check passed with the download, verified as read back, etag %s",
                printable(target.file.relative_path),
                target.file.expected_etag,
            )
            del staged[name]
        if not isinstance(failure, ReplacedMeanwhileError):
            end(target, failure)


def _remove(names: Iterable[str], staging: Staging) -> None:
    """Remove staged files, as far as the file system allows it."""
    for name in names:
        try:
            staging.remove(name)
        except OSError as error:
            logger.warning("could not clean up %s: %s", printable(name), error.strerror)
