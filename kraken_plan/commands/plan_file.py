"""`kraken-plan validate`, `seal` and `schema`: the plan file on its own, without catalog or S3."""

from pathlib import Path

import click

from kraken_plan.console import say_unless_quiet
from kraken_plan.options.plan_options import plan_argument
from kraken_plan.output_files import STDOUT, refuse_anything_but_a_plan, write_plan_output
from schemas.plan import Plan
from schemas.plan_file import find_stated_digest, seal_plan
from schemas.plan_schema import schema_text
from schemas.plan_source import STDIN, load_plan, load_plan_bytes, plan_name
from schemas.text import counted, human_size, printable


@click.command(
    "validate",
    epilog="""\b
Exit codes:
  0  valid
  2  refused: everything that is wrong is listed

\b
Examples:
  kraken-plan validate plan.json
  kraken-plan compile --project PRID001 --config alphakraken.prod.yaml | kraken-plan validate -
""",
)
@plan_argument
def validate_command(plan: str) -> None:
    """Check everything about PLAN that can be checked without S3: schema, rules, digest; `-` reads it from stdin."""
    click.echo(f"{plan_name(plan)}: {_describe(load_plan(plan))}")


@click.command(
    "seal",
    epilog="""\b
Exit codes:
  0  sealed
  2  refused: the file stays as it was

\b
Examples:
  kraken-plan seal plan.json
  jq '.s3.region = "eu-west-1"' plan.json | kraken-plan seal - > changed.json
""",
)
@plan_argument
@click.option("-o", "--output", metavar="FILE", help="Write to FILE and leave PLAN as it is.")
def seal_command(plan: str, output: str | None) -> None:
    """Renew the digest of PLAN after a deliberate edit; `-` reads from stdin and writes to stdout.

    Everything but the digest is checked first.
    """
    if output not in {None, STDOUT, plan}:
        refuse_anything_but_a_plan(Path(output))
    content, name = load_plan_bytes(plan)
    sealed = seal_plan(content, name)
    place = output or (STDOUT if plan == STDIN else plan)
    write_plan_output([sealed], place)
    before, now = find_stated_digest(content), find_stated_digest(sealed)
    change = "as it was" if before == now else f"in place of {printable(before or 'none')}"
    say_unless_quiet(f"{'stdout' if place == STDOUT else printable(place)}: sealed with {now}, {change}")


@click.command("schema", epilog="Example: kraken-plan schema > plan.schema.json")
def schema_command() -> None:
    """Print the JSON Schema (2020-12) of the plan file."""
    click.echo(schema_text(), nl=False)


def _describe(plan: Plan) -> str:
    totals = plan.totals()
    files = counted(totals.files + totals.skipped_files, "file")
    return (
        f"valid, {counted(totals.raw_files, 'raw file')}, {files} ({totals.skipped_files:,} not resolved), "
        f"{human_size(totals.size_bytes)}, {plan.plan_digest}"
    )
