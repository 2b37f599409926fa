"""Reads the catalog in AlphaKraken's MongoDB. The only module that imports pymongo and bson.

Read-only: only hello (isMaster), authentication (saslStart, saslContinue), find and getMore are sent, then endSessions,
and killCursors for a cursor that was not read to its end; for `doctor` also buildInfo and connectionStatus. A test with
a tap on the wire holds it to that; a user with the role `read` is enough. Whatever a server answers ends as a document
that was asked for or as a CatalogError.
"""

import logging
import re
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias
from urllib.parse import unquote

from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import MongoClient
from pymongo.collection import Collection as MongoCollection
from pymongo.cursor import Cursor
from pymongo.database import Database
from pymongo.errors import ConfigurationError, ConnectionFailure, InvalidURI, OperationFailure, PyMongoError

from planner.catalog import FIELDS, MOST_SIMILAR, NAME_FIELDS, CatalogAccess, CatalogDocument, parse_access
from planner.search import Search, mongo_filter
from planner.similar_ids import known_starts, unmistaken_start
from schemas.errors import CatalogError, ConfigError
from schemas.text import printable
from schemas.version import __version__

logger = logging.getLogger(__name__)

DATABASE = "krakendb"
COLLECTION = "raw_file"
IDS_PER_QUERY = 1000

