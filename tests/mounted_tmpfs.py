"""A small file system of its own, for what only a full, read-only or second one shows."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a file system takes root")


@contextmanager
def mounted_tmpfs(folder: Path, options: str) -> Iterator[None]:
    subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["/bin/umount", folder], check=True)
