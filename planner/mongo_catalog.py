"""The catalog in AlphaKraken's MongoDB. The only module that imports pymongo and bson.

Read-only: all that goes over the wire is hello (isMaster), authentication (saslStart, saslContinue), find and getMore,
and when it ends, endSessions and for a cursor that was not read to its end killCursors. A test with a tap on the wire
holds it to that; a user with the role `read` is enough.
"""

import re
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

from bson import json_util
from bson.errors import BSONError
from pymongo import MongoClient
from pymongo.collection import Collection as MongoCollection
from pymongo.errors import ConfigurationError, ConnectionFailure, OperationFailure, PyMongoError

from planner.catalog import FIELDS, CatalogDocument
from schemas.errors import CatalogError, ConfigError
from schemas.text import printable
from schemas.version import __version__

DATABASE = "krakendb"
COLLECTION = "raw_file"
IDS_PER_QUERY = 1000

_DEFAULT_PORT = 27017
_MAX_PORT = 65535
_PROJECTION = dict.fromkeys(FIELDS, 1)
_OPTIONS: Mapping[str, Any] = {  # what MongoClient takes as keywords
    "appname": f"kraken-plan {__version__}",
    "serverSelectionTimeoutMS": 10_000,
    "connectTimeoutMS": 10_000,
    "socketTimeoutMS": 120_000,  # a whole project may take a scan of the collection
}
_CONNECTION_FAULTS = (
    ("Connection refused", "connection refused; is the server running, is the port right?"),
    ("Name or service not known|name resolution|getaddrinfo|DNS", "the host name is not known"),
    ("CERTIFICATE|SSL|TLS", "the TLS handshake failed; check the certificate and the tls options"),
    ("timed out|timeout exceeded", "timed out"),
    ("connection closed|Connection reset|Broken pipe", "the connection broke"),
    ("No primary|replica set", "no server of the replica set can answer"),
)

_Client: TypeAlias = MongoClient[dict[str, object]]


@dataclass(frozen=True, slots=True)
class MongoCatalog:
    """The collection of raw files in a MongoDB."""

    _collection: MongoCollection[dict[str, object]]
    description: str

    def find_by_ids(self, raw_file_ids: Collection[str]) -> Iterator[CatalogDocument]:
        """See `Catalog`; one query per 1,000 ids."""
        ids = iter(raw_file_ids)
        while batch := list(islice(ids, IDS_PER_QUERY)):
            yield from self._find({"_id": {"$in": batch}})

    def find_by_project(self, project_id: str) -> Iterator[CatalogDocument]:
        """See `Catalog`."""
        return self._find({"project_id": {"$eq": project_id}}, sort=[("_id", 1)])

    def _find(
        self, query: Mapping[str, object], sort: list[tuple[str, int]] | None = None
    ) -> Iterator[CatalogDocument]:
        try:
            with self._collection.find(query, _PROJECTION, sort=sort) as cursor:
                yield from cursor
        except (PyMongoError, BSONError) as error:
            raise CatalogError(f"catalog {self.description}: {_cause(error)}") from None


