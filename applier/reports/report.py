"""Writes the txt reports: a new one per destination after each run, never over an older one."""

import itertools
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from applier.disk.folders import OutputFolder, sync_folder, write_all
from applier.disk.rename import rename_to_first_free_name
from applier.disk.run_folders import Stagings
from applier.disk.staging import REPORT, Staging
from schemas.etag import MIB
from schemas.paths import REPORT_PREFIX, join_path, path_below
from schemas.results import MD5_BYTES, ApplyResult, FileResult, Outcome, RawFileResult
from schemas.text import printable
from schemas.version import CREATED_BY

logger = logging.getLogger(__name__)

_RULE = "=" * 80


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenReports:
    """The absolute paths of the reports of a run, and whether every destination has got its own."""

    paths: tuple[str, ...]
    complete: bool


def write_reports(
    result: ApplyResult, output: OutputFolder, stagings: Stagings, written_at: datetime
) -> WrittenReports:
    """Write the report of every destination that a run's plan names; log which ones cannot be written.

    Args:
        result: of the run.
        output: the output location.
        stagings: lend folders on the same file system as a destination.
        written_at: UTC.
    """
    paths, complete = [], True
    for destination, raw_files in result.by_destination().items():
        try:
            with stagings.lent(path_below(destination, output.path)) as staging:
                place = output, staging
                paths.append(write_batch_status_report(result, destination, raw_files, written_at, place))
        except OSError as error:
            logger.error("%s: the report cannot be written: %s", printable(destination), error.strerror)  # noqa: TRY400  # not a bug
            complete = False
    return WrittenReports(paths=tuple(paths), complete=complete)


def write_batch_status_report(
    result: ApplyResult,
    destination: str,
    raw_files: Sequence[RawFileResult],
    written_at: datetime,
    place: tuple[OutputFolder, Staging],
) -> str:
    """Write the report of one destination.

    Args:
        result: of the run that is reported.
        destination: absolute path of the destination.
        raw_files: those that belong there.
        written_at: UTC.
        place: the output location, and a staging folder on the same file system where the report is written first.

    Returns:
        The report's absolute path: `{destination}/_download_status_batch_{YYYYMMDD_HHMMSS}.txt`; a second one in the
        same second gets `_2`.

    Raises:
        OSError: it could not be written, or not where its path says.
    """
    text = render_report(result.plan_digest, destination, raw_files, written_at)
    name = write_new_file((piece.encode() for piece in text), destination, dated_names(written_at, ".txt"), place)
    return join_path(destination, name)


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
        try:
            size_bytes = 0
            for piece in content:
                write_all(descriptor, memoryview(piece), size_bytes)
                size_bytes += len(piece)
            os.ftruncate(descriptor, size_bytes)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        with output.folder(path_below(destination, output.path), create=True) as folder:
            staging.give_rights_of_new_file(REPORT, folder)
            name = rename_to_first_free_name(REPORT, staging.descriptor, names, folder)
            sync_folder(folder)
        output.check_in_place()  # else the path would lead to nothing
    finally:
        staging.remove(REPORT)
    return name


def dated_names(written_at: datetime, suffix: str) -> Iterator[str]:
    """Yield names for a file of ours: `_download_status_batch_{YYYYMMDD_HHMMSS}`, then the same with `_2` and so on."""
    stem = f"{REPORT_PREFIX}{written_at:%Y%m%d_%H%M%S}"
    yield f"{stem}{suffix}"
    yield from (f"{stem}_{number}{suffix}" for number in itertools.count(2))


def render_report(
    plan_digest: str, destination: str, raw_files: Sequence[RawFileResult], written_at: datetime
) -> Iterator[str]:
    """Yield the text of a report in pieces, one per raw file: a large plan's report has a hundred megabytes."""
    total = sum(raw_file.planned_files for raw_file in raw_files)
    successful = sum(file.outcome.succeeded for raw_file in raw_files for file in raw_file.files)
    failed_raw_files = sum(raw_file.failure is not None for raw_file in raw_files)
    head = [
        "S3 Download Batch Status Report",
        "================================",
        f"Destination: {printable(destination)}",
        f"Timestamp: {written_at:%Y-%m-%d %H:%M:%S} UTC",
        f"Raw Files Processed: {len(raw_files)}",
        "",
        "Overall Summary:",
        "----------------",
        f"Total raw files: {len(raw_files)}",
        f"Total files: {total}",
        f"Successful files: {successful}",
        f"Failed files: {total - successful}",
        *([f"Failed raw files: {failed_raw_files}"] if failed_raw_files else []),
        f"Status: {_status(raw_files, successful)}",
        "",
        _RULE,
    ]
    yield _text(head)
    yield from (_text(_section(raw_file)) for raw_file in raw_files)
    yield _text([f"Plan: {plan_digest}", f"Written by: {CREATED_BY}"])


def _text(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _status(raw_files: Sequence[RawFileResult], successful_files: int) -> str:
    if all(raw_file.succeeded for raw_file in raw_files):
        return "SUCCESS"
    return "PARTIAL FAILURE" if successful_files else "FAILURE"


def _section(raw_file: RawFileResult) -> list[str]:
    head = [
        f"Raw File: {printable(raw_file.raw_file_id)}",
        f"Project ID: {printable(raw_file.project_id or '-')}",
        f"S3 Bucket: {printable(raw_file.bucket_name or '-')}",
        f"Files: {raw_file.planned_files}",
        *(f"Note: {printable(note)}" for note in raw_file.notes),
        "",
    ]
    if raw_file.failure is not None:
        return [*head, f"ERROR: {raw_file.failure.message}", "", _RULE]
    return [*head, "Files:", "------", *(_file_line(file) for file in raw_file.files), "", _RULE]


def _file_line(file: FileResult) -> str:
    return f"{printable(file.relative_path)}: {_outcome(file)}"


def _outcome(file: FileResult) -> str:
    remark = f" {printable(file.remark)}" if file.remark else ""
    match file.outcome:
        case Outcome.DOWNLOADED:
            size_mb = (file.size_bytes or 0) / MIB
            return f"OK - Downloaded and verified{remark} ({size_mb:.1f} MB in {file.duration_seconds:.1f}s)"
        case Outcome.SKIPPED:
            return "OK - Skipped (already exists)"
        case Outcome.HEALED:
            kept = f"; corrupt file kept as {printable(file.corrupt_copy)}" if file.corrupt_copy else ""
            return f"OK - Self-healed ({_how_much(file)} re-downloaded{remark}{kept})"
        case Outcome.FAILED:
            return f"FAILURE - {file.failure.message if file.failure else 'no reason recorded'}"


def _how_much(file: FileResult) -> str:
    """Return how much of a corrupt file was fetched again: all of it, or some of its parts."""
    parts = len(file.part_md5s) // MD5_BYTES
    if file.fetched_parts is None or file.fetched_parts >= parts:
        return "hash mismatch detected,"
    return f"{file.fetched_parts} of {parts} parts"
