"""What a measurement ran on: machine, kernel, programs, file systems."""

import os
import platform
import subprocess
from pathlib import Path

from peers import BIN

TMPFS = Path("/dev/shm")  # noqa: S108  # a file system in memory is what is meant

_PROGRAMS = (["kraken-plan", "--version"], ["s5cmd", "version"], ["rclone", "version"], ["weed", "version"])


def describe_surroundings(folder: Path) -> list[str]:
    """Return lines that say what runs where, and how busy the machine is."""
    cores, load = os.cpu_count(), os.getloadavg()[0]
    lines = [f"{platform.platform()}, Python {platform.python_version()}, {cores} cores, load {load:.1f} before"]
    lines += [f"{program}: {_first_line([str(BIN / program), *options])}" for program, *options in _PROGRAMS]
    places = {"disk": folder, "memory": TMPFS}
    return lines + [
        f"{name}: {_first_line(['stat', '--file-system', '--format=%T', str(place)])}"
        for name, place in places.items()
        if place.is_dir()
    ]


def _first_line(command: list[str]) -> str:
    said = subprocess.run(command, capture_output=True, encoding="utf-8", check=False).stdout
    return said.splitlines()[0] if said else "?"