@contextmanager
def open_mongo_uri(uri: str) -> Iterator[MongoCatalog]:
    """Give the catalog behind a MongoDB URI; the database is the URI's, else krakendb.

    Nothing is sent before the first query.

    Raises:
        ConfigError: the URI is malformed. The message never shows it.
    """
    options = {name: value for name, value in _OPTIONS.items() if name.lower() not in uri.partition("?")[2].lower()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # an option that is not understood, tls=yes say, must not be left out
            client: _Client = MongoClient(uri, connect=False, **options)
            database = client.get_default_database(DATABASE)
        description = _describe(uri, database.name)
    except (PyMongoError, ValueError, TypeError, UserWarning) as error:
        raise ConfigError(
            f"the catalog's MongoDB URI is malformed ({type(error).__name__}; it is not shown, for it may hold a "
            "password): expected mongodb://[user:password@]host[:port][/database][?options], special characters in "
            "user and password percent-encoded"
        ) from None
    with client:
        yield MongoCatalog(database[COLLECTION], description)


@contextmanager
def open_mongo_host(environment: Mapping[str, str]) -> Iterator[MongoCatalog]:
    """Give the catalog that AlphaKraken's own variables name: MONGO_HOST, MONGO_PORT, MONGO_USER, MONGO_PASSWORD.

    Raises:
        ConfigError: one of them is missing or wrong.
    """
    host, port = environment["MONGO_HOST"], environment.get("MONGO_PORT") or str(_DEFAULT_PORT)
    user, password = environment.get("MONGO_USER") or None, environment.get("MONGO_PASSWORD") or None
    if not re.fullmatch(r"[A-Za-z0-9._-]+|\[?[0-9A-Fa-f:.]+\]?", host):
        raise ConfigError("MONGO_HOST is no host name (a whole mongodb:// URI is given by --catalog)")
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) <= _MAX_PORT:
        raise ConfigError(f"MONGO_PORT is {printable(port, 60)!r}, expected a port number")
    if (user is None) != (password is None):
        raise ConfigError("MONGO_USER and MONGO_PASSWORD: one is set and the other is not")
    credentials: dict[str, Any] = (
        {} if user is None else {"username": user, "password": password, "authSource": DATABASE}
    )
    try:
        client: _Client = MongoClient(host, int(port), connect=False, **credentials, **_OPTIONS)
    except (PyMongoError, ValueError) as error:
        raise ConfigError(f"MONGO_HOST and MONGO_PORT are not usable ({type(error).__name__})") from None
    with client:
        yield MongoCatalog(client[DATABASE][COLLECTION], f"mongodb://{host}:{port}/{DATABASE}.{COLLECTION}")


def number_from_extended_json(value: Mapping[str, object]) -> object:
    """Return the number in an object of MongoDB's extended JSON, such as `{"$numberLong": "5"}`.

    Returns:
        The number; what is no such object as it is.
    """
    try:
        number: object = json_util.object_hook(value)
    except (TypeError, ValueError, BSONError):
        return value
    return number


def _describe(uri: str, database: str) -> str:
    """Return a URI that pymongo has accepted without user, password and options.

    Raises:
        ValueError: an unescaped slash in a password made pymongo take its first half for the host.
    """
    scheme, _, rest = uri.partition("://")
    authority, _, path = rest.partition("?")[0].partition("/")
    if "@" in path:
        raise ValueError("@ behind the host")
    hosts = authority.rpartition("@")[2].split(",")
    if scheme == "mongodb":
        hosts = [host if re.search(r":[0-9]+$", host) else f"{host}:{_DEFAULT_PORT}" for host in hosts]
    return f"{scheme}://{printable(','.join(hosts), 300)}/{printable(database)}.{COLLECTION}"


def _cause(error: PyMongoError | BSONError) -> str:
    """Return why the catalog failed in words of our own: pymongo's and the server's may hold what must not be shown."""
    match error:
        case OperationFailure(code=18):
            return "authentication failed: check user, password and authSource"
        case OperationFailure(code=13):
            return f"the user may not read it: grant the role `read` on the database {DATABASE}"
        case OperationFailure(code=code, details=details):
            name = (details or {}).get("codeName")
            return f"the server refused the query ({printable(str(name or 'error'), 60)}, code {code})"
        case ConnectionFailure():
            return f"cannot be reached: {_connection_fault(error)}"
        case ConfigurationError():
            return f"cannot be used: {_connection_fault(error)}"
        case _:
            return f"cannot be read ({type(error).__name__})"


def _connection_fault(error: PyMongoError) -> str:
    text = str(error)
    return next((words for pattern, words in _CONNECTION_FAULTS if re.search(pattern, text)), type(error).__name__)
