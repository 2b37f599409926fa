"""The wheel, built from a copy of the checkout: building removes and makes the compiled library beside its source."""

import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from needs import needs_compiler

from build_share import COMPLETIONS
from kraken_plan.command_group import COMMANDS
from schemas.version import __version__

ROOT = Path(__file__).parents[2]
PACKED = (
    "pyproject.toml",
    "hatch_build.py",
    "build_share.py",
    "README.md",
    "LICENSE",
    "schemas",
    "kraken_plan",
    "planner",
    "applier",
)
LIBRARY = "applier/disk/compiled/libcompiled.so"


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
        "applier/disk/compiled/md5_lanes.py",
        "kraken_plan/views/pages/page.html",
        "kraken_plan/views/pages/page.css",
        "kraken_plan/views/pages/page.js",
    } <= set(zipfile.ZipFile(wheel).namelist())
    assert_shell_files_are_in(wheel)


def assert_shell_files_are_in(wheel: Path) -> None:
    """A man page for every command, in good order and as complete as the help, and the scripts that complete."""
    names = [f"kraken-plan-{name}" for name in COMMANDS]
    pages = {f"man/man1/{name}.1" for name in ("kraken-plan", *names)}
    share = f"kraken_plan-{__version__}.data/data/share"
    with zipfile.ZipFile(wheel) as archive:
        found = {name.removeprefix(f"{share}/") for name in archive.namelist() if name.startswith(share)}
        assert found == pages | set(COMPLETIONS.values())
        apply_page = archive.read(f"{share}/man/man1/kraken-plan-apply.1").decode()
        script = archive.read(f"{share}/{COMPLETIONS['bash']}").decode()
    sections = re.findall("^[.]SH (.*)$", apply_page, re.MULTILINE)
    assert sections == ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT CODES", "EXAMPLES", "NOTES", "SEE ALSO"]
    assert r"\fB\-\-max\-bandwidth\fP RATE" in apply_page
    assert "\n  130/143  interrupted (SIGINT/SIGTERM)" in apply_page
    assert "complete -o nosort -F _kraken_plan_completion kraken-plan" in script
