"""Says things on stderr, and leaves the process with an exit code."""

import os
import sys
from contextlib import suppress
from typing import NoReturn, TextIO

from kraken_plan.logs import is_quiet
from schemas.text import printable

_PROGRAM = "kraken-plan"


def prepare_streams() -> None:
    """Make the standard streams safe to use: never closed, and UTF-8 whatever the locale says."""
    _open_standard_files()
    for stream in (sys.stdout, sys.stderr):
        _use_utf8(stream)


def say(words: str) -> None:
    """Say something on stderr, if anybody still listens: whoever does not must not stop a restore."""
    if sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.write(words + "\n")
            sys.stderr.flush()


def say_unless_quiet(words: str) -> None:
    """Say something that --quiet leaves out."""
    if not is_quiet():
        say(words)


def say_error(message: str) -> None:
    """Say why the program ends; its own lines stay apart, whatever else could steer a terminal is escaped."""
    lines = [printable(line) for line in message.split("\n")]
    say("\n".join([f"{_PROGRAM}: {lines[0]}", *lines[1:]]))


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
