"""Checks the program itself: its version, whether its compiled part helps, and where it keeps what it knows of runs."""

import os
import platform
from collections.abc import Iterator
from pathlib import Path

from applier.disk.compiled.md5_lanes import best_md5
from applier.finding import Finding, right, warning
from schemas.text import printable
from schemas.version import __version__


def check_program(state_folder: Path | None) -> Iterator[Finding]:
    """Check the program.

    Args:
        state_folder: where the results of runs are kept; None if nowhere.
    """
    yield right("program", f"kraken-plan {__version__}, Python {platform.python_version()}, {platform.platform()}")
    lanes = best_md5().lanes
    if lanes > 1:
        yield right("hashing", f"fast: {lanes} streams at once")
    else:
        advice = "install the wheel for this platform, or from source with a C compiler"
        yield warning("hashing", "one stream at a time: the compiled part is missing, or of no use here", advice)
    yield _state(state_folder)


def _state(folder: Path | None) -> Finding:
    if folder is None:
        return warning("state", "there is no folder for the results of runs", "name one with --state-dir DIR")
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    shown = printable(str(folder))
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        return right("state", f"the results of runs are kept in {shown}")
    return warning("state", f"{shown} cannot be written to", "name another folder with --state-dir DIR")
