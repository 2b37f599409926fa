"""Runs the command of `--on-finish`, with the summary of the run on its stdin.

No message names the command: it may hold the address of a webhook, or a password.
"""

import logging
import subprocess
import sys
from collections.abc import Mapping

from schemas.results_file import summary_line

logger = logging.getLogger(__name__)

LONGEST_SECONDS = 600


def run_hook(command: str, record: Mapping[str, object]) -> None:
    """Run a command by the shell, and warn if it fails; what it prints goes to stderr, for stdout is the results'.

    Args:
        command: as a shell takes it.
        record: the summary of the run.
    """
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            input=summary_line(record).encode(),
            stdout=sys.stderr.fileno() if sys.stderr is not None else subprocess.DEVNULL,
            timeout=LONGEST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        logger.warning("--on-finish: ended after %d minutes", LONGEST_SECONDS // 60)
    except OSError as error:
        logger.warning("--on-finish: cannot be run: %s", error.strerror)
    else:
        if done.returncode != 0:
            logger.warning("--on-finish: exit code %d", done.returncode)
