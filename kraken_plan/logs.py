"""Sends the log to stderr and to `--log-file`, as much of it as -v, -q and --debug ask for."""

import logging
import os.path
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import click

from kraken_plan.log_format import OUR_LOGGERS, JsonFormatter, TextFormatter
from schemas.text import printable

_LOG_BEGINS = re.compile(rb'[^\w{]?\d{4}-\d\d-\d\d|\{"time": ')  # others write logs, too, mostly with the time first
_LEVEL = "kraken_plan.logs.level"
_tracebacks = logging.getLogger("kraken_plan.tracebacks")  # at DEBUG with --debug and -vv


@dataclass(slots=True)
class _LogSettings:
    """Where the log of this process goes, and how much of it.

    Attributes:
        level: of what goes to stderr.
        as_json: whether everything is written as JSON, both there and in the file.
        stderr: takes it there.
        file: takes it to the file; None without --log-file.
    """

    level: int = logging.WARNING
    as_json: bool = False
    stderr: logging.Handler = field(default_factory=logging.NullHandler)
    file: logging.FileHandler | None = None

    def apply(self) -> None:
        """Set levels and formats; the file has a line for each file, too."""
        logging.getLogger().setLevel(max(self.level, logging.WARNING))
        level = min(max(self.level, logging.DEBUG), logging.ERROR if self.file is None else logging.INFO)
        for name in OUR_LOGGERS:
            logging.getLogger(name).setLevel(level)
        for handler in filter(None, (self.stderr, self.file)):
            handler.setFormatter(self.formatter())

    def goes_to_stderr(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is for stderr; a traceback is one that was asked for."""
        return record.levelno >= min(self.level, logging.ERROR) or record.name == _tracebacks.name

    def formatter(self) -> logging.Formatter:
        """Return what formats a record."""
        if self.as_json:
            return JsonFormatter(shows_tracebacks)
        return TextFormatter(lambda: self.level < logging.WARNING, shows_tracebacks)


_settings = _LogSettings()


class _LineHandler(logging.Handler):
    """Hands each record on as a line.

    Args:
        write: takes it; it stops nothing if it cannot.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001  # logging's own rule: a record that cannot be formatted ends nothing
            self.handleError(record)
        else:
            self._write(line)


def log_to_stderr(write: Callable[[str], None]) -> None:
    """Send the log to stderr; a stderr that cannot be written to stops nothing.

    Args:
        write: writes a line to stderr.
    """
    logging.raiseExceptions = False
    _settings.stderr = _LineHandler(write)
    _settings.stderr.addFilter(_settings.goes_to_stderr)
    logging.getLogger().addHandler(_settings.stderr)
    _settings.apply()


def logging_options() -> list[click.Parameter]:
    """Return the options that control the log, for the group and for each command; what both are given adds up."""
    return [
        click.Option(
            ["-v", "--verbose"],
            count=True,
            expose_value=False,
            callback=_be_verbose,
            help="Log a line per file, and more; -vv logs every request.",
        ),
        click.Option(["-q", "--quiet"], is_flag=True, expose_value=False, callback=_be_quiet, help="Log errors only."),
        click.Option(
            ["--debug"],
            is_flag=True,
            expose_value=False,
            callback=_show_tracebacks,
            help="Show the traceback of a bug.",
        ),
        click.Option(
            ["--log-file"],
            metavar="FILE",
            expose_value=False,
            callback=_log_to_file,
            help="Append the log to FILE, too, with a line per file whatever -v and -q say.",
        ),
        click.Option(
            ["--log-format"],
            type=click.Choice(["text", "json"]),
            expose_value=False,
            callback=_choose_format,
            help="How lines of the log, and all other words on stderr, are written.  [default: text]",
        ),
    ]


def note_said(words: str, level: int = logging.INFO) -> str:
    """Copy to the log file what is said on stderr, and return it as it is to be written there.

    Args:
        words: one or more lines.
        level: of the lines in JSON and in the file.
    """
    if not _settings.as_json and _settings.file is None:
        return words
    records = [_record(line, level) for line in words.split("\n") if line]
    if _settings.file is not None:
        for record in records:
            _settings.file.handle(record)
    if not _settings.as_json:
        return words
    return "\n".join(_settings.formatter().format(record) for record in records)


def log_file_path() -> str | None:
    """Return where the log file is; None without one."""
    return None if _settings.file is None else _settings.file.baseFilename


def is_quiet() -> bool:
    """Tell whether only errors are wanted on stderr."""
    return _settings.level > logging.WARNING


def writes_json() -> bool:
    """Tell whether everything on stderr is written as JSON."""
    return _settings.as_json


def shows_tracebacks() -> bool:
    """Tell whether tracebacks are wanted on stderr."""
    return _tracebacks.isEnabledFor(logging.DEBUG)


def log_traceback(error: BaseException) -> None:
    """Log the traceback of an error, if tracebacks are wanted."""
    _tracebacks.debug("%s", type(error).__name__, exc_info=error)


def _record(line: str, level: int) -> logging.LogRecord:
    record = logging.LogRecord("kraken_plan", level, __file__, 0, "%s", (line,), None)
    record.created = time.time()
    return record


def _be_verbose(ctx: click.Context, _parameter: click.Parameter, times: int) -> None:
    _adjust_level(ctx, -10 * times)


def _be_quiet(ctx: click.Context, _parameter: click.Parameter, quiet: bool) -> None:  # noqa: FBT001  # click's signature
    _adjust_level(ctx, 10 if quiet else 0)


def _adjust_level(ctx: click.Context, by: int) -> None:
    _settings.level = ctx.find_root().meta[_LEVEL] = ctx.find_root().meta.get(_LEVEL, logging.WARNING) + by
    _settings.apply()


def _show_tracebacks(_ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:  # noqa: FBT001  # click's signature
    if wanted:
        _tracebacks.setLevel(logging.DEBUG)


def _log_to_file(_ctx: click.Context, _parameter: click.Parameter, path: str | None) -> None:
    if path is None:
        return
    if _is_something_else(path):
        raise click.BadParameter(
            f"{printable(path)}: something that is not a log already exists there; it was left untouched"
        )
    try:
        handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    except (OSError, ValueError) as error:  # a path with a NUL
        reason = getattr(error, "strerror", None) or error
        raise click.BadParameter(f"{printable(path)} cannot be written: {reason}") from None
    if _settings.file is not None:
        logging.getLogger().removeHandler(_settings.file)
        _settings.file.close()
    _settings.file = handler
    logging.getLogger().addHandler(handler)
    _settings.apply()


def _is_something_else(path: str) -> bool:
    """Tell whether a path is that of a file that is not a log; streams and devices take anything."""
    try:
        if not os.path.isfile(path) or os.path.abspath(path).startswith("/dev/"):  # noqa: PTH100, PTH113  # pathlib takes time to load
            return False
        with open(path, "rb") as file:  # noqa: PTH123
            begin = file.read(32)
    except (OSError, ValueError):  # opening it for writing says why
        return False
    return begin != b"" and _LOG_BEGINS.match(begin) is None


def _choose_format(_ctx: click.Context, _parameter: click.Parameter, name: str | None) -> None:
    if name is not None:
        _settings.as_json = name == "json"
        _settings.apply()
