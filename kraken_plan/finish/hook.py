"""Runs the command of `--on-finish`, with the summary of the run on its stdin, until it ends or a signal ends it.

No message names the command: it may hold the address of a webhook, or a password.
"""

import logging
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress

from kraken_plan.console import say
from kraken_plan.signals import StopRequest, stop_on_signals
from schemas.errors import ConfigError
from schemas.results_file import summary_line

logger = logging.getLogger(__name__)

LONGEST_SECONDS = 600
_POLL_SECONDS = 0.2
_SECONDS_TO_END = 2.0


def run_hook(command: str, record: Mapping[str, object]) -> None:
    """Run a command by the shell, and warn if it fails; what it prints goes to stderr, for stdout is the results'.

    A signal ends it, and the run leaves with the exit code that the command was told.

    Args:
        command: as a shell takes it.
        record: the summary of the run.
    """
    try:
        with stop_on_signals(say) as stop:
            stop.is_connecting, stop.describe_progress = False, lambda: "the run has ended; --on-finish is running"
            _run(command, summary_line(record).encode(), stop)
    except OSError as error:
        logger.warning("--on-finish: cannot be run: %s", error.strerror)
    except ConfigError as error:
        logger.warning("--on-finish: cannot be run: %s", error)


def _run(command: str, content: bytes, stop: StopRequest) -> None:
    hook = subprocess.Popen(
        ["/bin/sh", "-c", command],
        stdin=subprocess.PIPE,
        stdout=sys.stderr.fileno() if sys.stderr is not None else subprocess.DEVNULL,
    )
    try:
        _wait(hook, content, stop)
        is_late = hook.poll() is None
    finally:
        _end(hook)
    if stop.signal_number is not None:
        logger.warning("--on-finish: ended by %s", signal.Signals(stop.signal_number).name)
    elif is_late:
        logger.warning("--on-finish: ended after %d minutes", LONGEST_SECONDS // 60)
    elif hook.returncode != 0:
        logger.warning("--on-finish: exit code %d", hook.returncode)


def _wait(hook: subprocess.Popen[bytes], content: bytes, stop: StopRequest) -> None:
    """Give a command its input, and wait until it ends, a signal comes, or its time is over."""
    deadline = time.monotonic() + LONGEST_SECONDS
    unsent: bytes | None = content
    while stop.signal_number is None and time.monotonic() < deadline:
        with suppress(subprocess.TimeoutExpired):
            hook.communicate(unsent, timeout=_POLL_SECONDS)
            return
        unsent = None  # communicate() keeps what it has not sent


def _end(hook: subprocess.Popen[bytes]) -> None:
    """End a command that still runs."""
    for end in (hook.terminate, hook.kill):
        if hook.poll() is None:
            end()
            with suppress(subprocess.TimeoutExpired):
                hook.wait(_SECONDS_TO_END)
