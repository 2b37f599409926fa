"""Says in a line how a run has ended, and why it did not end well. Pure."""

from collections import Counter
from collections.abc import Iterator

from kraken_plan.views.plan_sections import NAMES_SHOWN, entries_text, file_name
from schemas.results import ApplyResult, Outcome
from schemas.text import counted, printable


def summary_line(result: ApplyResult) -> str:
    """Return in one line how the files of a plan have ended."""
    outcomes = Counter(file.outcome for file in result.files())
    counts = ", ".join(f"{outcomes[outcome]} {outcome.value}" for outcome in Outcome)
    failed = sum(raw_file.failure is not None for raw_file in result.raw_files)
    as_a_whole = f"; {counted(failed, 'raw file')} failed as a whole" if failed else ""
    total = counted(sum(raw_file.planned_files for raw_file in result.raw_files), "file")
    return f"{counted(len(result.raw_files), 'raw file')}, {total}: {counts}{as_a_whole}"


def failures_line(result: ApplyResult) -> str | None:
    """Return in one line what is not restored, and why the first of it is not; None if everything is."""
    failed_raw_files = sum(raw_file.failure is not None for raw_file in result.raw_files)
    failed_files = sum(not file.outcome.succeeded for file in result.files())
    first = next(_failures(result), None)
    if first is None:
        return None
    named = "" if failed_raw_files + failed_files == 1 else " the first:"
    return f"not restored: {entries_text(failed_raw_files, failed_files)};{named} {first}"


def _failures(result: ApplyResult) -> Iterator[str]:
    for raw_file in result.raw_files:
        if raw_file.failure is not None:
            yield f"{printable(raw_file.raw_file_id, NAMES_SHOWN)}: {raw_file.failure.message}"
        for file in raw_file.files:
            if file.failure is not None:
                yield f"{file_name(raw_file.raw_file_id, file.relative_path)}: {file.failure.message}"
