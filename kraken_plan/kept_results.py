"""Finds the results that are kept of every apply of a plan, in the user's state folder, for commands that look back."""

import os
from dataclasses import replace
from pathlib import Path

import click

from schemas.errors import ResultsError
from schemas.plan import Plan
from schemas.results import RecordedRun
from schemas.results_file import load_results
from schemas.text import printable

_VARIABLE = "KRAKEN_PLAN_STATE_DIR"

state_dir_option = click.option(
    "--state-dir",
    envvar=_VARIABLE,
    show_envvar=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Where the results of the last ten runs of each plan are kept. [default: ~/.local/state/kraken-plan]",
)


def find_state_folder(state_dir: Path | None) -> Path | None:
    """Return where the results of runs are kept: https://specifications.freedesktop.org/basedir-spec; None if nowhere.

    Args:
        state_dir: what the user named.
    """
    if state_dir is not None:
        return state_dir
    base = Path(os.environ.get("XDG_STATE_HOME", ""))
    if base.is_absolute():
        return base / "kraken-plan"
    try:
        home = Path.home()
    except RuntimeError:  # a user without one
        return None
    return home / ".local/state/kraken-plan" if home.is_absolute() and home.is_dir() else None


def load_kept_runs(plan: Plan, state_dir: Path | None) -> list[RecordedRun]:
    """Return the runs of a plan that were kept and are readable, oldest first.

    Raises:
        ResultsError: there are none.
    """
    from applier.reports.run_records import RunRecords  # noqa: PLC0415  # locks files, which needs POSIX

    folder = find_state_folder(state_dir)
    runs = [run for path in RunRecords(folder, plan.plan_digest).paths() for run in _readable(path)]
    if not runs:
        place = "there is no state folder" if folder is None else f"none is kept below {printable(str(folder))}"
        raise ResultsError(
            f"no results of this plan are known ({place}, for {plan.plan_digest}): apply it first, or name a results "
            "file, or the folder where its results are (--state-dir)"
        )
    return runs


def _readable(path: Path) -> list[RecordedRun]:
    """Return the runs in a file that was kept; one that is damaged, or of a later version, does not count."""
    try:
        runs = load_results(str(path))
    except ResultsError:
        return []
    return [replace(run, name=f"the run of {run.head.started_at:%Y-%m-%d %H:%M:%S} UTC") for run in runs]
