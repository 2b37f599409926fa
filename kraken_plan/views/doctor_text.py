"""Renders what `doctor` has found: a line for each finding, and what to do below it; and as JSON for programs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from applier.finding import Finding, State
from kraken_plan.views.table import Paint, Tone
from schemas.text import counted

_WIDTH = 12
_MARKS: Mapping[State, tuple[str, Tone]] = {
    State.RIGHT: ("right", Tone.GOOD),
    State.WARNING: ("warning", Tone.NOTABLE),
    State.WRONG: ("WRONG", Tone.BAD),
    State.UNKNOWN: ("unknown", Tone.FAINT),
}
_MARK_WIDTH = 8


def finding_lines(finding: Finding, paint: Paint) -> Iterator[str]:
    """Yield the lines of a finding."""
    mark, tone = _MARKS[finding.state]
    first, *others = finding.words.split("\n")
    yield f"{paint(f'{mark:{_MARK_WIDTH}}', tone)} {finding.topic:{_WIDTH}} {first}"
    yield from (f"{'':{_MARK_WIDTH}} {'':{_WIDTH}} {line}" for line in others)
    if finding.advice:
        yield f"{'':{_MARK_WIDTH}} {'':{_WIDTH}} -> {finding.advice}"


def verdict(findings: Sequence[Finding]) -> str:
    """Return how many things are wrong."""
    wrong = sum(finding.state is State.WRONG for finding in findings)
    warnings = sum(finding.state is State.WARNING for finding in findings)
    also = f", {counted(warnings, 'warning')}" if warnings else ""
    return f"{counted(wrong, 'thing')} wrong{also}" if wrong else f"nothing is wrong{also}"


def findings_as_records(findings: Iterable[Finding]) -> list[dict[str, str]]:
    """Return findings for JSON."""
    return [
        {"topic": one.topic, "state": one.state.value, "found": one.words, "advice": one.advice} for one in findings
    ]
