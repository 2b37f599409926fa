"""What a plan amounts to: pure values, counted once, for a terminal, a page or JSON to draw."""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from schemas.plan import Plan, PlannedFile, RawFilePlan, UnresolvedFile

LARGEST = 10
NAMED_PER_REASON = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """How much there is to restore, and how much is skipped.

    Args:
        raw_files: all that are named, skipped ones included.
        restored_raw_files: those with a file to be restored.
        skipped_raw_files: those that could not be resolved as a whole.
        files: those to be restored.
        skipped_files: those that could not be resolved, of raw files that are not skipped as a whole.
        size_bytes: of the files to be restored, as far as their sizes are known.
        unknown_sizes: how many of the files to be restored have no size in the plan.
    """

    raw_files: int = 0
    restored_raw_files: int = 0
    skipped_raw_files: int = 0
    files: int = 0
    skipped_files: int = 0
    size_bytes: int = 0
    unknown_sizes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationTotals:
    """What goes to one destination for one project; None where that could not be resolved."""

    project_id: str | None
    destination_base: str | None
    totals: Totals


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedEntry:
    """A file, or, where `relative_path` is None, a whole raw file."""

    raw_file_id: str
    relative_path: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """A reason for skipping or a note, and what it is said of; `first` names at most `NAMED_PER_REASON` of them."""

    reason: str
    raw_files: int
    files: int
    first: tuple[NamedEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSummary:
    """A whole plan, counted.

    Args:
        totals: of all of it.
        destinations: in the plan's order.
        largest: at most `LARGEST` files to be restored, largest first.
        skipped: most frequent reason first.
        notes: most frequent note first.
    """

    totals: Totals
    destinations: tuple[DestinationTotals, ...]
    largest: tuple[tuple[RawFilePlan, PlannedFile], ...]
    skipped: tuple[Remark, ...]
    notes: tuple[Remark, ...]


def summarize_plan(plan: Plan) -> PlanSummary:
    """Count a plan."""
    by_destination: dict[tuple[str | None, str | None], list[Totals]] = {}
    for raw_file in plan.raw_files:
        place = (raw_file.project_id, raw_file.destination_base)
        by_destination.setdefault(place, []).append(raw_file_totals(raw_file))
    destinations = tuple(
        DestinationTotals(project_id=project_id, destination_base=destination_base, totals=_summed(totals))
        for (project_id, destination_base), totals in by_destination.items()
    )
    return PlanSummary(
        totals=_summed(destination.totals for destination in destinations),
        destinations=destinations,
        largest=tuple(heapq.nlargest(LARGEST, plan.planned_files(), key=lambda entry: entry[1].expected_size or 0)),
        skipped=_gathered(_skipped_entries(plan)),
        notes=_gathered(_noted_entries(plan)),
    )


def raw_file_totals(raw_file: RawFilePlan) -> Totals:
    """Count one raw file."""
    if raw_file.error is not None:
        return Totals(raw_files=1, skipped_raw_files=1)
    planned = [file for file in raw_file.files if isinstance(file, PlannedFile)]
    return Totals(
        raw_files=1,
        restored_raw_files=int(bool(planned)),
        files=len(planned),
        skipped_files=len(raw_file.files) - len(planned),
        size_bytes=sum(file.expected_size or 0 for file in planned),
        unknown_sizes=sum(file.expected_size is None for file in planned),
    )


def _summed(parts: Iterable[Totals]) -> Totals:
    parts = list(parts)
    return Totals(
        raw_files=sum(part.raw_files for part in parts),
        restored_raw_files=sum(part.restored_raw_files for part in parts),
        skipped_raw_files=sum(part.skipped_raw_files for part in parts),
        files=sum(part.files for part in parts),
        skipped_files=sum(part.skipped_files for part in parts),
        size_bytes=sum(part.size_bytes for part in parts),
        unknown_sizes=sum(part.unknown_sizes for part in parts),
    )


def _gathered(remarks: Iterable[tuple[str, NamedEntry]]) -> tuple[Remark, ...]:
    by_reason: dict[str, list[NamedEntry]] = {}
    for reason, entry in remarks:
        by_reason.setdefault(reason, []).append(entry)
    gathered = (
        Remark(
            reason=reason,
            raw_files=sum(entry.relative_path is None for entry in entries),
            files=sum(entry.relative_path is not None for entry in entries),
            first=tuple(entries[:NAMED_PER_REASON]),
        )
        for reason, entries in by_reason.items()
    )
    return tuple(sorted(gathered, key=lambda remark: -(remark.raw_files + remark.files)))


def _skipped_entries(plan: Plan) -> Iterator[tuple[str, NamedEntry]]:
    """Yield everything that has a reason of its own for not being restored."""
    for raw_file in plan.raw_files:
        if raw_file.error is not None:
            yield raw_file.error, NamedEntry(raw_file_id=raw_file.raw_file_id, relative_path=None)
            continue
        for file in raw_file.files:
            if isinstance(file, UnresolvedFile):
                yield file.error, NamedEntry(raw_file_id=raw_file.raw_file_id, relative_path=file.relative_path)


def _noted_entries(plan: Plan) -> Iterator[tuple[str, NamedEntry]]:
    """Yield everything that has a note, with the note."""
    for raw_file in plan.raw_files:
        for note in raw_file.notes:
            yield note, NamedEntry(raw_file_id=raw_file.raw_file_id, relative_path=None)
        for file in raw_file.files:
            for note in file.notes:
                yield note, NamedEntry(raw_file_id=raw_file.raw_file_id, relative_path=file.relative_path)