_DEFAULT_PORT = 27017
_LOGIN_FAILED = 18  # https://www.mongodb.com/docs/manual/reference/error-codes
_MAX_PORT = 65535
_SIMILAR_MILLISECONDS = 15_000  # nobody waits longer for a hint
_MOST_EMPTY_ANSWERS = 1000
_CODEC = CodecOptions[dict[str, object]](
    tz_aware=True,
    datetime_conversion=DatetimeConversion.DATETIME_CLAMP,  # a date that Python cannot hold must not cost its document
    unicode_decode_error_handler="surrogateescape",  # nor a name that is not UTF-8: it is refused by itself
)
_OPTIONS: Mapping[str, Any] = {  # what MongoClient takes as keywords
    "appname": f"kraken-plan {__version__}",
    "serverSelectionTimeoutMS": 10_000,
    "connectTimeoutMS": 5_000,  # within the time above, or the reason of a failure would not be known at its end
    "socketTimeoutMS": 120_000,  # a whole project may take a scan of the collection
}
_CONNECTION_FAULTS = (
    ("Connection refused", "connection refused; is the server running, is the port right?"),
    ("Name or service not known|name resolution|getaddrinfo|DNS", "the host name is not known"),
    ("CERTIFICATE|SSL|TLS", "the TLS handshake failed; check the certificate, the tls options, the server's own TLS"),
    ("must be installed|install with", "an option of its URI asks for a Python package that is not installed"),
    ("response id|Message length|opcode|ProtocolError", "what answers there is not MongoDB; is the port right?"),
    ("timed out|timeout exceeded", "timed out; does a firewall drop the connection, are host and port right?"),
    ("connection closed|Connection reset|Broken pipe", "the connection broke"),
    ("No primary|replica set", "no server of the replica set can answer"),
)
_TLS_FILE = re.compile(r"(?i)[?&;](tls(?:CA|CRL|CertificateKey)File)=([^&;]*)")
# known names only, for another may be part of a password
_OPTION = re.compile(r"(?i)[?&;](tls|ssl|tlsCertificateKeyFile|authMechanism|compressors|replicaSet|loadBalanced)=")

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
            missing = set(batch)
            for document in self._find({"_id": {"$in": batch}}, FIELDS):
                raw_file_id = document["_id"]
                if not isinstance(raw_file_id, str) or raw_file_id not in missing:
                    raise self._strange(document, "which was not asked for, or a second time")
                missing.remove(raw_file_id)
                yield document

    def search(self, search: Search) -> Iterator[CatalogDocument]:
        """See `Catalog`."""
        for document in self._find(mongo_filter(search), FIELDS):
            if not search.matches(document):
                raise self._strange(document, f"asked for raw files of {search}")
            yield document

    def find_similar(self, names: Collection[str]) -> Iterator[CatalogDocument]:
        """See `Catalog`."""
        starts = [start for name in names for start in known_starts(name)]
        similar: list[dict[str, object]] = [
            {"original_name": {"$in": list(names)}},
            {"_id": {"$in": starts}},
        ]
        similar += [{"_id": {"$regex": f"^{re.escape(unmistaken_start(name))}", "$options": "i"}} for name in names]
        return self._find({"$or": similar}, NAME_FIELDS, limit=MOST_SIMILAR, max_time_ms=_SIMILAR_MILLISECONDS)

    def is_empty(self) -> bool:
        """See `Catalog`."""
        return next(self._find({}, ["_id"], limit=1), None) is None

    def ask_access(self) -> CatalogAccess:
        """Return what the server is, and what the user may do there."""
        database = self._collection.database
        with self._failures_in_words():
            build = _ask(database, {"buildInfo": 1})
            connection = _ask(database, {"connectionStatus": 1, "showPrivileges": True})
        return parse_access(build, connection, database.name)

    def _find(self, query: Mapping[str, object], fields: Collection[str], **options: Any) -> Iterator[CatalogDocument]:  # noqa: ANN401  # pymongo's
        """Yield what a query finds, as documents that have an `_id`."""
        with self._failures_in_words():
            cursor = self._collection.find(query, dict.fromkeys(fields, 1), **options)
        try:
            while (document := self._next(cursor)) is not None:
                if not isinstance(document, Mapping) or "_id" not in document:
                    raise CatalogError(f"catalog {self.description}: it answers with something that has no _id")
                yield document
        finally:
            with suppress(Exception):  # the documents are there; a connection that breaks now changes nothing
                cursor.close()

    def _next(self, cursor: Cursor[dict[str, object]]) -> object:
        """Return the next document, or what the server gives for one; None at the end.

        An answer without documents is not the end.
        """
        with self._failures_in_words():
            for _ in range(_MOST_EMPTY_ANSWERS):
                document: object = next(cursor, None)
                if document is not None or not cursor.alive:
                    return document
        raise CatalogError(f"catalog {self.description}: it answers over and over without documents and without an end")

    @contextmanager
    def _failures_in_words(self) -> Iterator[None]:
        """Turn whatever pymongo raises into a CatalogError.

        Its own errors are not all: an answer of a wrong shape comes as KeyError, TypeError, struct.error and others.
        """
        try:
            yield
        except PyMongoError as error:
            raise CatalogError(f"catalog {self.description}: {_cause(error)}") from None
        except Exception as error:
            logger.debug("an answer that pymongo cannot read", exc_info=True)
            raise CatalogError(
                f"catalog {self.description}: the server's answer cannot be read ({type(error).__name__}): is it a "
                "MongoDB, and is its data intact?"
            ) from None

    def _strange(self, document: CatalogDocument, reason: str) -> CatalogError:
        name = printable(repr(document["_id"]), 300)
        return CatalogError(
            f"catalog {self.description}: it answers with the raw file {name}, {reason}: is it AlphaKraken's MongoDB?"
        )


