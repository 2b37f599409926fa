"""Sums a plan up for review: totals by destination, largest files, reasons for skipping. Pure; others draw it."""

import heapq
from collections.abc import Iterator
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
class SkippedEntry:
    """What is skipped: a file, or if `relative_path` is None, a whole raw file."""

    raw_file_id: str
    relative_path: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SkipReason:
    """One reason for skipping, and what is skipped for it; `first` names up to `NAMED_PER_REASON` entries."""

    reason: str
    raw_files: int
    files: int
    first: tuple[SkippedEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSummary:
    """A whole plan, summed up.

    Args:
        totals: of all of it.
        destinations: in the plan's order.
        largest: at most `LARGEST` files to be restored, largest first.
        skipped: most frequent reason first.
    """

    totals: PlanTotals
    destinations: tuple[DestinationTotals, ...]
    largest: tuple[tuple[RawFilePlan, PlannedFile], ...]
    skipped: tuple[SkipReason, ...]


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
        skipped=_skip_reasons(plan),
    )


def _skip_reasons(plan: Plan) -> tuple[SkipReason, ...]:
    by_reason: dict[str, list[SkippedEntry]] = {}
    for reason, entry in _skipped_entries(plan):
        by_reason.setdefault(reason, []).append(entry)
    reasons = (
        SkipReason(
            reason=reason,
            raw_files=sum(entry.relative_path is None for entry in entries),
            files=sum(entry.relative_path is not None for entry in entries),
            first=tuple(entries[:NAMED_PER_REASON]),
        )
        for reason, entries in by_reason.items()
    )
    return tuple(sorted(reasons, key=lambda skipped: -(skipped.raw_files + skipped.files)))


def _skipped_entries(plan: Plan) -> Iterator[tuple[str, SkippedEntry]]:
    """Yield every entry that has a reason of its own for not being restored."""
    for raw_file in plan.raw_files:
        if raw_file.error is not None:
            yield raw_file.error, SkippedEntry(raw_file_id=raw_file.raw_file_id, relative_path=None)
            continue
        for file in raw_file.files:
            if isinstance(file, UnresolvedFile):
                yield file.error, SkippedEntry(raw_file_id=raw_file.raw_file_id, relative_path=file.relative_path)
