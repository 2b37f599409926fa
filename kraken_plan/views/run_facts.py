"""Puts the runs over a plan into words: when, how long, where, by whom, how fast and with which options. Pure."""

from collections.abc import Sequence
from datetime import datetime

from schemas.results import RecordedRun
from schemas.text import human_rate, human_size, printable

_MOST_RUNS = 10


def run_facts(runs: Sequence[RecordedRun]) -> list[tuple[str, str]]:
    """Return labels and values, printable: of one run one fact each, of several a line for each run."""
    if len(runs) == 1:
        (run,) = runs
        facts = [
            ("Run", _times(run)),
            ("Host", _who(run)),
            ("Fetched", _fetched(run, "")),
            ("Options", printable(" ".join(run.head.options))),
            ("Approved by", printable(", ".join(run.head.approvals))),
        ]
        return [(label, value) for label, value in facts if value]
    newest_first = sorted(runs, key=lambda run: run.head.started_at, reverse=True)
    facts = [
        ("Run", ", ".join(filter(None, [_times(run), _who(run), _fetched(run, " fetched")]))) for run in newest_first
    ]
    left_out = len(facts) - _MOST_RUNS
    return [*facts[:_MOST_RUNS], *([("Run", f"and {left_out:,} earlier ones")] if left_out > 0 else [])]


def _times(run: RecordedRun) -> str:
    begin = _time(run.head.started_at)
    if run.end is None:
        return f"{begin}, ended without a summary (killed, or another version)"
    interrupted = ", interrupted" if run.end.is_interrupted else ""
    return f"{begin} to {_time(run.end.ended_at)} ({run.end.duration_seconds(run.head):.0f} s){interrupted}"


def _who(run: RecordedRun) -> str:
    return printable(" by ".join(filter(None, [run.head.host, run.head.user])))


def _fetched(run: RecordedRun, word: str) -> str:
    if run.end is None:
        return ""
    bytes_per_second = run.end.fetched_bytes_per_second(run.head)
    rate = f", {human_rate(bytes_per_second)}" if bytes_per_second else ""
    return f"{human_size(run.end.fetched_bytes)}{word}{rate}"


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
