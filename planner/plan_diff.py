"""Compares two plans and returns what differs, as values. Pure.

Raw files are compared by their id, files by their relative path within a raw file. A different order, timestamp, origin
or digest is not a difference. Everything comes in the order of names, so that swapping the plans changes no order.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import zip_longest

from schemas.plan import Plan, PlannedFile, RawFilePlan, UnresolvedFile

Value = str | int | None
AnyFile = PlannedFile | UnresolvedFile
_Values = tuple[tuple[str, Value], ...]


class DiffKind(Enum):
    """What happened to an entry; the first two exist in one plan only."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One property that differs. `name` is as in the plan file."""

    name: str
    old: Value
    new: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDiff:
    """A file that is in one plan only (the other side is None), or differs."""

    relative_path: str
    old: AnyFile | None
    new: AnyFile | None
    changes: tuple[Change, ...] = ()

    @property
    def kind(self) -> DiffKind:
        """What happened to it."""
        return _kind(self.old, self.new)

    @property
    def size_bytes(self) -> int:
        """The bytes that the newer plan restores, or the older one if the file was removed; 0 if unknown or none."""
        file = self.old if self.new is None else self.new
        return file.expected_size or 0 if isinstance(file, PlannedFile) else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RawFileDiff:
    """A raw file that is in one plan only (the other side is None), or differs, itself or in its files."""

    raw_file_id: str
    old: RawFilePlan | None
    new: RawFilePlan | None
    changes: tuple[Change, ...] = ()
    files: tuple[FileDiff, ...] = ()

    @property
    def kind(self) -> DiffKind:
        """What happened to it."""
        return _kind(self.old, self.new)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffTotals:
    """How much there is of one kind."""

    raw_files: int
    files: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanDiff:
    """All that differs; `changes` are those of the plan as a whole."""

    changes: tuple[Change, ...]
    raw_files: tuple[RawFileDiff, ...]

    @property
    def is_empty(self) -> bool:
        """Whether the plans ask for the same."""
        return not self.changes and not self.raw_files

    def totals(self, kind: DiffKind) -> DiffTotals:
        """Return how much was added, removed or changed."""
        sizes = [file.size_bytes for raw_file in self.raw_files for file in raw_file.files if file.kind is kind]
        raw_files = sum(raw_file.kind is kind for raw_file in self.raw_files)
        return DiffTotals(raw_files=raw_files, files=len(sizes), size_bytes=sum(sizes))


def diff_plans(old: Plan, new: Plan) -> PlanDiff:
    """Return what differs between two plans."""
    old_raw_files = {raw_file.raw_file_id: raw_file for raw_file in old.raw_files}
    new_raw_files = {raw_file.raw_file_id: raw_file for raw_file in new.raw_files}
    diffs = (
        _diff_raw_files(raw_file_id, old_raw_files.get(raw_file_id), new_raw_files.get(raw_file_id))
        for raw_file_id in sorted(old_raw_files.keys() | new_raw_files.keys())
    )
    return PlanDiff(
        changes=_changes(_plan_values(old), _plan_values(new)),
        raw_files=tuple(diff for diff in diffs if diff is not None),
    )


def _diff_raw_files(raw_file_id: str, old: RawFilePlan | None, new: RawFilePlan | None) -> RawFileDiff | None:
    if old == new:
        return None
    changes = _changes(_raw_file_values(old), _raw_file_values(new)) if old and new else ()
    files = tuple(_diff_files(old, new))
    if old and new and not changes and not files:
        return None  # only their order differs
    return RawFileDiff(raw_file_id=raw_file_id, old=old, new=new, changes=changes, files=files)


def _diff_files(old: RawFilePlan | None, new: RawFilePlan | None) -> Iterator[FileDiff]:
    old_files, new_files = _by_path(old), _by_path(new)
    for path in sorted(old_files.keys() | new_files.keys()):
        for before, after in _pairs(old, old_files.get(path, []), new, new_files.get(path, [])):
            changes = _changes(_file_values(old, before), _file_values(new, after)) if before and after else ()
            if changes or before is None or after is None:
                yield FileDiff(relative_path=path, old=before, new=after, changes=changes)


def _by_path(raw_file: RawFilePlan | None) -> dict[str, list[AnyFile]]:
    by_path: dict[str, list[AnyFile]] = {}
    for file in raw_file.files if raw_file else ():
        by_path.setdefault(file.relative_path, []).append(file)
    return by_path


def _pairs(
    old: RawFilePlan | None, old_files: Sequence[AnyFile], new: RawFilePlan | None, new_files: Sequence[AnyFile]
) -> Iterable[tuple[AnyFile | None, AnyFile | None]]:
    """Pair the files of one path, nearly always one on each side; of several, equal ones first."""
    if len(old_files) <= 1 and len(new_files) <= 1:
        return zip_longest(old_files, new_files)
    before = sorted(old_files, key=lambda file: repr(_file_values(old, file)))
    after = sorted(new_files, key=lambda file: repr(_file_values(new, file)))
    same = Counter(_file_values(old, file) for file in before) & Counter(_file_values(new, file) for file in after)
    return zip_longest(_without(before, old, same), _without(after, new, same))


def _without(files: Iterable[AnyFile], raw_file: RawFilePlan | None, same: Counter[_Values]) -> list[AnyFile]:
    left, rest = Counter(same), list[AnyFile]()
    for file in files:
        values = _file_values(raw_file, file)
        if left[values]:
            left[values] -= 1
        else:
            rest.append(file)
    return rest


def _changes(old: _Values, new: _Values) -> tuple[Change, ...]:
    return tuple(
        Change(name=name, old=before, new=after)
        for (name, before), (_, after) in zip(old, new, strict=True)
        if before != after
    )


def _plan_values(plan: Plan) -> _Values:
    return (
        ("output_location", plan.output_location),
        ("s3.region", plan.s3.region),
        ("s3.endpoint_url", plan.s3.endpoint_url),
    )


def _raw_file_values(raw_file: RawFilePlan) -> _Values:
    return (
        ("project_id", raw_file.project_id),
        ("destination_base", raw_file.destination_base),
        ("bucket_name", raw_file.bucket_name),
        ("error", raw_file.error),
        ("notes", _joined(raw_file.notes)),
    )


def _file_values(raw_file: RawFilePlan | None, file: AnyFile) -> _Values:
    """Return the values of a file to compare, with its raw file's bucket; its place is derived as apply derives it."""
    if isinstance(file, UnresolvedFile):
        destination, error = file.absolute_dest_path, file.error
    else:
        has_place = raw_file is not None and raw_file.destination_base is not None
        destination, error = raw_file.absolute_dest_path(file) if raw_file and has_place else None, None
    return (
        ("bucket_name", raw_file.bucket_name if raw_file else None),
        ("s3_key", file.s3_key),
        ("expected_etag", file.expected_etag),
        ("chunk_size_mb", file.chunk_size_mb),
        ("expected_size", file.expected_size),
        ("absolute_dest_path", destination),
        ("error", error),
        ("version_id", file.version_id),
        ("expected_md5", file.expected_md5),
        ("notes", _joined(file.notes)),
    )


def _kind(old: object | None, new: object | None) -> DiffKind:
    if old is None:
        return DiffKind.ADDED
    return DiffKind.REMOVED if new is None else DiffKind.CHANGED


def _joined(notes: tuple[str, ...]) -> str | None:
    return "; ".join(notes) or None
