"""SIGINT and SIGTERM as an orderly stop: the first one is heard by every thread, the second ends the process at once.

Ending at once is safe at any instant; an orderly stop also writes the reports.

A SIGTERM soon after the first is no second one: who ends a job signals its whole process group, and the launcher in it
(a batch script, `timeout`, a container's init) passes on what it got.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# An orderly stop takes at most two seconds, so that nobody who is patient with it has reason to ask again before.
_SAME_SIGTERM_SECONDS = 3.0


class StopRequest:
    """Whether, and by which signal, the run was asked to stop."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.signal_number: int | None = None
        self.asked_at = 0.0

    @property
    def exit_code(self) -> int | None:
        """128 + the signal's number, as shells have it; None if nobody asked."""
        return None if self.signal_number is None else 128 + self.signal_number

    def is_repeated_by(self, number: int) -> bool:
        """Whether a signal that comes now is the one that asked, on another way."""
        return (
            number == self.signal_number == signal.SIGTERM and time.monotonic() - self.asked_at < _SAME_SIGTERM_SECONDS
        )


@contextmanager
def stop_on_signals(announce: Callable[[str], None]) -> Iterator[StopRequest]:
    """Listen for SIGINT and SIGTERM during a block.

    Args:
        announce: told, in words, that the run is stopping.
    """
    request = StopRequest()

    def heard(number: int, frame: FrameType | None) -> None:
        del frame
        if request.signal_number is not None:
            if request.is_repeated_by(number):
                return
            os._exit(128 + number)
        request.asked_at = time.monotonic()
        request.signal_number = number
        request.event.set()
        announce(f"{signal.Signals(number).name}: stopping; once more ends at once")

    before = {number: signal.signal(number, heard) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
