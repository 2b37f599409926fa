"""Finds the known raw files whose names are nearest to an id that is not known. Pure.

Near are: the same text but for case, an id that begins with the text, an id that the text begins with (up to a dot, as
the file of a raw file does), an id that a collision prefix was put in front of (`original_name`), and at last one that
looks alike, as a slip of the pen does.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import TypeAlias

from planner.catalog import MOST_SIMILAR, CatalogDocument

MOST_ASKED = 20
_MOST_NAMED = 3
_LEAST_CHARACTERS = 3  # a shorter text begins too many ids
_ALIKE = 0.85  # of 1, as difflib measures it

Names: TypeAlias = tuple[str, str | None]


def find_similar(names: Collection[str], documents: Iterable[CatalogDocument]) -> Iterator[CatalogDocument]:
    """Yield up to `MOST_SIMILAR` documents whose names resemble one of these: to rank many thousand takes minutes."""
    texts = frozenset(names).union(*map(known_starts, names))
    folded_starts = tuple(folded(unmistaken_start(name)) for name in names)
    return islice((document for document in documents if _resembles(document, texts, folded_starts)), MOST_SIMILAR)


def known_starts(name: str) -> list[str]:
    """Return the ids that a text may begin with: what stands before each of its dots.

    >>> known_starts("s.wiff.scan")
    ['s.wiff', 's']
    """
    starts = []
    while "." in name:
        name = name.rpartition(".")[0]
        starts.append(name)
    return starts


def unmistaken_start(name: str) -> str:
    """Return the first three quarters of a text: a slip of the pen in the rest leaves ids that begin like this alike.

    >>> unmistaken_start("20250115_hela")
    '20250115_'
    """
    return name[: max(_LEAST_CHARACTERS, len(name) * 3 // 4)]


def long_enough(names: Iterable[str]) -> list[str]:
    """Return the texts that something can be said about, at most `MOST_ASKED`."""
    return [name for name in names if len(name) >= _LEAST_CHARACTERS][:MOST_ASKED]


def folded(name: str) -> str:
    """Return what a text has in common with all that differ in case only."""
    return name.casefold()


def nearest_ids(names: Iterable[str], documents: Iterable[CatalogDocument]) -> Mapping[str, tuple[str, ...]]:
    """Return the nearest known ids of each text that has any, nearest first, at most three.

    Args:
        names: texts, as `long_enough` gives them.
        documents: what `find_similar` gives for these texts, here or of a catalog.
    """
    known: list[Names] = []
    for document in documents:
        raw_file_id, original_name = document.get("_id"), document.get("original_name")
        if isinstance(raw_file_id, str):
            known.append((raw_file_id, original_name if isinstance(original_name, str) else None))
    nearest = {}
    for name in names:
        ranked = sorted(
            (rank, raw_file_id) for raw_file_id, original in known if (rank := _rank(name, raw_file_id, original))
        )
        if ranked:
            nearest[name] = tuple(raw_file_id for _, raw_file_id in ranked[:_MOST_NAMED])
    return nearest


def _resembles(document: CatalogDocument, names: Collection[str], folded_starts: tuple[str, ...]) -> bool:
    raw_file_id, original_name = document.get("_id"), document.get("original_name")
    if not isinstance(raw_file_id, str):
        return False
    return raw_file_id in names or original_name in names or folded(raw_file_id).startswith(folded_starts)


def _rank(name: str, raw_file_id: str, original_name: str | None) -> float:
    """Return how near a known raw file is, from 1; 0 if it is not near."""
    if folded(raw_file_id) == folded(name):
        return 1
    if original_name is not None and folded(original_name) == folded(name):
        return 2
    if folded(raw_file_id).startswith(folded(name)):
        return 3
    if raw_file_id in known_starts(name):
        return 4
    likeness = _likeness(folded(raw_file_id), folded(name))
    return 6 - likeness if likeness >= _ALIKE else 0


def _likeness(one: str, other: str) -> float:
    """Return how much two texts look alike, from 0 to 1; 0 where it is little."""
    import difflib  # noqa: PLC0415  # takes its time, and few names are wrong

    matcher = difflib.SequenceMatcher(None, one, other)
    return matcher.ratio() if min(matcher.real_quick_ratio(), matcher.quick_ratio()) >= _ALIKE else 0.0
