"""Writes the log to stderr, one escaped line a record, as much of it as -v, -q and --debug ask for."""

import logging
from typing import Any

import click

from schemas.text import printable

_OUR_LOGGERS = ("kraken_plan", "planner", "applier", "schemas")
_LEVEL = "kraken_plan.logs.level"
_ours = logging.getLogger("kraken_plan")
_tracebacks = logging.getLogger("kraken_plan.tracebacks")  # at DEBUG with --debug and -vv


class _OneLineFormatter(logging.Formatter):
    """Escapes what is not printable; names an exception at the end of the line, and shows its traceback if asked to."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        line = printable(super().formatMessage(record))
        error = record.exc_info[1] if record.exc_info else None
        if error is None or shows_tracebacks():
            return line
        ours = record.name.partition(".")[0] in _OUR_LOGGERS  # what others' exceptions quote may be a secret
        return f"{line}: {described_error(error) if ours else type(error).__name__} (--debug shows the traceback)"

    def formatException(self, ei: Any) -> str:  # noqa: ANN401, N802  # logging's name and type
        return super().formatException(ei) if shows_tracebacks() else ""


def log_to_stderr() -> None:
    """Send the log to stderr; a stderr that cannot be written to stops nothing."""
    logging.raiseExceptions = False
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLineFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)


def logging_options() -> list[click.Parameter]:
    """Return the options that control the log, for the group and for each command; what both are given adds up."""
    return [
        click.Option(
            ["-v", "--verbose"],
            count=True,
            expose_value=False,
            callback=_be_verbose,
            help="Log more; -vv logs everything.",
        ),
        click.Option(["-q", "--quiet"], is_flag=True, expose_value=False, callback=_be_quiet, help="Log errors only."),
        click.Option(
            ["--debug"],
            is_flag=True,
            expose_value=False,
            callback=_show_tracebacks,
            help="Show the traceback of a bug.",
        ),
    ]


def is_quiet() -> bool:
    """Tell whether only errors are wanted on stderr."""
    return not _ours.isEnabledFor(logging.WARNING)


def shows_tracebacks() -> bool:
    """Tell whether tracebacks are wanted on stderr."""
    return _tracebacks.isEnabledFor(logging.DEBUG)


def log_traceback(error: BaseException) -> None:
    """Log the traceback of an error, if tracebacks are wanted."""
    _tracebacks.debug("%s", type(error).__name__, exc_info=error)


def described_error(error: BaseException) -> str:
    """Return an error's type and message on one line.

    >>> described_error(KeyError("x")), described_error(ValueError())
    ("KeyError: 'x'", 'ValueError')
    """
    message = printable(str(error))
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _be_verbose(ctx: click.Context, _parameter: click.Parameter, times: int) -> None:
    _adjust_level(ctx, -10 * times)


def _be_quiet(ctx: click.Context, _parameter: click.Parameter, quiet: bool) -> None:  # noqa: FBT001  # click's signature
    _adjust_level(ctx, 10 if quiet else 0)


def _adjust_level(ctx: click.Context, by: int) -> None:
    level = ctx.find_root().meta.get(_LEVEL, logging.WARNING) + by
    ctx.find_root().meta[_LEVEL] = level
    logging.getLogger().setLevel(max(level, logging.WARNING))
    for name in _OUR_LOGGERS:
        logging.getLogger(name).setLevel(min(max(level, logging.DEBUG), logging.ERROR))


def _show_tracebacks(_ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:  # noqa: FBT001  # click's signature
    if wanted:
        _tracebacks.setLevel(logging.DEBUG)
