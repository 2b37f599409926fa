"""The catalog in an exported file: what mongoexport writes, as JSON lines or as one JSON array.

Read as a stream: memory is bounded by the largest document, whatever the size of the file. A file that holds a raw file
twice is refused when that raw file is asked for, for nobody can tell which of the two is right.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from planner.catalog import FIELDS, CatalogDocument
from planner.json_stream import JsonStream, JsonStreamError
from schemas.errors import CatalogError
from schemas.text import printable


@dataclass(frozen=True, slots=True)
class ExportCatalog:
    """An exported file of raw_file documents."""

    path: Path

    @property
    def description(self) -> str:
        """The file's name."""
        return self.path.name

    def find_by_ids(self, raw_file_ids: Collection[str]) -> Iterator[CatalogDocument]:
        """See `Catalog`; in the file's order."""
        wanted = frozenset(raw_file_ids)
        return self._find(lambda document: document["_id"] in wanted)

    def find_by_project(self, project_id: str) -> Iterator[CatalogDocument]:
        """See `Catalog`."""
        found = self._find(lambda document: document.get("project_id") == project_id)
        yield from sorted(found, key=lambda document: str(document["_id"]))

    def _find(self, is_wanted: Callable[[CatalogDocument], bool]) -> Iterator[CatalogDocument]:
        lines: dict[str, int] = {}
        for line, document in self._documents():
            if not is_wanted(document):
                continue
            raw_file_id = str(document["_id"])
            if raw_file_id in lines:
                where = f"in lines {lines[raw_file_id]} and {line}"
                raise self._error(f"raw file {printable(raw_file_id)!r} stands in it twice, {where}: export it afresh")
            lines[raw_file_id] = line
            yield _with_plain_numbers({name: document[name] for name in FIELDS if name in document})

    def _documents(self) -> Iterator[tuple[int, dict[str, object]]]:
        """Yield each document with the line that it begins in."""
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                for line, value in JsonStream(file):
                    if not isinstance(value, dict):
                        raise self._error(f"line {line}: expected a document, found {printable(repr(value), 60)}")
                    if not isinstance(value.get("_id"), str):
                        raise self._error(f"line {line}: the document has no _id that is text: is it of raw_file?")
                    yield line, value
        except FileNotFoundError:
            raise self._error("there is no such file (a database is given as mongodb://…)") from None
        except IsADirectoryError:
            raise self._error("it is a folder, expected a file that mongoexport wrote") from None
        except OSError as error:
            raise self._error(f"it cannot be read: {error.strerror or error}") from None
        except UnicodeDecodeError:
            raise self._error("it is not UTF-8 text, expected the JSON that mongoexport writes") from None
        except JsonStreamError as error:
            raise self._error(str(error)) from None

    def _error(self, reason: str) -> CatalogError:
        return CatalogError(f"catalog {printable(str(self.path))}: {reason}")


def _with_plain_numbers(document: dict[str, object]) -> CatalogDocument:
    """Return the document with the sizes that extended JSON wraps as plain numbers."""
    file_info = document.get("file_info")
    if not isinstance(file_info, dict):
        return document
    for entry in file_info.values():
        if isinstance(entry, list) and entry and isinstance(entry[0], dict):
            from planner.mongo_catalog import number_from_extended_json  # noqa: PLC0415  # few files need pymongo for it

            entry[0] = number_from_extended_json(entry[0])
    return document
