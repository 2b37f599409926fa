"""Defines the catalog as compile and find need it, wherever it is kept."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from planner.search import Search

CatalogDocument = Mapping[str, object]
"""A raw_file document as AlphaKraken keeps it; numbers and dates as Python's, whatever the catalog's own form."""

FIELDS = (
    "_id",
    "original_name",
    "project_id",
    "instrument_id",
    "created_at",
    "status",
    "backup_status",
    "backup_base_path",
    "s3_upload_path",
    "file_info",
)
"""Everything that is read of a document."""

NAME_FIELDS = ("_id", "original_name")
"""What is read of documents whose names only resemble those asked for."""

MOST_SIMILAR = 200


# Actions that change data; whatever else a role grants, reading the catalog is enough for us:
# https://www.mongodb.com/docs/manual/reference/privilege-actions/
_WRITING = frozenset({"insert", "update", "remove", "createCollection", "dropCollection", "dropDatabase", "anyAction"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogAccess:
    """What a catalog is, and what its user may do there.

    Args:
        server: kind and version; None if it did not say.
        user: the name that was logged in with; None without a login.
        may_write: whether that user could change raw files; None if the server did not say.
    """

    server: str | None
    user: str | None
    may_write: bool | None


class Catalog(Protocol):
    """Knows raw files. Only ever read; each document holds at most `FIELDS`, and is one that was asked for.

    Every method raises CatalogError where the catalog cannot be reached or read, or answers with something else.
    """

    @property
    def description(self) -> str:
        """What it is, for people, without credentials."""

    def find_by_ids(self, raw_file_ids: Collection[str]) -> Iterator[CatalogDocument]:
        """Yield the documents that exist among these raw files, each once, in any order."""

    def search(self, search: Search) -> Iterator[CatalogDocument]:
        """Yield every document that the search finds, in the catalog's order; nothing is kept of what was yielded."""

    def find_similar(self, names: Collection[str]) -> Iterator[CatalogDocument]:
        """Yield up to `MOST_SIMILAR` documents whose names resemble one of these (see `planner.similar_ids`)."""

    def ask_access(self) -> CatalogAccess | None:
        """Return what the server is, and what the user may do there; None where there is no server."""

    def is_empty(self) -> bool:
        """Tell whether there is no document at all."""


def parse_access(build: Mapping[str, object], connection: Mapping[str, object], database: str) -> CatalogAccess:
    """Return what the answers to `buildInfo` and `connectionStatus` say, as far as they are such answers.

    Args:
        build: the answer to `buildInfo`.
        connection: the answer to `connectionStatus` with privileges.
        database: the catalog's.
    """
    version = build.get("version")
    login = connection.get("authInfo")
    if not isinstance(login, Mapping):
        return CatalogAccess(server=_text(version), user=None, may_write=None)
    users = [user.get("user") for user in _mappings(login.get("authenticatedUsers"))]
    if not users:
        return CatalogAccess(server=_text(version), user=None, may_write=True)
    if not isinstance(login.get("authenticatedUserPrivileges"), list):
        return CatalogAccess(server=_text(version), user=_text(users[0]), may_write=None)
    may_write = any(
        isinstance(actions := privilege.get("actions"), list)
        and _concerns(privilege.get("resource"), database)
        and not _WRITING.isdisjoint(str(action) for action in actions)
        for privilege in _mappings(login["authenticatedUserPrivileges"])
    )
    return CatalogAccess(server=_text(version), user=_text(users[0]), may_write=may_write)


def _concerns(resource: object, database: str) -> bool:
    """Tell whether a resource is the catalog's database, or all; an empty name stands for any."""
    if not isinstance(resource, Mapping):
        return False
    return bool(resource.get("anyResource")) or resource.get("db") in {"", database}


def _mappings(value: object) -> Iterator[Mapping[str, object]]:
    yield from (one for one in value if isinstance(one, Mapping)) if isinstance(value, list) else ()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
