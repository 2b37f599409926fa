"""Says things on stderr, above the line that shows progress, and leaves the process with an exit code."""

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn, Protocol, TextIO

from kraken_plan.logs import is_quiet, note_said, writes_json
from schemas.text import printable

_PROGRAM = "kraken-plan"


class LiveLine(Protocol):
    """A line at the bottom of a terminal that is drawn again and again."""

    def clear(self) -> None:
        """Erase it."""

    def draw(self) -> None:
        """Draw it as things stand now."""


# Whoever writes to stderr, or draws there, holds this. The list has the line that is drawn now, if any.
_writing = threading.RLock()
_live_lines: list[LiveLine] = []


def prepare_streams() -> None:
    """Make the standard streams safe to use: never closed, and UTF-8 whatever the locale says."""
    _open_standard_files()
    for stream in (sys.stdout, sys.stderr):
        _use_utf8(stream)


def say(words: str, level: int = logging.INFO) -> None:
    """Say something on stderr, in the form of the log, and in the log file.

    Args:
        words: one or more lines.
        level: how bad it is, where that is written.
    """
    write_line(note_said(words, level))


def write_line(text: str) -> None:
    """Write to stderr, if anybody still listens: whoever does not must not stop a restore."""
    with _writing:
        for live in _live_lines:
            live.clear()
        write_on_terminal(f"{text}\n")
        for live in _live_lines:
            live.draw()


def write_on_terminal(text: str) -> None:
    """Write to stderr as it is; for what draws there itself."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):  # closed meanwhile
            sys.stderr.write(text)
            sys.stderr.flush()


@contextmanager
def kept_below(live: LiveLine) -> Iterator[Callable[[], None]]:
    """Keep a line below all that is said during a block, and erase it in the end.

    Returns:
        What draws it again; to be called from any thread.
    """

    def draw() -> None:
        with _writing:
            if live in _live_lines:
                live.draw()

    with _writing:
        _live_lines.append(live)
    try:
        yield draw
    finally:
        with _writing:
            _live_lines.remove(live)
            live.clear()


def say_unless_quiet(words: str) -> None:
    """Say something that --quiet leaves out."""
    if not is_quiet():
        say(words)


def say_error(message: str) -> None:
    """Say why the program ends; its own lines stay apart, whatever else could steer a terminal is escaped."""
    lines = [printable(line) for line in message.split("\n")]
    say("\n".join([f"{_PROGRAM}: {lines[0]}", *lines[1:]]), logging.ERROR)


def say_refused_usage(show: Callable[[], None], message: str) -> None:
    """Say what is wrong with the command line: as click shows it, or as one record where the log is JSON.

    Args:
        show: shows it, with the usage of the command.
        message: what is wrong.
    """
    if writes_json():
        say_error(f"error: {message}")
    else:
        with suppress(OSError):
            show()


def leave(exit_code: int) -> NoReturn:
    """End the process at once, with all that was printed.

    Python's own way out waits for threads that S3 keeps waiting, closes files that they still use, frees every object,
    which takes a tenth of a short run, and makes the exit code 120 where stdout cannot be flushed.
    """
    with suppress(OSError, ValueError, KeyboardInterrupt):
        flush_stdout()
    os._exit(exit_code)


def flush_stdout() -> None:
    """Write what was printed and not written yet.

    Raises:
        OSError: it cannot be written.
    """
    if sys.stdout is not None:
        sys.stdout.flush()


def _open_standard_files() -> None:
    """Give closed standard files a place to go, or the next file that is opened would be taken for one of them."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _use_utf8(stream: TextIO | None) -> None:
    reconfigure = getattr(stream, "reconfigure", None)  # absent where the stream is closed or replaced
    if reconfigure is not None:
        reconfigure(encoding="utf-8", errors="backslashreplace")
