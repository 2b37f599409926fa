"""A PostgreSQL server of Debian's on loopback for the length of a `with` block, with an empty database.

Airflow 2.11 wants one as soon as a scheduler runs tasks side by side.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from temporary_process import LOOPBACK, free_ports, temporary_process, wait_for_port

_USER = "postgres"  # Debian's own for it: the server refuses to run as root
_DATABASE = "postgres"  # the one that is there from the beginning
_STARTS = 5
_READY_SECONDS = 30
_ENDING_SECONDS = 30


@contextmanager
def postgres_server(folder: Path) -> Iterator[str]:
    """Run a server that keeps everything below a folder; yields the database's SQLAlchemy URL.

    Raises:
        FileNotFoundError: PostgreSQL is not installed.
        RuntimeError: It did not start; its log is in the folder.
    """
    programs = _programs()
    data = folder / "data"
    data.mkdir()
    if os.getuid() == 0:
        for parent in (data, *data.parents):
            _let_pass(parent)
        subprocess.run(["/usr/bin/chown", _USER, str(data)], check=True)
    options = ["--auth=trust", f"--username={_USER}", "--no-sync", "--no-locale", "--encoding=UTF8"]
    subprocess.run([*_as_user(), str(programs / "initdb"), *options, str(data)], check=True, capture_output=True)
    for _ in range(_STARTS):
        (port,) = free_ports(1)
        address = ["-h", LOOPBACK, "-p", str(port)]
        settings = ["-c", "unix_socket_directories=", "-c", "fsync=off"]
        command = [*_as_user(), str(programs / "postgres"), "-D", str(data), *address, *settings]
        with temporary_process(command, folder=folder) as process:
            if wait_for_port(process, port) and _is_ready(process, [str(programs / "pg_isready"), *address]):
                yield f"postgresql+psycopg2://{_USER}@{LOOPBACK}:{port}/{_DATABASE}"
                process.send_signal(signal.SIGINT)  # fast shutdown: killed, it would leave shared memory behind
                process.wait(_ENDING_SECONDS)
                return
    raise RuntimeError(f"PostgreSQL did not start, {_STARTS} times on different ports; see {folder}.")


def _is_ready(process: subprocess.Popen[bytes], question: list[str]) -> bool:
    """Wait till the server takes connections: it listens a moment before."""
    deadline = time.monotonic() + _READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if subprocess.run(question, capture_output=True, check=False).returncode == 0:
            return True
        time.sleep(0.05)
    return False


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        raise FileNotFoundError("PostgreSQL is needed for Airflow 2.11 (Debian: apt-get install postgresql)")
    return found[-1].parent


def _as_user() -> list[str]:
    if os.getuid() != 0:
        return []
    return ["/usr/bin/setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups", "--pdeathsig=KILL", "--"]


def _let_pass(folder: Path) -> None:
    """Let the server's user through a folder of ours on the way to its own."""
    mode = folder.stat().st_mode
    if not mode & 0o001:
        folder.chmod(mode | 0o001)
