"""Runs the command of `--on-finish`, with the summary of the run on its stdin, until it ends or a signal ends it.

No message names the command: it may hold the address of a webhook, or a password.
"""

import logging
import os
import signal
import subprocess
import sys
import tempfile
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
_NO_SIGNAL = 0  # only asks whether there is a process


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
    with tempfile.TemporaryFile() as summary:  # a pipe that the command does not read would hold us up
        summary.write(content)
        summary.seek(0)
        hook = subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=summary,
            stdout=sys.stderr.fileno() if sys.stderr is not None else subprocess.DEVNULL,
            process_group=0,  # so that what the shell has started ends with it
        )
    stop.end_helpers = lambda: _end_at_once(hook)
    try:
        _wait(hook, stop)
        is_late = hook.poll() is None
    finally:
        if hook.poll() is None:
            _end(hook)
    if stop.signal_number is not None:
        logger.warning("--on-finish: ended by %s", signal.Signals(stop.signal_number).name)
    elif is_late:
        logger.warning("--on-finish: ended after %d minutes", LONGEST_SECONDS // 60)
    elif hook.returncode != 0:
        logger.warning("--on-finish: exit code %d", hook.returncode)


def _wait(hook: subprocess.Popen[bytes], stop: StopRequest) -> None:
    """Wait until a command ends, a signal comes, or its time is over."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while stop.signal_number is None and time.monotonic() < deadline:
        with suppress(subprocess.TimeoutExpired):
            hook.wait(_POLL_SECONDS)
            return


def _end(hook: subprocess.Popen[bytes]) -> None:
    """End a command and all that it has started, which may take longer to end than the shell."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _SECONDS_TO_END
        is_left = _signal_group(hook, number)
        while is_left and time.monotonic() < deadline:
            hook.poll()  # it stays in its group until somebody has asked how it ended
            time.sleep(_POLL_SECONDS)
            is_left = _signal_group(hook, _NO_SIGNAL)


def _end_at_once(hook: subprocess.Popen[bytes]) -> None:
    _signal_group(hook, signal.SIGKILL)


def _signal_group(hook: subprocess.Popen[bytes], number: int) -> bool:
    """Send a signal to a command and all that it has started; tell whether there was anything left to send it to."""
    try:
        os.killpg(hook.pid, number)
    except (ProcessLookupError, PermissionError):  # nothing is left, or only what runs as another user
        return False
    return True
