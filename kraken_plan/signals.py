"""Turns SIGINT, SIGTERM and SIGHUP into an orderly stop, and answers SIGUSR1 with a line about the progress.

The first signal sets an event that every thread watches; reports are still written. The second one ends the process at
once, which is safe at any instant. A SIGHUP that is ignored, as under nohup, stays ignored.

A thread of its own acts on the signals, which reach it through a pipe: the main thread may be stuck in a write to a
stderr or stdout that nobody reads, where no handler written in Python would ever run.
"""

import functools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from schemas.errors import ConfigError

# An orderly stop takes at most two seconds, so that nobody who is patient with it has reason to ask again before.
_SAME_REQUEST_SECONDS = 3.0
_LONGEST_CONNECTING_SECONDS = 1.5
# Whoever ends a job signals its whole process group, and the launcher in it (a batch script, `timeout`, a container's
# init) passes on what it got; systemd sends a SIGHUP right after the SIGTERM.
# (The signals that Windows lacks are asked for by name: commands that only review plans run there.)
_SENT_TWICE = frozenset({signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)})
_END_OF_BLOCK = 0


class StopRequest:
    """Whether, and by which signal, the run was asked to stop.

    Attributes:
        event: set once the run is to stop.
        signal_number: of the signal that asked; None if none has.
        describe_progress: says how far the run has come.
        end_helpers: ends the processes that would stay behind where this one ends at once.
        is_connecting: whether the run still waits for credentials, and has touched nothing.
    """

    def __init__(self, end_helpers: Callable[[], None] = lambda: None) -> None:
        self.event = threading.Event()
        self.signal_number: int | None = None
        self.describe_progress: Callable[[], str] = lambda: "still preparing"
        self.end_helpers = end_helpers
        self.is_connecting = True
        self._asked_at = 0.0

    @property
    def exit_code(self) -> int | None:
        """128 + the signal's number, as shells have it; None if nobody asked."""
        return None if self.signal_number is None else 128 + self.signal_number

    def stop(self, number: int) -> None:
        """Ask every thread to stop."""
        self._asked_at = time.monotonic()
        self.signal_number = number
        self.event.set()

    def is_repeated_by(self, number: int) -> bool:
        """Tell whether a signal that comes now is the first one again, sent along another way."""
        soon = time.monotonic() - self._asked_at < _SAME_REQUEST_SECONDS
        return soon and {number, self.signal_number} <= _SENT_TWICE


@contextmanager
def stop_on_signals(
    announce: Callable[[str], None], end_helpers: Callable[[], None] = lambda: None
) -> Iterator[StopRequest]:
    """Listen for signals during a block.

    Args:
        announce: says in words that the run is stopping, or how far it has come; it may block.
        end_helpers: ends the processes that would stay behind where this one ends at once.

    Raises:
        ConfigError: the system starts no more threads.
    """
    request = StopRequest(end_helpers)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)  # os.set_blocking takes no keyword
    listener = threading.Thread(target=_listen, args=(reader, request, announce), daemon=True, name="signals")
    try:
        listener.start()
    except RuntimeError:
        os.close(reader)
        os.close(writer)
        raise ConfigError("the system starts no more threads: the limits (ulimit -u, ulimit -v) are too low") from None
    pipe_before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    heard = [number for number in signal.Signals if _is_to_be_heard(number)]
    handlers_before = {number: signal.signal(number, _do_nothing) for number in heard}
    try:
        yield request
    finally:
        for number, handler in handlers_before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(pipe_before)
        os.write(writer, bytes([_END_OF_BLOCK]))
        listener.join()
        os.close(reader)
        os.close(writer)


def survive_status_requests() -> None:
    """Let no SIGUSR1 end the process, also where there is no progress to tell of."""
    if hasattr(signal, "SIGUSR1"):
        signal.signal(signal.SIGUSR1, _do_nothing)


def _is_to_be_heard(number: signal.Signals) -> bool:
    match number:
        case signal.SIGINT | signal.SIGTERM | signal.SIGUSR1:
            return True
        case signal.SIGHUP:
            return signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
        case _:
            return False


def _do_nothing(number: int, frame: FrameType | None) -> None:
    """Be the handler in Python that there must be for the pipe to be told."""


def _listen(reader: int, request: StopRequest, announce: Callable[[str], None]) -> None:
    """Act on every signal as it comes, without ever waiting for anything else."""
    while (number := os.read(reader, 1)[0]) != _END_OF_BLOCK:
        if number == signal.SIGUSR1:
            _start_aside(lambda: announce(request.describe_progress()))
        elif request.signal_number is None:
            request.stop(number)
            words = f"{signal.Signals(number).name}: stopping; once more ends at once"
            _start_aside(functools.partial(announce, words))
            _start_aside(functools.partial(_end_connecting, request, number))
        elif not request.is_repeated_by(number):
            request.end_helpers()
            os._exit(128 + number)


def _end_connecting(request: StopRequest, number: int) -> None:
    """End the process if it is still connecting after a while: what gives the credentials may take a minute."""
    time.sleep(_LONGEST_CONNECTING_SECONDS)
    if request.is_connecting:
        request.end_helpers()
        os._exit(128 + number)


def _start_aside(announcement: Callable[[], None]) -> None:
    """Announce in a thread that may be stuck for good; where none can be started, say nothing."""
    with suppress(RuntimeError):
        threading.Thread(target=announcement, daemon=True, name="announcement").start()
