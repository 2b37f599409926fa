"""Compiles `applier/disk/compiled/*.c` when the project is built; without a C compiler, hashlib does it all.

Packs man pages and completion scripts into the wheel, see `build_share.py`.

The library is plain C, called through ctypes: one wheel serves every Python of a platform.
"""

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCES = ("applier/disk/compiled/md5_lanes.c", "applier/disk/compiled/small_files.c")
LIBRARY = "applier/disk/compiled/libcompiled.so"
SHARE = "build/share"
FLAGS = ("-O3", "-fPIC", "-shared", "-Wall", "-Wextra")


class CompileLibrary(BuildHookInterface[Any]):
    """The build hook of wheels and of editable installs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the library and have it packed into the wheel, which is then one of this platform."""
        if version != "editable":
            build_data["shared_data"][self._write_share()] = "share"
        library = Path(self.root, LIBRARY)
        library.unlink(missing_ok=True)
        if not self._compiled(library):
            return
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
        if version != "editable":
            build_data["force_include"][str(library)] = LIBRARY

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002  # hatchling's signature
        """Remove what was written for the wheel."""
        shutil.rmtree(Path(self.root, SHARE), ignore_errors=True)

    def _write_share(self) -> str:
        """Write man pages and completion scripts into a folder, in a process of its own, and return its path."""
        folder = Path(self.root, SHARE)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, str(Path(self.root, "build_share.py")), str(folder)], cwd=self.root, check=True)
        return str(folder)

    def _compiled(self, library: Path) -> bool:
        compiler = shlex.split(os.environ.get("CC", "cc"))
        if platform.machine() != "x86_64" or shutil.which(compiler[0]) is None:
            self.app.display_warning("no x86-64 C compiler: MD5 will be computed by hashlib, at a fraction of the rate")
            return False
        command = [*compiler, *FLAGS, "-o", str(library), *(str(Path(self.root, source)) for source in SOURCES)]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        if done.returncode != 0:
            self.app.display_warning(f"{LIBRARY} cannot be compiled, MD5 will be computed by hashlib:\n{done.stderr}")
        return done.returncode == 0
