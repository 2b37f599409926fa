"""Skips tests whose surroundings are missing, and says why; where `CI` is set, they fail instead.

This holds for all that root, `.ci/environment` or `make` can bring: mounts, Chromium, a compiler, Airflow. Tests of
what a machine may be unable to have (FUSE, Slurm) are skipped everywhere.
"""

import os
import shutil

import pytest


def need(present: object, reason: str) -> None:
    """Go on with the test if what it needs is present."""
    if present:
        return
    if os.environ.get("CI"):
        pytest.fail(f"{reason}; under CI nothing may be missing")
    pytest.skip(reason)


def needs(present: object, reason: str) -> pytest.MarkDecorator:
    """Mark a test with what it needs; `conftest.py` asks for it before the test's fixtures are set up."""
    return pytest.mark.needs(present, reason)


needs_root = needs(os.geteuid() == 0, "mounting a file system takes root")
needs_compiler = needs(
    shutil.which("cc"), "there is no C compiler (Debian: apt-get install gcc libc6-dev; `.ci/environment` does it)"
)
