"""Waiting for what another process or thread is about to do."""

import time
from collections.abc import Callable


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Wait till a condition holds, for 30 seconds at most."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"waited 30 s in vain for {what}"
        time.sleep(0.02)
