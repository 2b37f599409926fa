"""The results file of a run, written line by line as files end."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TextIO

from applier.apply_plan import ResultSink
from schemas.errors import ConfigError
from schemas.results import FileResult, RawFileResult
from schemas.results_file import file_line, head_line, raw_file_line
from schemas.text import printable


class ResultsWriter(ResultSink):
    """Writes each result to a file that is flushed at every line.

    Args:
        file: open for writing text.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def file_ended(self, raw_file_id: str, result: FileResult) -> None:
        """See `ResultSink`."""
        self._file.write(file_line(raw_file_id, result))

    def raw_file_failed(self, result: RawFileResult) -> None:
        """See `ResultSink`."""
        self._file.write(raw_file_line(result))


@contextmanager
def results_sink(path: Path | None, plan_digest: str, started_at: datetime) -> Iterator[ResultSink]:
    """Give the sink of a run: a results file, or nothing.

    Raises:
        ConfigError: the file cannot be written.
    """
    if path is None:
        yield ResultSink()
        return
    try:
        file = path.open("w", encoding="utf-8", buffering=1)
    except OSError as error:
        raise ConfigError(f"--results {printable(str(path))}: {error.strerror}") from error
    with file:
        file.write(head_line(plan_digest, f"{started_at:%Y-%m-%dT%H:%M:%SZ}"))
        yield ResultsWriter(file)
