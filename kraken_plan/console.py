"""What a running command says to people, on stderr, and how it leaves."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from applier.restore.progress import LineProgress, Progress
from schemas.plan import Plan

logger = logging.getLogger(__name__)


def say(words: str) -> None:
    """Say something on stderr, if anybody still listens: whoever does not must not stop a restore."""
    if sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.write(words + "\n")
            sys.stderr.flush()


@contextmanager
def shown_progress(plan: Plan) -> Iterator[Progress]:
    """Show a bar on a terminal, a line now and then elsewhere, nothing under --quiet."""
    files = [file for _, file in plan.planned_files()]
    total_bytes = sum(file.expected_size or 0 for file in files)
    if not logger.isEnabledFor(logging.WARNING):
        yield Progress()
    elif sys.stderr is not None and sys.stderr.isatty():
        from kraken_plan.progress import progress_bar  # noqa: PLC0415  # tqdm takes its time

        with progress_bar(len(files), total_bytes) as bar:
            yield bar
    else:
        yield LineProgress(len(files), total_bytes, say)


def leave(exit_code: int, *, ended: bool) -> int:
    """Return the exit code, or leave with it at once where threads still wait for S3.

    They must not find their files closed, and their numbers given to others; the kernel closes them all at once.
    """
    if not ended:
        with suppress(OSError):
            sys.stdout.flush()
        os._exit(exit_code)
    return exit_code
