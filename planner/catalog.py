"""The catalog as compile needs it, apart from where it is kept."""

from collections.abc import Collection, Iterator, Mapping
from typing import Protocol

CatalogDocument = Mapping[str, object]
"""A raw_file document as AlphaKraken keeps it; numbers as Python's, whatever the catalog's own form."""

FIELDS = ("_id", "project_id", "s3_upload_path", "file_info")
"""All that compile looks at of a document."""


class Catalog(Protocol):
    """Something that knows raw files. Only ever read; each document holds no more than `FIELDS`."""

    @property
    def description(self) -> str:
        """What it is, for people, without credentials."""

    def find_by_ids(self, raw_file_ids: Collection[str]) -> Iterator[CatalogDocument]:
        """Yield the documents that exist among these raw files, each once, in any order.

        Raises:
            CatalogError: the catalog cannot be reached or read.
        """

    def find_by_project(self, project_id: str) -> Iterator[CatalogDocument]:
        """Yield the documents of a project, each once, sorted by `_id`.

        Raises:
            CatalogError: the catalog cannot be reached or read.
        """