@contextmanager
def open_mongo_uri(uri: str) -> Iterator[MongoCatalog]:
    """Give the catalog behind a MongoDB URI; the database is the URI's, else krakendb.

    Nothing is sent before the first query.

    Raises:
        ConfigError: the URI is malformed, or one of its options cannot be used. The message never shows it.
    """
    options = {name: value for name, value in _OPTIONS.items() if name.lower() not in uri.partition("?")[2].lower()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # an option that is not understood, tls=yes say, must not be left out
            client: _Client = MongoClient(uri, connect=False, **options)
            database = client.get_default_database(DATABASE)
        description = _describe(uri, database.name)
    except (PyMongoError, OSError, ValueError, TypeError, UserWarning) as error:
        raise ConfigError(f"the catalog's MongoDB URI {_explain_unusable_uri(uri, error)}") from None
    with client:
        yield MongoCatalog(database.get_collection(COLLECTION, _CODEC), description)


@contextmanager
def open_mongo_host(environment: Mapping[str, str]) -> Iterator[MongoCatalog]:
    """Give the catalog that AlphaKraken's own variables name: MONGO_HOST, MONGO_PORT, MONGO_USER, MONGO_PASSWORD.

    Raises:
        ConfigError: one of them is missing or wrong.
    """
    host, port = environment["MONGO_HOST"], environment.get("MONGO_PORT") or str(_DEFAULT_PORT)
    user, password = environment.get("MONGO_USER") or None, environment.get("MONGO_PASSWORD") or None
    if not re.fullmatch(r"[A-Za-z0-9._-]+|\[?[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*\]?", host):
        raise ConfigError("MONGO_HOST is not a host name (MONGO_PORT is for a port, --catalog for a mongodb:// URI)")
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
        collection = client[DATABASE].get_collection(COLLECTION, _CODEC)
        yield MongoCatalog(collection, f"mongodb://{host}:{port}/{DATABASE}.{COLLECTION}")


def _ask(database: Database[dict[str, object]], command: dict[str, object]) -> Mapping[str, object]:
    """Return the answer to a command; nothing where the server refuses it or does not know it."""
    try:
        answer: object = database.command(command)
    except OperationFailure as refused:
        if refused.code == _LOGIN_FAILED:
            raise
        return {}
    return answer if isinstance(answer, Mapping) else {}


def _explain_unusable_uri(uri: str, error: Exception) -> str:
    """Return why pymongo does not take a URI; of the URI only the names of options and the paths of TLS files."""
    if isinstance(error, OSError):
        files = ", ".join(f"{name} {printable(unquote(path))}" for name, path in _TLS_FILE.findall(uri))
        unreadable = f"names a file that cannot be read, or is not in PEM form: {files}"
        return unreadable if files else f"cannot be used: {error.strerror or type(error).__name__}"
    options = uri.partition("?")[2]
    is_refused = isinstance(error, ConfigurationError | UserWarning) and not isinstance(error, InvalidURI)
    # With an @ behind the first ?, what looks like options is the rest of a password that is not percent-encoded.
    if is_refused and options and "@" not in options and ":@" not in uri:
        names = ", ".join(_OPTION.findall(uri)) or "their names and values"
        return (
            "has options that are unknown or invalid, or that need a package that is not installed (values are not "
            f"shown): check {names}"
        )
    return (
        f"is malformed ({type(error).__name__}; it is not shown, for it may hold a password): expected mongodb://"
        "[user:password@]host[:port][/database][?options], special characters in user and password percent-encoded"
    )


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


def _cause(error: PyMongoError) -> str:
    """Return why the catalog failed in words of our own: pymongo's and the server's may hold what must not be shown."""
    match error:
        case OperationFailure(code=code) if code == _LOGIN_FAILED:
            return f"authentication failed: check user, password and authSource (AlphaKraken's is {DATABASE})"
        case OperationFailure(code=13):
            return f"the user may not read it: grant the role `read` on the database {DATABASE}"
        case OperationFailure(code=code, details=details):
            name = (details or {}).get("codeName")
            return f"the server refused the query ({printable(str(name or 'error'), 60)}, code {code})"
        case ConnectionFailure():
            return f"cannot be reached: {_connection_fault(error)}"
        case ConfigurationError():
            return _incompatible(str(error)) or f"cannot be used: {_connection_fault(error)}"
        case _:
            return f"cannot be read ({type(error).__name__})"


def _connection_fault(error: PyMongoError) -> str:
    text = str(error)
    return next((words for pattern, words in _CONNECTION_FAULTS if re.search(pattern, text)), type(error).__name__)


def _incompatible(text: str) -> str | None:
    """Return in words that the server is too old or too new for pymongo; None if it is neither."""
    if old := re.search(r"reports wire version (-?\d+), .* requires at least \d+ \(MongoDB ([\d.]+)\)", text):
        return (
            f"the server is too old: it speaks wire version {old[1]}, MongoDB {old[2]} or newer is needed (or compile "
            "from a file that mongoexport wrote)"
        )
    if new := re.search(r"requires wire version (-?\d+), .* supports up to (\d+)", text):
        return (
            f"the server is too new: it asks for wire version {new[1]}, this program speaks up to {new[2]}: update it"
        )
    return None
