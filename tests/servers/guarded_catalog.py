"""A MongoDB-speaking server that asks for user and password (SCRAM-SHA-256) and holds users to their roles."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from temporary_process import LOOPBACK, free_ports, installed_program, temporary_process, wait_for_port

DATABASE = "krakendb"


@contextmanager
def guarded_catalog(folder: Path, user: Mapping[str, Any], documents: Sequence[Mapping[str, object]]) -> Iterator[int]:
    """Run a server with one user and these raw_file documents, and give its port.

    It is started twice: users can be made only as long as none is asked for.

    Args:
        folder: Where data and log go.
        user: What MongoDB's createUser takes, the name as `user`.
        documents: The catalog.
    """
    with _server(folder) as port, MongoClient[dict[str, object]](LOOPBACK, port) as client:
        settings = {name: value for name, value in user.items() if name != "user"}
        client[DATABASE].command("createUser", user["user"], **settings)
        client[DATABASE]["raw_file"].insert_many([dict(document) for document in documents])
    with _server(folder, "--auth") as port:
        yield port


@contextmanager
def _server(folder: Path, *options: str) -> Iterator[int]:
    (port,) = free_ports(1)
    command = [installed_program("secantusd-py"), "--host", LOOPBACK, "--port", str(port), "--standalone"]
    command += ["--storage-path", str(folder / "data"), "--sync-on-commit", *options]
    with temporary_process(command, folder=folder) as process:
        if not wait_for_port(process, port):
            raise RuntimeError(f"The catalog server did not start; see {folder / 'process.log'}.")
        yield port
