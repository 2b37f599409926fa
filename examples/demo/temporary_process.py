"""Servers that live as long as a `with` block: finding their program and free ports, starting and ending them.

Knows nothing of what the servers do, or of how to tell that one is ready.
"""

import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOOPBACK = "127.0.0.1"
# Below Linux's range for outgoing connections (32768 and up), so that none of those can take a port chosen here.
# 10,000 is the distance at which SeaweedFS expects a gRPC port from its HTTP port; ports and twins do not overlap.
_FIRST_PORT, _LAST_PORT = 11_000, 21_000
TWIN_OFFSET = 10_000

# SIGKILL for the child when its parent dies, however it dies (Linux only: elsewhere the child is merely started).
_DIE_WITH_PARENT = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)
os.execv(sys.argv[1], sys.argv[1:])
"""


def installed_program(name: str) -> str:
    """Path of a program that was installed with this Python, or failing that, one from the PATH.

    Raises:
        FileNotFoundError: It is in neither place.
    """
    beside_python = Path(sys.executable).parent
    found = shutil.which(name, path=str(beside_python)) or shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"The program {name!r} is neither in {beside_python} nor on the PATH.")
    return found


def free_ports(count: int) -> tuple[int, ...]:
    """Random ports on loopback that nobody listens on, each with its twin at `TWIN_OFFSET` free as well.

    Another process may still take one before it is used: start with others then.
    """
    candidates = random.SystemRandom().sample(range(_FIRST_PORT, _LAST_PORT), _LAST_PORT - _FIRST_PORT)
    ports = (port for port in candidates if _is_free(port) and _is_free(port + TWIN_OFFSET))
    return tuple(next(ports) for _ in range(count))


def wait_for_port(process: subprocess.Popen[bytes], port: int, *, timeout_seconds: float = 30) -> bool:
    """Wait till something listens on the port.

    Returns:
        False if the process ended before, or the time is up.
    """
    deadline = time.monotonic() + timeout_seconds
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex((LOOPBACK, port)) == 0:
                return True
        time.sleep(0.02)
    return False


@contextmanager
def temporary_process(command: list[str], *, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in a folder, with its output in `process.log` there, and kill it at the end of the block.

    It sees no more of the environment than PATH and, as HOME, the folder. It also ends when the thread that
    entered the block dies, so enter from one that lives as long as the server is needed.
    """
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "LANG": "C.UTF-8"}
    with (folder / "process.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _DIE_WITH_PARENT, *command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True
