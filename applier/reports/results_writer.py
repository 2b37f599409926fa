"""The results file of a run, written line by line as files end."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TextIO

from schemas.errors import ConfigError
from schemas.plan import Plan, PlannedFile, RawFilePlan, UnresolvedFile
from schemas.results import FileResult, RawFileResult
from schemas.results_file import HEAD_BEGINS, file_line, head_line, raw_file_line
from schemas.text import printable

logger = logging.getLogger(__name__)


class ResultSink:
    """Told every result as it comes, one at a time; does nothing.

    `succeeded` tells whether all of it could be passed on.
    """

    succeeded = True

    def file_ended(self, raw_file: RawFilePlan, file: PlannedFile | UnresolvedFile, result: FileResult) -> None:
        """A file has ended."""

    def raw_file_failed(self, result: RawFileResult) -> None:
        """A raw file has failed as a whole."""


class ResultsWriter(ResultSink):
    """Writes each result to a file that is flushed at every line; what cannot be written is told once.

    Args:
        file: open for writing text.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.succeeded = True

    def file_ended(self, raw_file: RawFilePlan, file: PlannedFile | UnresolvedFile, result: FileResult) -> None:
        """See `ResultSink`."""
        self._write(file_line(raw_file, file, result))

    def raw_file_failed(self, result: RawFileResult) -> None:
        """See `ResultSink`."""
        self._write(raw_file_line(result))

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):  # told already: every line was flushed
            self._file.close()

    def _write(self, line: str) -> None:
        if not self.succeeded:
            return
        try:
            self._file.write(line)
        except OSError as error:
            self.succeeded = False
            logger.error("the results cannot be written: %s", error.strerror)  # noqa: TRY400  # no bug


@contextmanager
def results_sink(path: Path | None, source: str, plan: Plan, started_at: datetime, host: str) -> Iterator[ResultSink]:
    """Give the sink of a run: a results file, or nothing.

    Args:
        path: the file; an earlier results file is replaced, nothing else is.
        source: the plan's path, for it must not be overwritten.
        plan: as it is applied.
        started_at: UTC.
        host: the name of this computer.

    Raises:
        ConfigError: the file cannot be written, or is something else.
    """
    if path is None:
        yield ResultSink()
        return
    name = printable(str(path))
    final_name = os.path.abspath(path)  # noqa: PTH100  # resolve() would follow the operator's links
    if any(raw_file.absolute_dest_path(file) == final_name for raw_file, file in plan.planned_files()):
        raise ConfigError(f"--results {name}: the plan restores a file to this place")
    try:
        if path.exists() and (path.samefile(source) if Path(source).exists() else False):
            raise ConfigError(f"--results {name}: this is the plan itself")
        if path.exists() and not _may_be_replaced(path):
            raise ConfigError(f"--results {name}: there is something else under this name, no results file")
        file = path.open("w", encoding="utf-8", buffering=1)
        file.write(head_line(plan, started_at, host))
    except OSError as error:
        raise ConfigError(f"--results {name}: {error.strerror}") from error
    writer = ResultsWriter(file)
    try:
        yield writer
    finally:
        writer.close()


def _may_be_replaced(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(HEAD_BEGINS)) in {b"", HEAD_BEGINS}
