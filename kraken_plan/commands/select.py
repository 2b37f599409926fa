"""`kraken-plan select`: a plan -> the selected part of it, as a plan of its own."""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from kraken_plan.console import say_unless_quiet
from kraken_plan.kept_results import load_kept_runs, state_dir_option
from kraken_plan.options.plan_options import plan_argument, plan_output_option
from kraken_plan.output_files import STDOUT, refuse_to_overwrite, write_plan_output
from planner.raw_file_ids import split_at_commas
from planner.select_plan import (
    Selection,
    check_projects,
    read_raw_files,
    select_failed,
    select_from_plan,
    select_resolvable,
)
from schemas.errors import ConfigError
from schemas.plan import Plan
from schemas.plan_file import serialize_plan
from schemas.plan_source import load_plan, plan_name
from schemas.results import RecordedRun
from schemas.results_file import load_results
from schemas.text import counted, human_size

_KEPT = "\0"  # stands for RESULTS where --failed has none: no file has that name


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectOptions:
    """What the command line asks for."""

    plan: str
    raw_file: tuple[str, ...]
    project: tuple[str, ...]
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    failed: tuple[str, ...]
    state_dir: Path | None
    resolvable: bool
    output: str


@click.command(
    "select",
    epilog="""\b
Exit codes:
  0  the smaller plan is written
  2  refused: a name that is not in the plan, or a selection that is empty; nothing is written

\b
Examples:
  kraken-plan select plan.json --project PRID001 -o prid001.json
  kraken-plan select plan.json --raw-file 20250115_a.d,20250116_b.raw --include '*.tdf*' -o some.json
  kraken-plan select plan.json --failed -o again.json
  kraken-plan select plan.json --failed results.jsonl -o again.json
  kraken-plan select plan.json --resolvable -o clean.json
  kraken-plan select plan.json --exclude '*.mgf' | kraken-plan apply -

Several values of one option widen the selection, several options narrow it. Patterns are the shell's and need quotes;
* and ? also match slashes, and case matters.
""",
)
@plan_argument
@click.option(
    "--raw-file",
    metavar="ID",
    multiple=True,
    help="Take these raw files: an id, several ids separated by commas, or a path.",
)
@click.option("--project", metavar="PRID", multiple=True, help="Take the raw files of these projects.")
@click.option("--include", metavar="GLOB", multiple=True, help="Take files whose relative path matches.")
@click.option(
    "--exclude",
    metavar="GLOB",
    multiple=True,
    help="Leave out files whose relative path matches.",
)
@click.option(
    "--failed",
    metavar="[RESULTS]",
    multiple=True,
    is_flag=False,
    flag_value=_KEPT,
    help="Take what failed, was not attempted, or is no longer there. RESULTS is a file that `apply --results` "
    "wrote; of several, the latest run counts. Without it, the results that are kept of the last ten applies of PLAN.",
)
@state_dir_option
@click.option("--resolvable", is_flag=True, help="Take only what can be restored, nothing that has an error.")
@plan_output_option
def select_command(**options: object) -> None:
    """Make a smaller plan from PLAN, valid and sealed; `-` reads it from stdin. Without -o it goes to stdout."""
    sys.exit(_select(SelectOptions(**options)))  # type: ignore[arg-type]  # click checked the types


def _select(options: SelectOptions) -> int:
    if options.output != STDOUT:
        refuse_to_overwrite(Path(options.output), options.plan)
    plan = load_plan(options.plan)
    project_ids = tuple(split_at_commas(options.project))
    check_projects(plan, project_ids)
    selection = Selection(
        raw_file_ids=read_raw_files(plan, options.raw_file),
        project_ids=project_ids,
        include=options.include,
        exclude=options.exclude,
    )
    if selection == Selection() and not options.failed and not options.resolvable:
        raise ConfigError(
            "nothing was asked for: give --raw-file, --project, --include, --exclude, --failed or --resolvable"
        )
    of = plan
    if options.failed:
        from applier.reports.confirm_results import confirm_results  # noqa: PLC0415  # looks at files, which needs POSIX

        runs = [run for path in options.failed for run in _load_runs(path, plan, options.state_dir)]
        of = select_failed(plan, confirm_results(plan, runs, datetime.now(UTC)))
        if not of.raw_files:
            raise ConfigError("nothing in the plan has failed, so there is nothing to select")
    if options.resolvable:
        of = select_resolvable(of)
    selected = select_from_plan(of, selection)
    if not selected.raw_files:
        raise ConfigError(f"{plan_name(options.plan)}: nothing in the plan matches what was asked for")
    write_plan_output(serialize_plan(selected), options.output)
    say_unless_quiet(f"selected {_extent(selected)}, of {_extent(plan)}")
    return 0


def _load_runs(path: str, plan: Plan, state_dir: Path | None) -> list[RecordedRun]:
    return load_kept_runs(plan, state_dir) if path == _KEPT else load_results(path)


def _extent(plan: Plan) -> str:
    totals = plan.totals()
    files = counted(totals.files + totals.skipped_files, "file")
    return f"{counted(totals.raw_files, 'raw file')}, {files}, {human_size(totals.size_bytes)}"
