"""Formats log records: one escaped line for people, or one JSON object a line for programs.

Both have the time in UTC and the level. Module names are for those who ask for more than the default. The keys of JSON
are stable: time, level, logger, message; error and traceback where there is one; and the `fields` of a record.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

from schemas.text import printable

OUR_LOGGERS = ("kraken_plan", "planner", "applier", "schemas")


class TextFormatter(logging.Formatter):
    """Escapes what is not printable; names an exception at the end of the line, and shows its traceback if asked to.

    Args:
        names_modules: tells whether to name the module that a record comes from.
        shows_tracebacks: tells whether to show tracebacks.
    """

    def __init__(self, names_modules: Callable[[], bool], shows_tracebacks: Callable[[], bool]) -> None:
        super().__init__()
        self._names_modules, self._shows_tracebacks = names_modules, shows_tracebacks

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        """See `logging.Formatter`."""
        name = f" {record.name}:" if self._names_modules() else ""
        line = printable(f"{time_text(record.created)} {record.levelname}{name} {record.message}")
        error = _shown_error(record)
        return line if error is None or self._shows_tracebacks() else f"{line}: {error} (--debug shows the traceback)"

    def formatException(self, ei: Any) -> str:  # noqa: ANN401, N802  # logging's name and type
        """See `logging.Formatter`."""
        return super().formatException(ei) if self._shows_tracebacks() else ""


class JsonFormatter(logging.Formatter):
    """Writes a JSON object a line.

    Args:
        shows_tracebacks: tells whether to show tracebacks.
    """

    def __init__(self, shows_tracebacks: Callable[[], bool]) -> None:
        super().__init__()
        self._shows_tracebacks = shows_tracebacks

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        document: dict[str, object] = {
            "time": time_text(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": printable(record.getMessage()),
            **getattr(record, "fields", {}),
        }
        if (error := _shown_error(record)) is not None:
            document["error"] = error
            if self._shows_tracebacks() and record.exc_info:
                document["traceback"] = self.formatException(record.exc_info)
        return json_line(document)


def json_line(document: dict[str, object]) -> str:
    """Return a JSON object on one line that steers no terminal."""
    import json  # noqa: PLC0415  # most runs do without, and `--help` always

    return json.dumps(document, ensure_ascii=True)


def time_text(seconds: float) -> str:
    """Return a time stamp, in UTC as ISO 8601 has it.

    >>> time_text(0)
    '1970-01-01T00:00:00Z'
    """
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def described_error(error: BaseException) -> str:
    """Return an error's type and message on one line.

    >>> described_error(KeyError("x")), described_error(ValueError())
    ("KeyError: 'x'", 'ValueError')
    """
    message = printable(str(error))
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _shown_error(record: logging.LogRecord) -> str | None:
    """Return the error of a record; what others' exceptions quote may be a secret."""
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return None
    return described_error(error) if record.name.partition(".")[0] in OUR_LOGGERS else type(error).__name__
