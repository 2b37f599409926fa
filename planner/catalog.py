"""Defines the catalog as compile and find need it, wherever it is kept."""

from collections.abc import Collection, Iterator, Mapping
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

    def is_empty(self) -> bool:
        """Tell whether there is no document at all."""
