"""`kraken-plan split`: one plan -> N plans of equal bytes, a file each."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from kraken_plan.output_files import refuse_to_overwrite
from planner.split_plan import split_plan
from schemas.atomic_file import write_atomically
from schemas.errors import ConfigError
from schemas.plan import Plan
from schemas.plan_file import serialized_plan
from schemas.plan_source import STDIN, load_plan
from schemas.text import counted, human_size, printable, shown_on

logger = logging.getLogger(__name__)

MOST_PLANS = 10_000


@click.command(
    "split",
    epilog="""\b
Exit codes:
  0  all plans are written, their paths printed
  2  refused: what stood under the names is kept

\b
Examples:
  kraken-plan split plan.json -n 4                 # plan-1-of-4.json to plan-4-of-4.json beside it
  kraken-plan split plan.json -n 16 -o shards
  kraken-plan split plan.json -n 4 | xargs -I{} -P4 kraken-plan apply {} --no-report --results {}.results
  kraken-plan report --plan plan.json plan-?-of-4.json.results

No file is split, a raw file's files stay together where the balance allows it, and what shares a destination always
does. There are always N plans, some of them empty where there are too few files. The same plan is always split in the
same way.
""",
)
@click.argument("plan", metavar="PLAN")
@click.option(
    "-n", "--number", metavar="N", type=click.IntRange(1, MOST_PLANS), required=True, help="How many plans to make."
)
@click.option("-o", "--output-dir", metavar="DIR", help="Write them to DIR, which is made if need be, not beside PLAN.")
def split_command(plan: str, number: int, output_dir: str | None) -> None:
    """Split PLAN into N plans of equal bytes, to be applied side by side; `-` reads it from stdin.

    Prints the paths of the plans. `kraken-plan report` makes one set of reports out of their results.
    """
    sys.exit(_split(plan, number, output_dir))


def _split(source: str, number: int, output_dir: str | None) -> int:
    plan = load_plan(source)
    paths = [_folder(source, output_dir) / name for name in _names(source, number)]
    for path in paths:
        refuse_to_overwrite(path, source)
    plans = split_plan(plan, number)
    for path, part in zip(paths, plans, strict=True):
        write_atomically(path, serialized_plan(part))
        click.echo(shown_on(sys.stdout, str(path)))
    if logger.isEnabledFor(logging.WARNING):
        click.echo(_summary(plans), err=True)
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
    files = [[file for _, file in plan.planned_files()] for plan in plans]
    sizes = [sum(file.expected_size or 0 for file in own) for own in files]
    total = counted(sum(map(len, files)), "file")
    return f"{counted(len(plans), 'plan')} of {human_size(min(sizes))} to {human_size(max(sizes))}; together {total}"
