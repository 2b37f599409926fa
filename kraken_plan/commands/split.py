"""`kraken-plan split`: one plan -> N plans of about the same size, a file each."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from kraken_plan.console import say_unless_quiet
from kraken_plan.options.plan_options import plan_argument
from kraken_plan.output_files import refuse_to_overwrite
from planner.split_plan import split_plan
from schemas.atomic_file import write_atomically
from schemas.errors import ConfigError
from schemas.plan import Plan
from schemas.plan_file import serialize_plan
from schemas.plan_source import STDIN, load_plan
from schemas.text import counted, human_size, printable, shown_on

MOST_PLANS = 10_000


@click.command(
    "split",
    epilog="""\b
Exit codes:
  0  all plans are written, and their paths printed
  2  refused: whatever had those names was left untouched

\b
Examples:
  kraken-plan split plan.json -n 4                 # plan-1-of-4.json to plan-4-of-4.json beside it
  kraken-plan split plan.json -n 16 -o shards
  kraken-plan split plan.json -n 4 | xargs -I{} -P4 kraken-plan apply {} --no-report --results {}.results
  kraken-plan report --plan plan.json plan-?-of-4.json.results

Files are never split. Those of one raw file stay together where the balance allows it, those that share a destination
always do. There are always N plans; where there are too few files, some are empty. Splitting a plan again gives the
same plans.
""",
)
@plan_argument
@click.option(
    "-n", "--number", metavar="N", type=click.IntRange(1, MOST_PLANS), required=True, help="How many plans to make."
)
@click.option(
    "-o", "--output-dir", metavar="DIR", help="Write them to DIR, created if need be, instead of beside PLAN."
)
def split_command(plan: str, number: int, output_dir: str | None) -> None:
    """Split PLAN into N plans of about the same size, to be applied side by side; `-` reads it from stdin.

    Prints the paths of the plans. `kraken-plan report` writes one set of reports from their results.
    """
    sys.exit(_split(plan, number, output_dir))


def _split(source: str, number: int, output_dir: str | None) -> int:
    plan = load_plan(source)
    paths = [_folder(source, output_dir) / name for name in _names(source, number)]
    for path in paths:
        refuse_to_overwrite(path, source)
    plans = split_plan(plan, number)
    for path, part in zip(paths, plans, strict=True):
        write_atomically(path, serialize_plan(part))
        click.echo(shown_on(sys.stdout, str(path)))
    say_unless_quiet(_summary(plans))
    return 0


def _folder(source: str, output_dir: str | None) -> Path:
    if output_dir is None:
        return Path() if source == STDIN else Path(source).parent
    folder = Path(output_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--output-dir {printable(output_dir)}: {error.strerror or error}") from None
    return folder


def _names(source: str, number: int) -> list[str]:
    stem = "plan" if source == STDIN else Path(source).name.removesuffix(".json")
    return [f"{stem}-{one}-of-{number}.json" for one in range(1, number + 1)]


def _summary(plans: Sequence[Plan]) -> str:
    totals = [plan.totals() for plan in plans]
    sizes = [own.size_bytes for own in totals]
    files = counted(sum(own.files for own in totals), "file")
    return f"{counted(len(plans), 'plan')} of {human_size(min(sizes))} to {human_size(max(sizes))}; together {files}"
