"""Compiles `applier/disk/md5_lanes.c` when the project is built; without a C compiler, hashlib does it all.

The library is plain C, called through ctypes: one wheel serves every Python of a platform.
"""

import os
import platform
import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = "applier/disk/md5_lanes.c"
LIBRARY = "applier/disk/libmd5_lanes.so"
FLAGS = ("-O3", "-fPIC", "-shared", "-Wall", "-Wextra")


class CompileMd5Lanes(BuildHookInterface[Any]):
    """The build hook of wheels and of editable installs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the library and have it packed into the wheel, which is then one of this platform."""
        library = Path(self.root, LIBRARY)
        library.unlink(missing_ok=True)
        if not self._compiled(library):
            return
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
        if version != "editable":
            build_data["force_include"][str(library)] = LIBRARY

    def _compiled(self, library: Path) -> bool:
        compiler = shlex.split(os.environ.get("CC", "cc"))
        if platform.machine() != "x86_64" or shutil.which(compiler[0]) is None:
            self.app.display_warning("no x86-64 C compiler: MD5 will be computed by hashlib, at a fraction of the rate")
            return False
        command = [*compiler, *FLAGS, "-o", str(library), str(Path(self.root, SOURCE))]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        if done.returncode != 0:
            self.app.display_warning(f"{SOURCE} cannot be compiled, MD5 will be computed by hashlib:\n{done.stderr}")
        return done.returncode == 0
