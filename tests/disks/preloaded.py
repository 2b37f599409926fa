"""Makes libraries that stand between a program and the C library (LD_PRELOAD): what it sees of other file systems."""

import subprocess
from pathlib import Path


def preloaded(source: str, folder: Path) -> Path:
    """Compile C source to a library for LD_PRELOAD, and return its path."""
    code, library = folder / "preloaded.c", folder / "preloaded.so"
    code.write_text(source, encoding="ascii")
    subprocess.run(["/usr/bin/cc", "-shared", "-fPIC", "-O1", "-o", library, code, "-ldl"], check=True)
    return library
