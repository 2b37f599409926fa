"""Has the kernel write less than it is asked to, as it may: every write of the applier ends after some bytes."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def short_writes(monkeypatch: pytest.MonkeyPatch, most_bytes: int) -> Iterator[list[int]]:
    """Let `os.write` and `os.pwrite` write at most so many bytes at a time, within a block, for the applier's modules.

    Yields:
        How many bytes were asked for, of each write that was cut.
    """
    cut: list[int] = []

    def shortened(real: Callable[..., int]) -> Callable[..., int]:
        def write(descriptor: int, content: bytes | memoryview, *offset: int) -> int:
            called_by = str(sys._getframe(1).f_globals["__name__"])  # noqa: SLF001  # who calls
            if called_by.startswith("applier.") and len(content) > most_bytes:
                cut.append(len(content))
                content = content[:most_bytes]
            return real(descriptor, content, *offset)

        return write

    with monkeypatch.context() as patched:
        for name in ("write", "pwrite"):
            patched.setattr(os, name, shortened(getattr(os, name)))
        yield cut
