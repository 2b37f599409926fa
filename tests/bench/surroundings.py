"""What a measurement ran on: machine, kernel, programs, file systems."""

import os
import platform
import subprocess
from pathlib import Path

from peers import BIN

TMPFS = Path("/dev/shm")  # noqa: S108  # a file system in memory is what is meant

_PROGRAMS = (["kraken-plan", "--version"], ["s5cmd", "version"], ["rclone", "version"], ["weed", "version"])


def show_surroundings(folder: Path) -> None:
    """Say what runs where."""
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores")
    for program, *options in _PROGRAMS:
        print(f"{program}: {_first_line([str(BIN / program), *options])}")
    for place in (folder, TMPFS):
        if place.is_dir():
            print(f"{place}: {_first_line(['stat', '--file-system', '--format=%T', str(place)])}", flush=True)


def _first_line(command: list[str]) -> str:
    said = subprocess.run(command, capture_output=True, encoding="utf-8", check=False).stdout
    return said.splitlines()[0] if said else "?"
