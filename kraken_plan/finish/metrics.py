"""Writes how a run has ended for Prometheus, as a file for node_exporter's textfile collector.

See https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format. When the last run succeeded is taken
over from the file that was there before, where this one did not.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from applier.reports.run_summary import RunSummary
from kraken_plan.finish.finished_run import FinishedRun
from schemas.atomic_file import write_atomically
from schemas.tally import Amount, Tally
from schemas.text import printable

_PREFIX = "kraken_plan_"
FILE_BEGINS = f"# HELP {_PREFIX}".encode()
_LAST_SUCCESS = "last_success_timestamp_seconds"
_MOST_BYTES = 1024 * 1024

_HELP = {
    "last_run_timestamp_seconds": "When the last run ended.",
    _LAST_SUCCESS: "When a run last ended with exit code 0.",
    "last_run_exit_code": "The exit code of the last run: 0 all well, 1 something needs attention, 2 refused.",
    "last_run_duration_seconds": "How long the last run took.",
    "last_run_fetched_bytes": "How much the last run fetched from S3.",
    "entries": "Entries of the plan by what became of them in the last run.",
    "entry_bytes": "Bytes of these entries, as far as their sizes are known.",
}

Sample = tuple[str, dict[str, str], float]


def write_metrics(run: FinishedRun, path: Path) -> None:
    """Write the metrics of a run, whole or not at all.

    Raises:
        ConfigError: they cannot be written.
    """
    write_atomically(path, [render_metrics(run, _last_success(run, path)).encode()])


def render_metrics(run: FinishedRun, last_success: float | None) -> str:
    """Return the text of a run's metrics.

    Args:
        run: that has ended.
        last_success: when an earlier run ended with exit code 0, in seconds since 1970; None if it is not known.
    """
    samples = list(_samples(run, last_success))
    lines = []
    for name, words in _HELP.items():
        of_name = [(labels, value) for sample, labels, value in samples if sample == name]
        if of_name:
            lines += [f"# HELP {_PREFIX}{name} {words}", f"# TYPE {_PREFIX}{name} gauge"]
            lines += [f"{_series(name, {**_labels(run), **labels})} {value!r}" for labels, value in of_name]
    return "".join(f"{line}\n" for line in lines)


def _samples(run: FinishedRun, last_success: float | None) -> Iterator[Sample]:
    ended_at = run.ended_at.timestamp()
    yield "last_run_timestamp_seconds", {}, ended_at
    last_success = ended_at if run.exit_code == 0 else last_success
    if last_success is not None:
        yield _LAST_SUCCESS, {}, last_success
    yield "last_run_exit_code", {}, run.exit_code
    if isinstance(run.end, RunSummary):
        yield "last_run_duration_seconds", {}, run.end.duration_seconds
        yield "last_run_fetched_bytes", {}, run.end.end.fetched_bytes
        for state, amount in _states(run.end.tally):
            yield "entries", {"state": state}, amount.entries
            yield "entry_bytes", {"state": state}, amount.size_bytes


def _states(tally: Tally) -> Iterator[tuple[str, Amount]]:
    yield "verified", tally.verified
    yield "failed", tally.failed
    yield "unresolvable", tally.unresolvable
    yield "not_attempted", tally.not_attempted


def _labels(run: FinishedRun) -> dict[str, str]:
    return {"command": run.command, "plan": run.plan}


def _series(name: str, labels: dict[str, str]) -> str:
    written = ",".join(f'{label}="{_escape(value)}"' for label, value in labels.items())
    return f"{_PREFIX}{name}{{{written}}}"


def _escape(value: str) -> str:
    return printable(value).replace("\\", "\\\\").replace('"', '\\"')


def _last_success(run: FinishedRun, path: Path) -> float | None:
    """Return when a run of this command over this plan last succeeded, as the file has it; None if it does not say."""
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES).decode(errors="replace")
    except OSError:
        return None
    found = re.search(rf"^{re.escape(_series(_LAST_SUCCESS, _labels(run)))} ([0-9.e+]{{1,30}})$", text, re.MULTILINE)
    try:
        return float(found[1]) if found else None
    except ValueError:
        return None
