"""Makes the N-th call of a system function fail that the applier makes, once or from then on: disks as they can be."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from applier.disk import rename


@dataclass(slots=True, kw_only=True)
class FailingCall:
    """Which call fails, and whether it came to that.

    Attributes:
        name: Of a function of `os`, or `renameat2`, which `os` does not have.
        nth: Which call of it, from 1, counted over all threads.
        error_number: What it fails with.
        for_ever: Whether all later calls of it fail, too.
        calls: How many there have been.
    """

    name: str
    nth: int
    error_number: int
    for_ever: bool
    calls: int = 0

    def __str__(self) -> str:
        often = "for ever" if self.for_ever else "once"
        return f"{self.name} number {self.nth} fails {often} with {os.strerror(self.error_number)}"

    @property
    def has_failed(self) -> bool:
        """Whether the run made so many calls."""
        return self.calls >= self.nth

    @contextmanager
    def injected(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Have the call fail within a block, in the applier's modules alone."""
        module = rename if self.name == "renameat2" else os
        real: Callable[..., object] = getattr(module, self.name)
        lock = threading.Lock()

        def call(*arguments: object, **keywords: object) -> object:
            if str(sys._getframe(1).f_globals["__name__"]).startswith("applier."):  # noqa: SLF001  # who calls
                with lock:
                    self.calls += 1
                    fails = self.calls == self.nth or (self.for_ever and self.calls > self.nth)
                if fails and self.name == "close":
                    real(*arguments, **keywords)  # Linux closes whatever close() returns
                if fails:
                    raise OSError(self.error_number, os.strerror(self.error_number))
            return real(*arguments, **keywords)

        with monkeypatch.context() as patched:
            patched.setattr(module, self.name, call)
            yield
