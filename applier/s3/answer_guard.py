"""Breaks off answers that obstore reads whole, when this process grows while it waits for them.

obstore keeps the body of an error in memory until it ends, and nothing in its settings bounds that. Nor can a call be
taken back; but a connection can be shut under it, which ends the call as any broken connection does.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

logger = logging.getLogger(__name__)

# Far above what all jobs together hold while a request of theirs is under way.
MOST_GROWTH_BYTES = 192 * 1024 * 1024
_LOOK_SECONDS = 0.05
_STATM = Path("/proc/self/statm")
_DESCRIPTORS = Path("/proc/self/fd")


class AnswerGuard:
    """Watches the memory of this process as long as somebody waits for an answer.

    Where the system does not tell about memory, nothing is watched.

    Args:
        ports: of S3, and of the proxy that stands before it.
    """

    def __init__(self, ports: frozenset[int]) -> None:
        self._ports = ports
        self._memory_bytes = 0
        self._waiting: dict[object, int] = {}
        self._lock = threading.Lock()
        self._is_wanted = threading.Event()
        if _STATM.exists():
            threading.Thread(target=self._watch, daemon=True, name="answer-guard").start()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch while somebody waits in this block."""
        place = object()
        if not self._is_wanted.is_set():
            self._memory_bytes = _memory_bytes()
        with self._lock:
            self._waiting[place] = self._memory_bytes
        self._is_wanted.set()
        try:
            yield
        finally:
            with self._lock:
                del self._waiting[place]

    def _watch(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._is_wanted.clear()
            self._is_wanted.wait()
            self._memory_bytes = _memory_bytes()
            with self._lock:
                least_bytes = min(self._waiting.values(), default=self._memory_bytes)
            if self._memory_bytes - least_bytes > MOST_GROWTH_BYTES:
                logger.warning("answers of S3 take too much memory: the connections that they come on are broken off")
                _shut_connections(self._ports)
                with self._lock:
                    self._waiting = dict.fromkeys(self._waiting, self._memory_bytes)
            time.sleep(_LOOK_SECONDS)


def _memory_bytes() -> int:
    """Return how much memory this process has now; 0 where the system does not tell."""
    with suppress(OSError, ValueError, IndexError):
        return int(_STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _shut_connections(ports: frozenset[int]) -> None:
    """Shut this process's connections to any host on these ports."""
    for descriptor in [int(entry.name) for entry in _DESCRIPTORS.iterdir()]:
        with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as connection:
            if connection.getpeername()[1] in ports:
                connection.shutdown(socket.SHUT_RDWR)
