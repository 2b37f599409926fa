"""Lays columns out as lines of text. Knows tones, not colours: whoever prints them decides what they look like.

Lines are made one by one, because a plan may have a million files.
"""

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import chain, islice

_BETWEEN = "  "
_ROWS_THAT_DECIDE = 200
_WIDE = frozenset("WF")  # of East Asian scripts and emoji, each takes two places


class Tone(Enum):
    """What a piece of text means to the reader. It adds nothing that the words do not say."""

    PLAIN = auto()
    HEADING = auto()
    GOOD = auto()
    NOTABLE = auto()
    BAD = auto()
    FAINT = auto()


@dataclass(frozen=True, slots=True)
class Toned:
    """A text with a tone."""

    text: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class Column:
    """How one column looks.

    Args:
        title: its heading.
        right: whether to align it to the right, as numbers are.
        widest: how wide the column may become; a longer text stays whole and moves only the rest of its own line.
    """

    title: str
    right: bool = False
    widest: int = 60


Cell = str | Toned
Paint = Callable[[str, Tone], str]


def unpainted(text: str, _tone: Tone) -> str:
    """Return the text as it is: the `Paint` of pipes and files."""
    return text


def table_lines(
    columns: Sequence[Column], rows: Callable[[], Iterable[Sequence[Cell]]], paint: Paint = unpainted
) -> Iterator[str]:
    """Yield a heading and a line per row; nothing at all if there are no rows.

    Args:
        columns: from left to right; a row may leave out cells at its end.
        rows: gives the rows afresh each time: they are read once for the widths and once for the lines. Every text in
            them is printable.
        paint: colours a text, without its padding.
    """
    widths = _widths(columns, rows())
    if widths is None:
        return
    heading = [Toned(column.title, Tone.HEADING) for column in columns]
    yield _line(columns, widths, heading, paint)
    for row in rows():
        yield _line(columns, widths, row, paint)


def streamed_lines(
    columns: Sequence[Column], rows: Iterable[Sequence[Cell]], paint: Paint = unpainted
) -> Iterator[str]:
    """Yield a heading and a line per row, gone through once; nothing at all where there are no rows.

    The first rows decide on the widths, and nothing else is kept of any.

    Args:
        columns: as of `table_lines`.
        rows: any number; every text in them is printable already.
        paint: as of `table_lines`.
    """
    following = iter(rows)
    first = list(islice(following, _ROWS_THAT_DECIDE))
    widths = _widths(columns, first)
    if widths is None:
        return
    yield _line(columns, widths, [Toned(column.title, Tone.HEADING) for column in columns], paint)
    yield from (_line(columns, widths, row, paint) for row in chain(first, following))


def shown_width(text: str) -> int:
    """Return how many places a printable text takes on a terminal.

    >>> shown_width("sample.raw"), shown_width("試料"), shown_width("e\u0301")
    (10, 4, 1)
    """
    if text.isascii():
        return len(text)
    return sum(
        2 if unicodedata.east_asian_width(character) in _WIDE else 1
        for character in text
        if not unicodedata.combining(character)
    )


def _widths(columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> list[int] | None:
    """Return the width of each column; None if there are no rows."""
    widths = [shown_width(column.title) for column in columns]
    widest = [max(column.widest, width) for column, width in zip(columns, widths, strict=True)]
    row: Sequence[Cell] | None = None
    for row in rows:
        for index, cell in enumerate(row):
            width = shown_width(_text(cell))
            if widths[index] < width <= widest[index]:
                widths[index] = width
    return None if row is None else widths


def _line(columns: Sequence[Column], widths: Sequence[int], row: Sequence[Cell], paint: Paint) -> str:
    pieces = []
    cells = (*row, *[""] * (len(columns) - len(row)))
    for column, width, cell in zip(columns, widths, cells, strict=True):
        text = _text(cell)
        padding = " " * (width - shown_width(text))
        painted = paint(text, cell.tone) if isinstance(cell, Toned) and text else text
        pieces.append(padding + painted if column.right else painted + padding)
    return _BETWEEN.join(pieces).rstrip()


def _text(cell: Cell) -> str:
    return cell.text if isinstance(cell, Toned) else cell
