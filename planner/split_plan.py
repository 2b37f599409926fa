"""Splits a plan into plans of equal bytes that can be applied side by side. Pure.

What must stay together is a unit: entries that share a destination, for they are restored once, and a raw file's files
for as long as that does not spoil the balance. Units go, the largest first, to the plan that has least so far (Graham's
longest-processing-time rule: no plan gets more than the mean and one unit).

Raw files are taken apart only where they have to be: first those larger than a share, then ever smaller ones, until
the largest plan is at most 5 % above what taking all of them apart would give.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from schemas.plan import Plan, PlannedFile, RawFilePlan, UnresolvedFile

_TOLERANCE = 1.05
_HALVINGS = 6


@dataclass(frozen=True, slots=True)
class _Unit:
    """What stays together, by number (see `_entries`), and the bytes that are fetched for it."""

    entries: tuple[int, ...]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Group:
    """A raw file: it stays together if it can; and the units that it can be taken apart into."""

    units: tuple[_Unit, ...]
    size_bytes: int

    def whole(self) -> _Unit:
        """Return all of it as one unit."""
        return _Unit(tuple(entry for unit in self.units for entry in unit.entries), self.size_bytes)


def split_plan(plan: Plan, count: int) -> list[Plan]:
    """Return so many plans, which together have each entry of the plan once, in the plan's order.

    Where there are fewer files than plans, some have no raw files. A size that is unknown counts as the mean of the
    known ones. What the plan says of its origin stays; the digests are to be made anew.
    """
    groups = _groups(plan)
    share = sum(group.size_bytes for group in groups) / count
    finest = _deal([unit for group in groups for unit in group.units], count)
    for largest_whole in (float("inf"), *(share / 2**halving for halving in range(_HALVINGS))):
        units = [
            unit for group in groups for unit in ([group.whole()] if group.size_bytes <= largest_whole else group.units)
        ]
        dealt = _deal(units, count)
        if max(map(_load, dealt)) <= max(map(_load, finest)) * _TOLERANCE:
            break
    else:
        dealt = finest
    return _plans(plan, dealt)


def _deal(units: Sequence[_Unit], count: int) -> list[list[_Unit]]:
    """Deal units out, so that all have about the same bytes; those without bytes by their number."""
    dealt: list[list[_Unit]] = [[] for _ in range(count)]
    files = [0] * count

    def hand_out(some: Sequence[_Unit], loads: list[tuple[int, int, int]]) -> None:
        heapq.heapify(loads)
        for unit in some:
            load, _, number = loads[0]
            dealt[number].append(unit)
            files[number] += len(unit.entries)
            heapq.heapreplace(loads, (load + unit.size_bytes, files[number], number))

    largest_first = sorted((unit for unit in units if unit.size_bytes), key=lambda unit: -unit.size_bytes)
    hand_out(largest_first, [(0, 0, number) for number in range(count)])
    hand_out([unit for unit in units if not unit.size_bytes], [(0, files[number], number) for number in range(count)])
    return dealt


def _load(units: Sequence[_Unit]) -> int:
    return sum(unit.size_bytes for unit in units)


def _groups(plan: Plan) -> list[_Group]:
    """Return the plan's raw files; an entry that shares a destination is with the first that has it."""
    entries: list[list[int]] = []  # of each unit
    sizes: list[int] = []
    by_raw_file: dict[int, list[int]] = {}
    units_at: dict[str, int] = {}
    typical_size = _mean_size(plan)
    for entry, raw_file_number, file in _entries(plan):
        raw_file = plan.raw_files[raw_file_number]
        unit, size = len(entries), 0
        if raw_file.error is None and isinstance(file, PlannedFile):
            size = typical_size if file.expected_size is None else file.expected_size
            unit = units_at.setdefault(raw_file.absolute_dest_path(file), unit)
        if unit < len(entries):
            entries[unit].append(entry)
            continue
        entries.append([entry])
        sizes.append(size)
        by_raw_file.setdefault(raw_file_number, []).append(unit)
    groups = ([_Unit(tuple(entries[unit]), sizes[unit]) for unit in units] for units in by_raw_file.values())
    return [_Group(tuple(units), _load(units)) for units in groups]


def _entries(plan: Plan) -> Iterator[tuple[int, int, PlannedFile | UnresolvedFile | None]]:
    """Yield the entries with their number and their raw file's; a raw file that failed as a whole is one entry."""
    entry = 0
    for raw_file_number, raw_file in enumerate(plan.raw_files):
        for file in (None,) if raw_file.error is not None else raw_file.files:
            yield entry, raw_file_number, file
            entry += 1


def _mean_size(plan: Plan) -> int:
    totals = plan.totals()
    known_sizes = totals.files - totals.unknown_sizes
    return max(1, totals.size_bytes // known_sizes) if known_sizes else 1


def _plans(plan: Plan, dealt: Sequence[Sequence[_Unit]]) -> list[Plan]:
    plan_of = {entry: number for number, units in enumerate(dealt) for unit in units for entry in unit.entries}
    raw_files: list[list[RawFilePlan]] = [[] for _ in dealt]
    for raw_file_number, of_one in groupby(_entries(plan), key=lambda entry: entry[1]):
        raw_file = plan.raw_files[raw_file_number]
        files: dict[int, list[PlannedFile | UnresolvedFile]] = {}
        for entry, _, file in of_one:
            files.setdefault(plan_of[entry], []).extend([file] if file else [])
        for number, own in files.items():
            raw_files[number].append(replace(raw_file, files=tuple(own) if raw_file.error is None else raw_file.files))
    return [replace(plan, raw_files=tuple(own), plan_digest=None) for own in raw_files]
