"""Finds in a catalog what is asked for, by id and by search, and sees that nothing is dropped, doubled or added."""

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from planner.backup_status import explain_no_upload, is_never_uploaded
from planner.catalog import Catalog
from planner.raw_file_ids import AskedText, possible_ids, possible_joined_ids, read_ids
from planner.records import RawFileRecord, parse_record
from planner.search import Search
from planner.similar_ids import long_enough, nearest_ids
from schemas.errors import CatalogError
from schemas.text import counted, printable

logger = logging.getLogger(__name__)

_MOST_NAMED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRecords:
    """What a catalog has of what is asked for.

    Args:
        raw_file_ids: asked for by id, in order, each once, whether there is a record or not.
        records: of these raw files, then of those that the search found, sorted by id within each project.
        pasted: the paths among what was asked for, with the id of the raw file that each stands for.
        nearest: the known ids that are nearest to an unknown one, of those that have any.
    """

    raw_file_ids: tuple[str, ...]
    records: tuple[RawFileRecord, ...]
    pasted: tuple[tuple[str, str], ...] = ()
    nearest: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """What was left out.

    Args:
        reasons: how many raw files for each reason, the most frequent first.
        first: the names of some of them.
    """

    reasons: Mapping[str, int]
    first: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many raw files."""
        return sum(self.reasons.values())


NOTHING_LEFT_OUT = LeftOut(reasons={}, first=())


def find_records(catalog: Catalog, texts: Sequence[AskedText], search: Search) -> FoundRecords:
    """Return what a catalog has of what is asked for.

    Args:
        catalog: where to look.
        texts: what is asked for by id; see `planner.raw_file_ids`.
        search: what else is asked for; an empty one asks for nothing.

    Raises:
        CatalogError: it cannot be read, has a raw file twice, or nothing that the search or a project of it asks for.
    """
    possible = possible_ids(texts)
    if possible:
        logger.info("reading raw files from %s: %s", catalog.description, counted(len(possible), "possible id"))
    by_id = _records_by_id(catalog, possible)
    by_id |= _records_by_id(catalog, possible_joined_ids(texts, by_id).keys() - possible.keys())
    asked = read_ids(texts, by_id)
    found = [] if search.is_empty else list(_searched(catalog, search))
    if not by_id and not found and catalog.is_empty():
        raise CatalogError(
            f"catalog {catalog.description} holds no raw files at all: expected AlphaKraken's collection raw_file, or "
            "what mongoexport wrote of it. Is this the right database, or the right file?"
        )
    records = {raw_file_id: by_id[raw_file_id] for raw_file_id in asked.raw_file_ids if raw_file_id in by_id}
    return FoundRecords(
        raw_file_ids=asked.raw_file_ids,
        records=(*records.values(), *(record for record in found if record.raw_file_id not in records)),
        pasted=asked.pasted,
        nearest=_nearest(catalog, asked.unknown),
    )


def leave_out_never_uploaded(found: FoundRecords) -> tuple[FoundRecords, LeftOut]:
    """Return what was found without the raw files of which the catalog knows no upload, and what that leaves out."""
    left_out = [record for record in found.records if is_never_uploaded(record)]
    names = {record.raw_file_id for record in left_out}
    kept = replace(
        found,
        raw_file_ids=tuple(raw_file_id for raw_file_id in found.raw_file_ids if raw_file_id not in names),
        records=tuple(record for record in found.records if record.raw_file_id not in names),
    )
    reasons = Counter(map(explain_no_upload, left_out))
    return kept, LeftOut(reasons=dict(reasons.most_common()), first=tuple(sorted(names)[:_MOST_NAMED]))


def _records_by_id(catalog: Catalog, raw_file_ids: Collection[str]) -> dict[str, RawFileRecord]:
    if not raw_file_ids:
        return {}
    return {record.raw_file_id: record for record in map(parse_record, catalog.find_by_ids(raw_file_ids))}


def _searched(catalog: Catalog, search: Search) -> Iterator[RawFileRecord]:
    """Yield what a search finds, sorted by project in the order asked for, then by id."""
    logger.info("searching %s for raw files of %s", catalog.description, search)
    found: dict[str, RawFileRecord] = {}
    names_met = set[str]()
    for document in catalog.search(search):
        record = parse_record(document)
        names_met |= search.names_met(document)
        if record.raw_file_id in found:
            raise CatalogError(
                f"catalog {catalog.description} has the raw file {printable(record.raw_file_id)!r} twice, and nobody "
                "can tell which is right: correct the catalog, or export it afresh"
            )
        found[record.raw_file_id] = record
    if not found:
        raise CatalogError(f"catalog {catalog.description} has no raw files of {search}")
    _refuse_unmet(catalog, search, names_met)
    places = {project_id: place for place, project_id in enumerate(search.project_ids)}
    yield from sorted(found.values(), key=lambda record: (places.get(record.project_id or None, 0), record.raw_file_id))


def _refuse_unmet(catalog: Catalog, search: Search, names_met: Collection[str]) -> None:
    """See that the search found something of each project and instrument that it names.

    What is named and has nothing is a slip of the pen, unless the search is narrowed by other things, too.
    """
    named = [name for name in (*search.project_ids, *search.instrument_ids) if name is not None]
    missing = [name for name in named if name not in names_met]
    if not missing:
        return
    names = ", ".join(repr(printable(name, 100)) for name in missing)
    kind = "project" if missing[0] in search.project_ids else "instrument"
    if search in {Search(project_ids=search.project_ids), Search(instrument_ids=search.instrument_ids)}:
        raise CatalogError(f"catalog {catalog.description} has no raw files of {kind} {names}")
    logger.warning("found no raw files of %s %s among those of %s", kind, names, search)


def _nearest(catalog: Catalog, unknown: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """Return the ids nearest to unknown ones; a catalog that cannot tell has still answered the question proper."""
    names = long_enough(unknown)
    if not names:
        return {}
    logger.info("looking for ids near %s", counted(len(names), "unknown id"))
    try:
        return nearest_ids(names, catalog.find_similar(names))
    except CatalogError as error:
        logger.info("no ids near the unknown ones: %s", error)
        return {}
