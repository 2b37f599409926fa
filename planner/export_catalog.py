"""Reads the catalog out of an exported file: what mongoexport writes, as JSON lines or as one JSON array.

Read as a stream: memory is bounded by the largest document, whatever the size of the file. A file that holds a raw file
twice is refused when that raw file is asked for, because nobody can tell which of the two is right.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path

from planner.catalog import FIELDS, NAME_FIELDS, CatalogDocument
from planner.extended_json import plain_value
from planner.json_stream import JsonStream, JsonStreamError, NotJsonError
from planner.search import Search
from planner.similar_ids import find_similar
from schemas.errors import CatalogError
from schemas.regular_file import NotRegularFileError, regular_file
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
        lines: dict[str, int] = {}
        for line, document in self._documents():
            raw_file_id = document["_id"]
            if not isinstance(raw_file_id, str) or raw_file_id not in wanted:
                continue
            if raw_file_id in lines:
                where = f"in lines {lines[raw_file_id]} and {line}"
                raise self._error(f"raw file {printable(raw_file_id)!r} stands in it twice, {where}: export it afresh")
            lines[raw_file_id] = line
            yield _of_fields(document, FIELDS)

    def search(self, search: Search) -> Iterator[CatalogDocument]:
        """See `Catalog`; in the file's order."""
        for _, document in self._documents():
            found = _of_fields(document, FIELDS)
            if search.matches(found):
                yield found

    def find_similar(self, names: Collection[str]) -> Iterator[CatalogDocument]:
        """See `Catalog`."""
        similar = find_similar(names, (document for _, document in self._documents()))
        yield from (_of_fields(document, NAME_FIELDS) for document in similar)

    def ask_access(self) -> None:
        """See `Catalog`: a file has no users."""

    def is_empty(self) -> bool:
        """See `Catalog`."""
        return next(self._documents(), None) is None

    def _documents(self) -> Iterator[tuple[int, dict[str, object]]]:
        """Yield each document with the line that it begins in."""
        try:
            with regular_file(self.path) as file:
                for line, value in JsonStream(TextIOWrapper(file, encoding="utf-8-sig", newline="")):
                    if not isinstance(value, dict):
                        raise self._error(f"line {line}: expected a document, found {printable(repr(value), 60)}")
                    if "_id" not in value:
                        raise self._error(f"line {line}: the document has no _id: is it of raw_file?")
                    yield line, value
        except FileNotFoundError:
            raise self._error("there is no such file (a database is given as mongodb://…)") from None
        except IsADirectoryError:
            raise self._error("it is a folder, expected a file that mongoexport wrote") from None
        except NotRegularFileError as error:
            reason = "because the catalog is read more than once: save it to a file first"
            raise self._error(f"{error.strerror}, {reason}") from None
        except OSError as error:
            raise self._error(f"it cannot be read: {error.strerror or error}") from None
        except UnicodeDecodeError:
            raise self._error("it is not UTF-8 text, expected the JSON that mongoexport writes") from None
        except JsonStreamError as error:
            is_other = isinstance(error, NotJsonError)
            hint = "; expected the JSON that mongoexport writes (without --type=csv), not a BSON dump"
            raise self._error(f"{error}{hint if is_other else ''}") from None

    def _error(self, reason: str) -> CatalogError:
        return CatalogError(f"catalog {printable(str(self.path))}: {reason}")


def _of_fields(document: CatalogDocument, fields: Collection[str]) -> CatalogDocument:
    """Return these fields of a document, with numbers and dates that extended JSON wraps as Python's."""
    found = {name: document[name] for name in fields if name in document}
    if "created_at" in found:
        time = found["created_at"]
        found["created_at"] = [plain_value(one) for one in time] if isinstance(time, list) else plain_value(time)
    file_info = found.get("file_info")
    if isinstance(file_info, dict):
        for entry in file_info.values():
            if isinstance(entry, list) and entry and isinstance(entry[0], dict):
                entry[0] = plain_value(entry[0])
    return found
