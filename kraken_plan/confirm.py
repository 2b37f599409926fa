"""Asks the user whether to go on."""

import select
import sys
import threading

from schemas.errors import ConfigError

_LOOK_SECONDS = 0.1


def confirm(question: str, stop: threading.Event) -> bool:
    """Ask on stderr, and tell whether the answer on stdin is yes; a signal to stop is a no.

    Raises:
        ConfigError: there is nobody to be asked.
    """
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr)):
        raise ConfigError(f"nothing was done, for there is no terminal to ask on: {question} --yes answers in advance")
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    while not stop.is_set():
        if select.select([sys.stdin], [], [], _LOOK_SECONDS)[0]:
            return sys.stdin.readline().strip().lower() in {"y", "yes"}
    return False
