"""SIGINT and SIGTERM as an orderly stop: the first one is heard by every thread, the second ends the process at once.

Ending at once is safe at any instant; an orderly stop also writes the reports.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Whether, and by which signal, the run was asked to stop."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.signal_number: int | None = None

    @property
    def exit_code(self) -> int | None:
        """128 + the signal's number, as shells have it; None if nobody asked."""
        return None if self.signal_number is None else 128 + self.signal_number


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
            os._exit(128 + number)
        request.signal_number = number
        request.event.set()
        announce(f"{signal.Signals(number).name}: stopping; once more ends at once")

    before = {number: signal.signal(number, heard) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
