"""A PostgreSQL server of Debian's on loopback for the length of a `with` block, with an empty database.

Airflow 2.11 wants one as soon as a scheduler runs tasks side by side.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from needs import need
from temporary_process import LOOPBACK, free_ports, temporary_process, wait_for_port

_USER = "postgres"  # Debian's own for it: the server refuses to run as root
_DATABASE = "postgres"  # the one that is there from the beginning
_STARTS = 5
_READY_SECONDS = 30
_ENDING_SECONDS = 30


@contextmanager
def postgres_server() -> Iterator[str]:
    """Run a server with its data in a new folder of its own, gone afterwards; yields the database's SQLAlchemy URL.

    Without PostgreSQL the test is skipped.

    Raises:
        RuntimeError: It did not start.
    """
    # not below a test's folder, through which the server's user is not let
    with TemporaryDirectory(prefix="postgres-") as name:
        if os.getuid() == 0:
            shutil.chown(name, _USER, _USER)
        yield from _serve(Path(name))


def _serve(folder: Path) -> Iterator[str]:
    programs, data = _programs(), folder / "data"
    options = ["--auth=trust", f"--username={_USER}", "--no-sync", "--no-locale", "--encoding=UTF8"]
    subprocess.run([*_as_user(), str(programs / "initdb"), *options, str(data)], check=True, capture_output=True)
    for _ in range(_STARTS):
        (port,) = free_ports(1)
        address = ["-h", LOOPBACK, "-p", str(port)]
        settings = ["-c", "unix_socket_directories=", "-c", "fsync=off"]
        command = [*_as_user(), str(programs / "postgres"), "-D", str(data), *address, *settings]
        with temporary_process(command, folder=folder) as process:
            if wait_for_port(process, port) and _is_ready(process, [str(programs / "pg_isready"), *address]):
                try:
                    yield f"postgresql+psycopg2://{_USER}@{LOOPBACK}:{port}/{_DATABASE}"
                finally:
                    process.send_signal(signal.SIGINT)  # fast shutdown: killed, it would leave shared memory behind
                    process.wait(_ENDING_SECONDS)
                return
    raise RuntimeError(f"PostgreSQL did not start, {_STARTS} times on different ports.")


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
    need(found, "PostgreSQL is needed for Airflow 2.11 (Debian: apt-get install postgresql)")
    return found[-1].parent


def _as_user() -> list[str]:
    if os.getuid() != 0:
        return []
    return ["/usr/bin/setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups", "--pdeathsig=KILL", "--"]
