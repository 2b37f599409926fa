"""Says in a line how a run has ended, and why it did not end well. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kraken_plan.views.plan_sections import NAMES_SHOWN, entries_text, file_name
from schemas.results import ApplyResult, Failure, FailureKind
from schemas.tally import Tally
from schemas.text import counted, printable


def summary_line(result: ApplyResult) -> str:
    """Return in one line how the entries of a plan have ended: the sum that results, reports and pages have, too."""
    return f"{counted(len(result.raw_files), 'raw file')}, {Tally.of(result).describe()}"


def failures_line(result: ApplyResult) -> str | None:
    """Return in one line what is not restored, and why the first of it is not; None if everything is."""
    return _counted_with_first("not restored", list(_failures(result)))


def unresolvable_line(result: ApplyResult) -> str | None:
    """Return in one line what the plan itself could not resolve, and why; None if there is nothing of the kind."""
    failures = list(_failures(result))
    unresolvable = [failure for failure in failures if failure.failure.kind is FailureKind.UNRESOLVED]
    line = _counted_with_first("unresolvable, see the plan", unresolvable)
    if line is None or len(unresolvable) < len(failures):
        return line
    return f"{line}; everything else is verified: `kraken-plan select PLAN --resolvable` leaves them out"


@dataclass(frozen=True, slots=True)
class _Failed:
    """An entry of a plan that is not restored."""

    name: str
    failure: Failure
    is_raw_file: bool


def _failures(result: ApplyResult) -> Iterator[_Failed]:
    for raw_file in result.raw_files:
        if raw_file.failure is not None:
            yield _Failed(printable(raw_file.raw_file_id, NAMES_SHOWN), raw_file.failure, is_raw_file=True)
        for file in raw_file.files:
            if file.failure is not None:
                yield _Failed(file_name(raw_file.raw_file_id, file.relative_path), file.failure, is_raw_file=False)


def _counted_with_first(words: str, failed: Sequence[_Failed]) -> str | None:
    if not failed:
        return None
    raw_files = sum(one.is_raw_file for one in failed)
    first = "" if len(failed) == 1 else " the first:"
    counts = entries_text(raw_files, len(failed) - raw_files)
    return f"{words}: {counts};{first} {failed[0].name}: {failed[0].failure.message}"
