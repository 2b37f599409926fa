"""Writes the txt reports: a new one per destination after each run, never over an older one."""

import itertools
import logging
import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from applier.disk.folders import NotAFolderError, OutputFolder, sync_folder, write_all
from applier.disk.rename import rename_to_first_free_name
from applier.disk.run_folders import Stagings
from applier.disk.staging import REPORT, Staging
from applier.reports.report_text import ReportedRun, render_report
from schemas.errors import ConfigError
from schemas.paths import REPORT_PREFIX, join_path, path_below
from schemas.results import ApplyResult
from schemas.text import printable

logger = logging.getLogger(__name__)

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenReports:
    """The absolute paths of the reports of a run, and whether every destination has got its own."""

    paths: tuple[str, ...]
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporting:
    """What the reports of a run are to say besides its results, and where they are to be.

    Args:
        written_at: UTC.
        runs: which are reported.
        folder: to write all of them into; by default, each into its destination.
    """

    written_at: datetime
    runs: Sequence[ReportedRun] = ()
    folder: str | None = None


def write_reports(
    result: ApplyResult,
    output: OutputFolder,
    stagings: Stagings,
    reporting: Reporting,
) -> WrittenReports:
    """Write the report of every destination that a run's plan names; log which ones cannot be written.

    Args:
        result: of the run.
        output: the output location.
        stagings: lend folders on the same file system as a destination.
        reporting: when, of which runs, and where to.
    """
    written_at, folder = reporting.written_at, reporting.folder
    paths, complete = [], True
    for destination, raw_files in result.by_destination().items():
        report = render_report(result.plan_digest, destination, raw_files, written_at, reporting.runs)
        text = (piece.encode() for piece in report)
        try:
            if folder is not None:
                stagings.sweep(path_below(destination, output.path))
                paths.append(write_into_folder(text, folder, dated_names(written_at, ".txt")))
                continue
            with stagings.lent(path_below(destination, output.path)) as staging:
                paths.append(write_batch_status_report(text, destination, written_at, (output, staging)))
        except OSError as error:
            place = printable(folder or destination)
            what = f" ({printable(str(error.filename))})" if isinstance(error, NotAFolderError) else ""
            logger.error("%s: the report cannot be written: %s%s", place, error.strerror, what)  # noqa: TRY400  # not a bug
            complete = False
    return WrittenReports(paths=tuple(paths), complete=complete)


def check_report_dir(folder: str) -> None:
    """See that reports can be written into a folder.

    Raises:
        ConfigError: they cannot.
    """
    reason = None
    if not Path(folder).is_dir():
        reason = "expected a folder, which exists"
    elif not os.access(folder, os.W_OK | os.X_OK):
        reason = "no file can be written there"
    if reason is not None:
        raise ConfigError(f"--report-dir {printable(folder)}: {reason}")


def write_batch_status_report(
    text: Iterable[bytes], destination: str, written_at: datetime, place: tuple[OutputFolder, Staging]
) -> str:
    """Write the report of one destination into it.

    Args:
        text: of the report, in pieces.
        destination: absolute path of the destination.
        written_at: UTC.
        place: the output location, and a staging folder on the same file system where the report is written first.

    Returns:
        The report's absolute path: `{destination}/_download_status_batch_{YYYYMMDD_HHMMSS}.txt`; a second one in the
        same second gets `_2`.

    Raises:
        OSError: it could not be written, or not where its path says.
    """
    name = write_new_file(text, destination, dated_names(written_at, ".txt"), place)
    return join_path(destination, name)


def write_into_folder(content: Iterable[bytes], folder_path: str, names: Iterator[str]) -> str:
    """Write a file of ours into any folder, whole or not at all, under the first name that is free; return its path.

    Raises:
        OSError: it could not be written.
    """
    folder = os.open(folder_path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    unfinished = f"{REPORT_PREFIX}{uuid.uuid4().hex}.tmp"
    try:
        descriptor = os.open(unfinished, _NEW_FILE, 0o666, dir_fd=folder)
        try:
            _write_whole(descriptor, content)
            name = rename_to_first_free_name(unfinished, folder, names, folder)
            sync_folder(folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(unfinished, dir_fd=folder)
            raise
    finally:
        os.close(folder)
    return join_path(folder_path, name)


def write_new_file(
    content: Iterable[bytes], destination: str, names: Iterator[str], place: tuple[OutputFolder, Staging]
) -> str:
    """Write a file of ours into a destination, whole or not at all, and return the name that it has got.

    Args:
        content: in pieces.
        destination: absolute path of the folder.
        names: the first of these that is free.
        place: the output location, and a staging folder on the same file system where the file is written first.

    Raises:
        OSError: it could not be written, or not where its path says.
    """
    output, staging = place
    descriptor = staging.open_report()
    try:
        _write_whole(descriptor, content)
        with output.folder(path_below(destination, output.path), create=True) as folder:
            staging.give_rights_of_new_file(REPORT, folder)
            name = rename_to_first_free_name(REPORT, staging.descriptor, names, folder)
            sync_folder(folder)
        output.check_in_place()  # else the path would lead to nothing
    except BaseException:
        with suppress(OSError):  # the reason is what counts
            staging.remove(REPORT)
        raise
    return name


def _write_whole(descriptor: int, content: Iterable[bytes]) -> None:
    """Write all of a file's content, see that it is stored, and close it."""
    try:
        size_bytes = 0
        for piece in content:
            write_all(descriptor, memoryview(piece), size_bytes)
            size_bytes += len(piece)
        os.ftruncate(descriptor, size_bytes)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def dated_names(written_at: datetime, suffix: str, prefix: str = REPORT_PREFIX) -> Iterator[str]:
    """Yield names for a file of ours: `_download_status_batch_{YYYYMMDD_HHMMSS}`, then the same with `_2` and so on."""
    stem = f"{prefix}{written_at:%Y%m%d_%H%M%S}"
    yield f"{stem}{suffix}"
    yield from (f"{stem}_{number}{suffix}" for number in itertools.count(2))
