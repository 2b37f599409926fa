"""The wheel, built from a copy of the checkout: building removes and makes the compiled library beside its source."""

import os
import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from needs import needs_compiler

ROOT = Path(__file__).parents[2]
PACKED = (
    "pyproject.toml",
    "hatch_build.py",
    "README.md",
    "LICENSE",
    "schemas",
    "kraken_plan",
    "planner",
    "applier",
)
LIBRARY = "applier/disk/libmd5_lanes.so"


def built_wheel(folder: Path, compiler: str) -> Path:
    """Build with this C compiler and return the wheel."""
    copy = folder / "copy"
    copy.mkdir()
    for name in PACKED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(copy)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "CC": compiler})
    (wheel,) = folder.glob("*.whl")
    return wheel


@needs_compiler
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the library is for x86-64")
def test_a_wheel_should_hold_the_compiled_library_and_be_of_this_platform(tmp_path: Path) -> None:
    wheel = built_wheel(tmp_path, "cc")

    assert wheel.stem.endswith("-py3-none-linux_x86_64")
    assert LIBRARY in zipfile.ZipFile(wheel).namelist()


def test_a_wheel_should_be_built_without_a_compiler(tmp_path: Path) -> None:
    wheel = built_wheel(tmp_path, "no-such-compiler")

    assert wheel.stem.endswith("-py3-none-any")
    assert LIBRARY not in zipfile.ZipFile(wheel).namelist()
    assert {
        "applier/disk/md5_lanes.py",
        "kraken_plan/views/page.html",
        "kraken_plan/views/page.css",
        "kraken_plan/views/page.js",
    } <= set(zipfile.ZipFile(wheel).namelist())
