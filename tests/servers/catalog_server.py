"""A MongoDB-speaking server with its data in memory, and the catalog in it that one test sees."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from temporary_process import LOOPBACK, free_ports, installed_program, temporary_process, wait_for_port

_STARTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """AlphaKraken's database on a server on loopback."""

    port: int
    database: str = "krakendb"

    @property
    def uri(self) -> str:
        """The connection string to give to the program under test."""
        return f"mongodb://{LOOPBACK}:{self.port}/{self.database}"

    def insert(self, documents: Sequence[Mapping[str, object]]) -> None:
        """Add raw_file documents."""
        with self._client() as client:
            client[self.database]["raw_file"].insert_many([dict(document) for document in documents])

    def clear(self) -> None:
        """Remove all raw_file documents."""
        with self._client() as client:
            client[self.database].drop_collection("raw_file")

    def _client(self) -> MongoClient[dict[str, Any]]:
        return MongoClient(self.uri, serverSelectionTimeoutMS=10_000)


@contextmanager
def catalog_server(folder: Path) -> Iterator[Catalog]:
    """Run a server for the length of the block; its log and pid files are in the folder.

    Raises:
        RuntimeError: It did not start.
    """
    for _ in range(_STARTS):
        (port,) = free_ports(1)
        command = [installed_program("nx-27017"), "--host", LOOPBACK, "--port", str(port), "--db", "memory"]
        command += ["--log-file", str(folder / "catalog.log"), "--pid-file", str(folder / f"catalog-{port}.pid")]
        with temporary_process(command, folder=folder) as process:
            if wait_for_port(process, port):
                yield Catalog(port=port)
                return
    raise RuntimeError(f"The catalog server did not start, {_STARTS} times on different ports; see {folder}.")
