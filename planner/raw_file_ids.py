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
_BEFORE_A_PATH = re.compile(r"[,\s]+(?=[/\\]|[A-Za-z]:[/\\])")
_ANOTHER_PATH = re.compile(r"[,\s](?:[/\\]|[A-Za-z]:[/\\])")
_MOST_JOINED = 6
_MOST_UNKNOWN = 1000
_FALLBACK_PATH = re.compile(r"(?:^|/)([^/]+/[0-9]{4}_[0-9]{2})/([^/]+)")
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
        """Return the forms in which the text may be an id as a whole."""
        text = writable(self.text)
        return list(
            dict.fromkeys([text, *(form for body in self._bodies(text) for form in (body.strip(), _bare(body)))])
        )

    def bodies(self) -> list[str]:
        """Return what may be split: the text without a bullet, and last without a comment, which its end may be."""
        return list(dict.fromkeys(map(_bare, self._bodies(writable(self.text)))))

    def _bodies(self, text: str) -> list[str]:
        return [text, *([_COMMENT.sub("", text)] if self.has_comments else [])]


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


def possible_joined_ids(texts: Iterable[AskedText], known: Container[str]) -> dict[str, None]:
    """Return the ids with commas that texts may ask for among others, where something else in them is not known.

    The web app joins ids by commas, whatever they hold: `a.raw,conc_0,5ng.raw` may be two.
    """
    runs: dict[str, None] = {}
    for text in texts:
        for body in text.bodies():
            tokens = body.split(",")
            unknown = [number for number, token in enumerate(tokens) if _id_of(token.strip(), known) is None]
            if len(tokens) > 1:
                some = unknown[:_MOST_UNKNOWN]
                runs |= dict.fromkeys(run for number in some for run in _runs_over(tokens, number))
    return runs


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


def _bare(text: str) -> str:
    return _BULLET.sub("", text).strip()


def _possible(asked: AskedText) -> Iterator[str]:
    splits = (split(body) for body in asked.bodies() for split in (_at_commas, _before_paths, _BLANKS.split))
    for text in (*asked.forms(), *(piece for pieces in splits for piece in pieces)):
        yield text
        yield from _raw_files_on(text)


def _read(asked: AskedText, known: Container[str]) -> Sequence[tuple[str, str | None]]:
    """Return the pieces of a text, each with the id that it stands for, None if that is not known."""
    whole = next((form for form in asked.forms() if form in known), None)
    if whole is not None:
        return [(whole, whole)]
    *_, last = bodies = asked.bodies()
    for body in bodies:
        for split in (_at_commas, _before_paths, _BLANKS.split):
            reading = _read_each(split(body), known)
            if reading and all(raw_file_id is not None for _, raw_file_id in reading):
                return reading
        if raw_file_id := _id_of(body, known):
            return [(body, raw_file_id)]
    parts = _read_each(_joined(last.split(","), known), known)
    return [read for part, raw_file_id in parts for read in _split_at_blanks(part, raw_file_id, known)]


def _joined(tokens: Sequence[str], known: Container[str]) -> Iterator[str]:
    """Yield the parts of a list of which a comma may be in a part: the longest known ones, else what is between."""
    number = 0
    while number < len(tokens):
        longest = range(min(_MOST_JOINED, len(tokens) - number), 1, -1)
        runs = (",".join(tokens[number : number + length]).strip() for length in longest)
        run = next((run for run in runs if run in known), None)
        yield tokens[number].strip() if run is None else run
        number += 1 if run is None else run.count(",") + 1


def _runs_over(tokens: Sequence[str], number: int) -> Iterator[str]:
    """Yield every run of a few tokens that one of them is in."""
    for length in range(2, _MOST_JOINED + 1):
        for first in range(max(0, number - length + 1), min(number, len(tokens) - length) + 1):
            yield ",".join(tokens[first : first + length]).strip()


def _before_paths(text: str) -> list[str]:
    """Split a text before each absolute path in it, so that paths may hold blanks."""
    return [piece.strip(" \t,") for piece in _BEFORE_A_PATH.split(text) if piece.strip(" \t,")]


def _split_at_blanks(part: str, raw_file_id: str | None, known: Container[str]) -> Sequence[tuple[str, str | None]]:
    """Return the pieces of a part; where none is known it stays whole, as the name with blanks that it may be."""
    pieces = _read_each(part.split(), known) if raw_file_id is None else []
    return pieces if any(found is not None for _, found in pieces) else [(part, raw_file_id)]


def _read_each(pieces: Iterable[str], known: Container[str]) -> list[tuple[str, str | None]]:
    return [(piece, _id_of(piece, known)) for piece in pieces if piece]


def _id_of(text: str, known: Container[str]) -> str | None:
    """Return the known id that a text is, or leads to as a path."""
    return text if text in known else next((name for name in _raw_files_on(text) if name in known), None)


def _at_commas(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _raw_files_on(path: str) -> Iterator[str]:
    """Yield the ids of the raw files that a path may lead to or into, the surest first; none if it is no single path.

    Of raw files of one name in a bucket, the ids begin with `<instrument>/<YYYY_MM>/`: such an id is surer than a name.
    """
    if not _SLASHES.search(path) or _ANOTHER_PATH.search(path) or _is_vague(path):
        return
    *folders, name = [component for component in _SLASHES.split(path) if component] or [""]
    if fallback := _FALLBACK_PATH.search("/".join((*folders, name))):
        yield from (f"{fallback[1]}/{top}" for top in _raw_files_of(fallback[2]))
    yield from _raw_files_of(name)
    yield from reversed(folders)


def _raw_files_of(name: str) -> Iterator[str]:
    """Yield a file's name, and the raw file of Sciex that it may be of.

    That has the name of the `.wiff` among its files: `s.wiff.scan`, `s.timeseries.data` are of `s.wiff`.
    """
    yield name
    if sciex := _SCIEX.fullmatch(name):
        yield f"{sciex[1]}.wiff"


def _is_vague(path: str) -> bool:
    """Tell whether a text with commas or blanks may as well be several relative paths."""
    return bool(_BLANKS.search(path)) and not _ABSOLUTE.match(path)
