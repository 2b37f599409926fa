"""`kraken-plan validate`, `seal` and `schema`: the plan file by itself, without catalog or S3."""

from pathlib import Path

import click

from kraken_plan.output_files import STDOUT, refuse_what_is_no_plan, write_plan_output
from schemas.plan import Plan
from schemas.plan_file import seal_plan
from schemas.plan_schema import schema_text
from schemas.plan_source import STDIN, load_plan, load_plan_bytes, plan_name
from schemas.text import counted


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
@click.argument("plan", metavar="PLAN")
def validate_command(plan: str) -> None:
    """Check all of PLAN that can be checked without S3: schema, rules, digest; `-` reads it from stdin."""
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
@click.argument("plan", metavar="PLAN")
@click.option("-o", "--output", metavar="FILE", help="Write to FILE, and leave PLAN as it is.")
def seal_command(plan: str, output: str | None) -> None:
    """Renew the digest of PLAN after an edit on purpose; `-` goes from stdin to stdout.

    Everything but the digest is checked first.
    """
    if output not in {None, STDOUT, plan}:
        refuse_what_is_no_plan(Path(output))
    sealed = seal_plan(*load_plan_bytes(plan))
    write_plan_output([sealed], output or (STDOUT if plan == STDIN else plan))


@click.command("schema", epilog="Example: kraken-plan schema > plan.schema.json")
def schema_command() -> None:
    """Print the JSON Schema (2020-12) of the plan file."""
    click.echo(schema_text(), nl=False)


def _describe(plan: Plan) -> str:
    files = [file for raw_file in plan.raw_files for file in raw_file.files]
    planned = [file for _, file in plan.planned_files()]
    unresolved = f"{len(files) - len(planned):,} not resolved"
    size_bytes = sum(file.expected_size or 0 for file in planned)
    return (
        f"valid, {counted(len(plan.raw_files), 'raw file')}, {counted(len(files), 'file')} ({unresolved}), "
        f"{counted(size_bytes, 'byte')}, {plan.plan_digest}"
    )
