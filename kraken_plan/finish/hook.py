"""Runs the command of `--on-finish`, with the summary of the run on its stdin."""

import json
import logging
import subprocess
import sys
from collections.abc import Mapping

from schemas.text import printable

logger = logging.getLogger(__name__)

LONGEST_SECONDS = 600


def run_hook(command: str, record: Mapping[str, object]) -> None:
    """Run a command by the shell, and warn if it fails; what it prints goes to stderr, for stdout is the results'.

    Args:
        command: as a shell takes it.
        record: the summary of the run.
    """
    name = printable(command, 200)
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            input=json.dumps(record).encode() + b"\n",
            stdout=sys.stderr.fileno() if sys.stderr is not None else subprocess.DEVNULL,
            timeout=LONGEST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        logger.warning("--on-finish %s: ended after %d minutes", name, LONGEST_SECONDS // 60)
    except OSError as error:
        logger.warning("--on-finish %s: cannot be run: %s", name, error.strerror)
    else:
        if done.returncode != 0:
            logger.warning("--on-finish %s: exit code %d", name, done.returncode)
