"""Says in a line how a run has ended, and why it did not end well. Pure."""

from collections.abc import Iterator

from kraken_plan.views.plan_sections import NAMES_SHOWN, file_name
from schemas.results import ApplyResult, Failure
from schemas.tally import Tally
from schemas.text import counted, printable


def summary_line(result: ApplyResult) -> str:
    """Return in one line how the entries of a plan have ended: the sum that results, reports and pages have, too."""
    return f"{counted(len(result.raw_files), 'raw file')}, {Tally.of(result).describe()}"


def failures_line(result: ApplyResult) -> str | None:
    """Return in one line what is not verified, and why the first of it is not; None if everything is."""
    first = next(_failures(result), None)
    if first is None:
        return None
    tally = Tally.of(result)
    amounts = ((tally.failed, "failed"), (tally.unresolvable, "unresolvable"), (tally.not_attempted, "not attempted"))
    counts = ", ".join(f"{amount.entries:,} {word}" for amount, word in amounts if amount.entries)
    name, failure = first
    return f"not verified: {counts}; the first: {name}: {failure.message}"


def _failures(result: ApplyResult) -> Iterator[tuple[str, Failure]]:
    for raw_file in result.raw_files:
        if raw_file.failure is not None:
            yield printable(raw_file.raw_file_id, NAMES_SHOWN), raw_file.failure
        for file in raw_file.files:
            if file.failure is not None:
                yield file_name(raw_file.raw_file_id, file.relative_path), file.failure
