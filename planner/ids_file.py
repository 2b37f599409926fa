"""Reads a file of ids: lines of text, or the column of a CSV file that holds them.

The files that AlphaKraken's web app gives are read as they are: names or paths, one a line or all in one, with or
without ` - ` in front, and its tables as CSV.
"""

import csv
import io
import logging
import re
from collections.abc import Iterator

from planner.raw_file_ids import AskedText
from schemas.errors import ConfigError
from schemas.plan_source import STDIN, read_source
from schemas.text import counted, printable

logger = logging.getLogger(__name__)

_ID_COLUMNS = ("_id", "raw_file_id", "raw_file")
_LINE_END = re.compile(r"\r\n|[\n\r]")  # names may hold other characters that end a line elsewhere
_DELIMITERS = (",", ";", "\t")
# The web app puts this before the ids of raw files that a table shows for comparison only.
_BASELINE = "BASELINE_"


def read_ids_file(source: str, column: str | None = None) -> list[AskedText]:
    """Return the texts in a file that ask for raw files.

    Args:
        source: a path, or `-` for stdin.
        column: of a CSV file; None if it is one that names its ids as AlphaKraken does, or none at all.

    Raises:
        ConfigError: it cannot be read, is not UTF-8 text, or has no such column.
    """
    name = "<stdin>" if source == STDIN else printable(source)
    try:
        return list(_read_text(read_source(source).decode("utf-8-sig"), column, f"ids file {name}"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"ids file {name}: not UTF-8 text, at offset {error.start}") from None
    except OSError as error:
        raise ConfigError(f"ids file {name} cannot be read: {error.strerror or error}") from None
    except csv.Error as error:
        raise ConfigError(f"ids file {name}: {printable(str(error), 400)}") from None


def _read_text(text: str, column: str | None, name: str) -> Iterator[AskedText]:
    lines = [line for line in _LINE_END.split(text) if line.strip()]
    header = lines[0] if lines else ""
    found = _find_column(header, _ID_COLUMNS if column is None else (column,))
    if found is not None:
        yield from _read_cells(text, *found)
    elif column is None:
        yield from (AskedText(line, has_comments=True) for line in lines)
    else:
        found_line = printable(header, 300) or "nothing"
        raise ConfigError(f"{name}: expected a column {printable(column, 100)!r} in its first line, found {found_line}")


def _find_column(header: str, names: tuple[str, ...]) -> tuple[str, int] | None:
    """Return the delimiter of a CSV file and the number of the first column with one of these names."""
    if len(header) > csv.field_size_limit():  # a list of paths, all in one line
        return None
    for delimiter in _DELIMITERS:
        cells = [cell.strip() for cell in next(csv.reader([header], delimiter=delimiter), [])]
        for name in names:
            if name in cells:
                return delimiter, cells.index(name)
    return None


def _read_cells(text: str, delimiter: str, column: int) -> Iterator[AskedText]:
    rows = _read_rows(text, delimiter)
    _, header = next(rows)
    baselines, lines_without = 0, []
    for line, row in rows:
        if any(map(str.strip, row[len(header) :])):
            raise csv.Error(
                f"the row in line {line} has more cells than the table has columns ({len(header)}): put a cell with "
                f"{delimiter!r} in it in quotation marks, or give the ids alone, one a line"
            )
        cell = row[column] if column < len(row) else ""
        if cell.startswith(_BASELINE):
            baselines += 1
        elif cell.strip():
            yield AskedText(cell)
        else:
            lines_without.append(line)
    if baselines:
        logger.warning("left out %s that the table shows for comparison (%s…)", counted(baselines, "row"), _BASELINE)
    if lines_without:
        count = counted(len(lines_without), "row")
        logger.warning("left out %s of the table without an id, the first in line %d", count, lines_without[0])


def _read_rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, each with the line that it begins in.

    Raises:
        csv.Error: a quotation mark is out of place. Read leniently, it would swallow rows, and the ids in them.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for row in reader:
            if any(map(str.strip, row)):
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise csv.Error(
            f"not CSV, in the row that begins in line {line}: {error}. A quotation mark that begins a cell has to end "
            "it, and one within such a cell is doubled: correct that row, or give the ids alone, one a line"
        ) from None
