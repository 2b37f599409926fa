"""Renders what `doctor` has found: a line for each finding, and what to do below it; and as JSON for programs."""

import textwrap
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
_LEAST_WIDTH = 20


def finding_lines(finding: Finding, paint: Paint, width: int | None = None) -> Iterator[str]:
    """Yield the lines of a finding.

    Args:
        finding: what was found.
        paint: colours its state.
        width: of the terminal; None to break no lines.
    """
    mark, tone = _MARKS[finding.state]
    indent = " " * (_MARK_WIDTH + _WIDTH + 2)
    advice = [f"-> {finding.advice}"] if finding.advice else []
    lines = [*finding.words.split("\n"), *advice]
    if width is not None:
        room = max(width - len(indent), _LEAST_WIDTH)
        lines = [
            piece
            for line in lines
            for piece in textwrap.wrap(line, room, break_on_hyphens=False, break_long_words=False)
        ]
    yield f"{paint(f'{mark:{_MARK_WIDTH}}', tone)} {finding.topic:{_WIDTH}} {lines[0]}"
    yield from (f"{indent}{line}" for line in lines[1:])


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
