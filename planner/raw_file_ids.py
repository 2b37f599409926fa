r"""Reads which raw files are asked for out of the texts that people give: arguments, lines, cells of a CSV file. Pure.

What is an id as a whole is that id, blanks, commas and all; only else a text is split, at commas and then at blanks. A
path stands for the raw file that it leads to. So a text can only be read beside the ids that are known.
"""

import re
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass

from schemas.text import writable

_COMMENT = re.compile(r"(?:^|\s)#.*")
_BULLET = re.compile(r"^\s*[-*\N{BULLET}]\s+")
_BLANKS = re.compile(r"[,\s]+")
_SLASHES = re.compile(r"[/\\]+")
_ABSOLUTE = re.compile(r"[/\\]|[A-Za-z]:[/\\]")
_ANOTHER_PATH = re.compile(r"[,\s](?:[/\\]|[A-Za-z]:[/\\])")
_SCIEX = re.compile(r"(.+?)(?:\.wiff.*|\.timeseries\.data)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class AskedText:
    """A text that asks for one raw file or several.

    Args:
        text: as it was given.
        has_comments: whether `#` begins a comment in it.
    """

    text: str
    has_comments: bool = False

    def forms(self) -> list[str]:
        """Return the forms in which the text may be an id as a whole, and last what is read if it is none."""
        text = writable(self.text)
        forms = [text, text.strip(), _BULLET.sub("", text).strip()]
        if self.has_comments:
            forms += [form for cut in (_COMMENT.sub("", text),) for form in (cut.strip(), _BULLET.sub("", cut).strip())]
        return list(dict.fromkeys(forms))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadIds:
    """What texts ask for.

    Args:
        raw_file_ids: in order, each once; known ones and others.
        unknown: those that are not known.
        pasted: the paths among the texts, with the id of the raw file that each stands for.
    """

    raw_file_ids: tuple[str, ...]
    unknown: tuple[str, ...]
    pasted: tuple[tuple[str, str], ...]


def possible_ids(texts: Iterable[AskedText]) -> dict[str, None]:
    """Return everything that these texts may ask for, in order, each once: what is to be looked up."""
    return dict.fromkeys(name for text in texts for name in _possible(text) if name)


def read_ids(texts: Iterable[AskedText], known: Container[str]) -> ReadIds:
    """Return what texts ask for.

    Args:
        texts: arguments, lines or cells.
        known: every known id among `possible_ids`.

    >>> read = read_ids([AskedText("a 1,5.raw"), AskedText("b, c d"), AskedText("/x/e.d/f")], {"a 1,5.raw", "b", "e.d"})
    >>> read.raw_file_ids, read.unknown, read.pasted
    (('a 1,5.raw', 'b', 'c d', 'e.d'), ('c d',), (('/x/e.d/f', 'e.d'),))
    """
    found: dict[str, None] = {}
    pasted: dict[str, str] = {}
    for text in texts:
        for piece, raw_file_id in _read(text, known):
            found[raw_file_id or piece] = None
            if raw_file_id is not None and raw_file_id != piece:
                pasted[piece] = raw_file_id
    return ReadIds(
        raw_file_ids=tuple(found),
        unknown=tuple(raw_file_id for raw_file_id in found if raw_file_id not in known),
        pasted=tuple(pasted.items()),
    )


def split_at_commas(texts: Iterable[str]) -> list[str]:
    """Return the names in texts that hold one or several, in order, each once.

    >>> split_at_commas(["a, b", "c", "a,"])
    ['a', 'b', 'c']
    """
    return list(dict.fromkeys(writable(part.strip()) for text in texts for part in text.split(",") if part.strip()))


def _possible(asked: AskedText) -> Iterator[str]:
    *_, last = forms = asked.forms()
    for text in (*forms, *_comma_parts(last), *_BLANKS.split(last)):
        yield text
        yield from _raw_files_on(text)


def _read(asked: AskedText, known: Container[str]) -> Sequence[tuple[str, str | None]]:
    """Return the pieces of a text, each with the id that it stands for, None if that is not known."""
    *_, last = forms = asked.forms()
    whole = next((form for form in forms if form in known), None)
    if whole is not None:
        return [(whole, whole)]
    parts = _read_each(_comma_parts(last), known)
    if len(parts) == 1 and parts[0][1] is not None:
        return parts
    pieces = _read_each([piece for piece in _BLANKS.split(last) if piece], known)
    for reading in (parts, pieces):
        if all(raw_file_id is not None for _, raw_file_id in reading):
            return reading
    if raw_file_id := _id_of(last, known):
        return [(last, raw_file_id)]
    return [read for part, raw_file_id in parts for read in _split_at_blanks(part, raw_file_id, known)]


def _split_at_blanks(part: str, raw_file_id: str | None, known: Container[str]) -> Sequence[tuple[str, str | None]]:
    """Return the pieces of a part; where none is known it stays whole, as the name with blanks that it may be."""
    pieces = _read_each(part.split(), known) if raw_file_id is None else []
    return pieces if any(found is not None for _, found in pieces) else [(part, raw_file_id)]


def _read_each(pieces: Iterable[str], known: Container[str]) -> list[tuple[str, str | None]]:
    return [(piece, _id_of(piece, known)) for piece in pieces]


def _id_of(text: str, known: Container[str]) -> str | None:
    """Return the known id that a text is, or leads to as a path."""
    return text if text in known else next((name for name in _raw_files_on(text) if name in known), None)


def _comma_parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _raw_files_on(path: str) -> Iterator[str]:
    """Yield the ids of the raw files that a path may lead to or into, innermost first; none if it is no single path.

    A raw file of Sciex has the name of the `.wiff` among its files: `s.wiff.scan`, `s.timeseries.data` are of `s.wiff`.
    """
    if not _SLASHES.search(path) or _ANOTHER_PATH.search(path) or _is_vague(path):
        return
    *folders, name = [component for component in _SLASHES.split(path) if component] or [""]
    yield name
    if sciex := _SCIEX.fullmatch(name):
        yield f"{sciex[1]}.wiff"
    yield from reversed(folders)


def _is_vague(path: str) -> bool:
    """Tell whether a text with commas or blanks may as well be several relative paths."""
    return bool(_BLANKS.search(path)) and not _ABSOLUTE.match(path)
