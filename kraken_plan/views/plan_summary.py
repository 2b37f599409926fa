"""Sums a plan up for review: totals by destination, largest files, reasons for skipping. Pure; others draw it."""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from schemas.plan import Plan, PlannedFile, PlanTotals, RawFilePlan, UnresolvedFile

LARGEST = 10
NAMED_PER_REASON = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationTotals:
    """What goes to one destination for one project; None if that could not be resolved."""

    project_id: str | None
    destination_base: str | None
    totals: PlanTotals


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedEntry:
    """A file, or if `relative_path` is None, a whole raw file."""

    raw_file_id: str
    relative_path: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """A reason for skipping or a note, and what it applies to; `first` names up to `NAMED_PER_REASON` entries."""

    reason: str
    raw_files: int
    files: int
    first: tuple[NamedEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSummary:
    """A whole plan, summed up.

    Args:
        totals: of all of it.
        destinations: in the plan's order.
        largest: at most `LARGEST` files to be restored, largest first.
        skipped: most frequent reason first.
        notes: most frequent note first.
    """

    totals: PlanTotals
    destinations: tuple[DestinationTotals, ...]
    largest: tuple[tuple[RawFilePlan, PlannedFile], ...]
    skipped: tuple[Remark, ...]
    notes: tuple[Remark, ...]


def summarize_plan(plan: Plan) -> PlanSummary:
    """Sum a plan up."""
    by_destination: dict[tuple[str | None, str | None], PlanTotals] = {}
    for raw_file in plan.raw_files:
        place = (raw_file.project_id, raw_file.destination_base)
        by_destination[place] = by_destination.get(place, PlanTotals()) + raw_file.totals()
    destinations = tuple(
        DestinationTotals(project_id=project_id, destination_base=destination_base, totals=totals)
        for (project_id, destination_base), totals in by_destination.items()
    )
    return PlanSummary(
        totals=sum(by_destination.values(), PlanTotals()),
        destinations=destinations,
        largest=tuple(heapq.nlargest(LARGEST, plan.planned_files(), key=lambda entry: entry[1].expected_size or 0)),
        skipped=_gathered(_skipped_entries(plan)),
        notes=_gathered(_noted_entries(plan)),
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
    """Yield every entry that has a reason of its own for not being restored."""
    for raw_file in plan.raw_files:
        if raw_file.error is not None:
            yield raw_file.error, NamedEntry(raw_file_id=raw_file.raw_file_id, relative_path=None)
            continue
        for file in raw_file.files:
            if isinstance(file, UnresolvedFile):
                yield file.error, NamedEntry(raw_file_id=raw_file.raw_file_id, relative_path=file.relative_path)


def _noted_entries(plan: Plan) -> Iterator[tuple[str, NamedEntry]]:
    """Yield every entry that has a note, with the note."""
    for raw_file in plan.raw_files:
        for note in raw_file.notes:
            yield note, NamedEntry(raw_file_id=raw_file.raw_file_id, relative_path=None)
        for file in raw_file.files:
            for note in file.notes:
                yield note, NamedEntry(raw_file_id=raw_file.raw_file_id, relative_path=file.relative_path)
