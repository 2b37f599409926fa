"""Sums up for people what compile found, what it could not resolve, and what to know about the rest."""

from collections.abc import Iterator

from planner.find_records import FoundRecords
from schemas.plan import Plan, UnresolvedFile
from schemas.text import counted, printable

_MOST_NAMED = 20


def compile_summary(plan: Plan, found: FoundRecords) -> Iterator[str]:
    """Yield what a plan holds and what could not be resolved, line by line."""
    yield from _pasted(found)
    files = [file for _, file in plan.planned_files()]
    size_bytes = sum(file.expected_size or 0 for file in files)
    yield (
        f"{counted(len(plan.raw_files), 'raw file')} asked for; to be restored: {counted(len(files), 'file')}, "
        f"{counted(size_bytes, 'byte')}, below {printable(plan.output_location)}"
    )
    errors = list(error_lines(plan, found))
    if errors:
        yield f"{sum(1 for _ in _errors(plan, found)):,} could not be resolved:"
        yield from errors


def error_lines(plan: Plan, found: FoundRecords) -> Iterator[str]:
    """Yield what could not be resolved, a line each, as far as a screen has room for it."""
    errors = list(_errors(plan, found))
    yield from (f"  {name}: {error}" for name, error in errors[:_MOST_NAMED])
    if len(errors) > _MOST_NAMED:
        yield f"  … and {len(errors) - _MOST_NAMED:,} more"


def _errors(plan: Plan, found: FoundRecords) -> Iterator[tuple[str, str]]:
    """Yield what could not be resolved, raw files and files, by name, with its reason; printable."""
    for raw_file in plan.raw_files:
        name = printable(raw_file.raw_file_id, 300)
        if raw_file.error is not None:
            nearest = ", ".join(printable(known, 300) for known in found.nearest.get(raw_file.raw_file_id, ()))
            yield name, printable(raw_file.error) + (f"; nearest: {nearest}" if nearest else "")
        for file in raw_file.files:
            if isinstance(file, UnresolvedFile):
                yield f"{name}: {printable(file.relative_path, 300)}", printable(file.error)


def _pasted(found: FoundRecords) -> Iterator[str]:
    """Yield which paths were taken for raw files."""
    for path, raw_file_id in found.pasted[:_MOST_NAMED]:
        yield f"{printable(path, 300)} is a path: taken for the raw file {printable(raw_file_id, 300)}"
    if len(found.pasted) > _MOST_NAMED:
        yield f"… and {len(found.pasted) - _MOST_NAMED:,} more paths, likewise"
