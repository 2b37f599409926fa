"""Says how a run has ended: what is verified, what failed and why, what is kept, and what to type next. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from applier.reports.causes import FailureGroup, group_failures, helping_options
from kraken_plan.views.plan_sections import NAMES_SHOWN, file_name
from kraken_plan.views.progress_text import clock_text
from schemas.results import ApplyResult, Failure
from schemas.tally import VERIFIED_FATES, Fate, Tally
from schemas.text import counted, human_rate, human_size, printable

_MOST_NAMED = 3
_MOST_UNRESOLVABLE_NAMED = 10
_LONGEST_REASON = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedRun:
    """How a run has ended.

    Args:
        result: of every entry.
        seconds: that it took.
        fetched_bytes: that came from S3.
        stopped_by: the signal that interrupted it; None if nobody did.
        staged_bytes: of unfinished files, kept for the next run; None where that is not known.
        apply_command: restores what is missing, without the options that accept other objects than the planned ones.
        accepted: those of these options that were given.
        select_command: makes a plan of what failed; None where the plan is in no file.
    """

    result: ApplyResult
    seconds: float
    fetched_bytes: int
    stopped_by: str | None
    staged_bytes: int | None
    apply_command: str
    accepted: tuple[str, ...]
    select_command: str | None


def end_lines(end: EndedRun) -> Iterator[str]:
    """Yield the end of a run, line by line."""
    tally = Tally.of(end.result)
    if end.stopped_by is not None:
        yield f"interrupted by {end.stopped_by}: what is verified stays, and the same command resumes"
    yield summary_line(end.result)
    yield f"  {_verified_text(end, tally)}"
    groups = group_failures(end.result.raw_files, most_named=_MOST_NAMED)
    yield from _failed(groups)
    yield from unresolvable_lines(end.result, tally.unresolvable.entries)
    if end.staged_bytes:
        yield f"staged: {human_size(end.staged_bytes)} of unfinished files are kept, and the next run resumes from them"
    yield from _next_commands(end, tally, helping_options(groups))


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


def _verified_text(end: EndedRun, tally: Tally) -> str:
    how = ", ".join(f"{tally[fate].entries:,} {fate.value}" for fate in VERIFIED_FATES if tally[fate].entries)
    verified = f"{human_size(tally.verified.size_bytes)} ({how})" if how else "nothing"
    mean = f" at {human_rate(end.fetched_bytes / end.seconds)}" if end.seconds >= 1 else ""
    fetched = f"fetched {human_size(end.fetched_bytes)}{mean}" if end.fetched_bytes else "nothing fetched"
    return f"verified {verified} in {clock_text(end.seconds)}; {fetched}"


def _failed(groups: Sequence[FailureGroup]) -> Iterator[str]:
    if groups:
        yield "failed:"
    for group in groups:
        yield f"  {group.entries:,} x {group.cause.title} (does applying again help? {group.cause.again})"
        for entry in group.first:
            yield f"    {_name(entry.raw_file_id, entry.relative_path)}: {_reason(entry.failure.message)}"
        yield from _more(group.entries, len(group.first))


def unresolvable_lines(result: ApplyResult, count: int) -> Iterator[str]:
    """Yield what the plan could not resolve, and why; nothing if there is nothing of the kind.

    Args:
        result: of every entry.
        count: of those that are unresolvable.
    """
    groups = group_failures(result.raw_files, Fate.UNRESOLVABLE, most_named=_MOST_UNRESOLVABLE_NAMED)
    if groups:
        yield "unresolvable, as the plan says:"
    named = 0
    for group in groups:
        for entry in group.first:
            named += 1
            yield f"  {_name(entry.raw_file_id, entry.relative_path)}: {_reason(entry.failure.message)}"
    yield from _more(count, named, indent=2)


def _more(count: int, named: int, indent: int = 4) -> Iterator[str]:
    if count > named:
        yield f"{' ' * indent}… and {count - named:,} more"


def _next_commands(end: EndedRun, tally: Tally, helping: Sequence[str]) -> Iterator[str]:
    """Yield what to type next, where anything is left to do; with the options that help with what failed."""
    commands = []
    if tally.failed.entries or tally.not_attempted.entries:
        commands.append(" ".join(dict.fromkeys([end.apply_command, *end.accepted, *helping])))
    if tally.failed.entries and end.select_command is not None:
        commands.append(f"{end.select_command} --failed -o again.json")
    if not commands and tally.unresolvable.entries and end.select_command is not None:
        commands.append(f"{end.select_command} --resolvable -o resolvable.json")
    if commands:
        yield "next:"
        yield from (f"  {command}" for command in commands)


def _name(raw_file_id: str, relative_path: str | None) -> str:
    return printable(raw_file_id, NAMES_SHOWN) if relative_path is None else file_name(raw_file_id, relative_path)


def _reason(message: str) -> str:
    return printable(message, _LONGEST_REASON)


def _failures(result: ApplyResult) -> Iterator[tuple[str, Failure]]:
    for raw_file in result.raw_files:
        if raw_file.failure is not None:
            yield printable(raw_file.raw_file_id, NAMES_SHOWN), raw_file.failure
        for file in raw_file.files:
            if file.failure is not None:
                yield file_name(raw_file.raw_file_id, file.relative_path), file.failure
