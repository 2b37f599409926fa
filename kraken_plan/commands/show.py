"""`kraken-plan show`: a plan -> a table, JSON or a page for its review."""

from dataclasses import dataclass

import click

from kraken_plan.options.plan_options import html_option, plan_argument
from kraken_plan.output_files import write_page
from kraken_plan.views.as_json import plan_as_json
from kraken_plan.views.pages.page import render_page
from kraken_plan.views.pages.plan_page import plan_page
from kraken_plan.views.plan_text import plan_lines
from kraken_plan.views.terminal import show_lines, stdout_paint, write_all
from schemas.plan_source import load_plan, plan_name


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowOptions:
    """What the command line asks for."""

    plan: str
    files: bool
    exact: bool
    as_json: bool
    html: str | None


@click.command(
    "show",
    epilog="""\b
Exit codes:
  0  shown, whatever the plan says
  2  refused: everything that is wrong with the plan is listed

\b
Examples:
  kraken-plan show plan.json
  kraken-plan show plan.json --files --exact | grep analysis.tdf
  kraken-plan show plan.json --json | jq .totals
  kraken-plan show plan.json --html plan.html

A plan that was edited after it was compiled is shown with a warning; apply refuses it.

On a terminal, anything longer than the screen goes through $PAGER. Colours appear there only, and not if NO_COLOR is
set.
""",
)
@plan_argument
@click.option("--files", is_flag=True, help="A line for every file instead of one for every raw file.")
@click.option("--exact", is_flag=True, help="Sizes to the byte.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON for programs: the summary, and every raw file on a line."
)
@html_option
def show_command(**options: object) -> None:
    """Show what PLAN restores, for review; `-` reads it from stdin.

    Shows who made it, when and from what; how much goes where; the largest files; what is unresolvable and why; and
    every raw file.
    """
    _show(ShowOptions(**options))  # type: ignore[arg-type]  # click checked the types


def _show(options: ShowOptions) -> None:
    if options.html is not None and (options.as_json or options.files or options.exact):
        raise click.UsageError("--html holds everything: give it without --json, --files and --exact")
    if options.as_json and options.exact:
        raise click.UsageError("--json is exact already: give it without --exact")
    plan = load_plan(options.plan, even_if_edited=True)
    if options.html is not None:
        write_page(render_page(plan_page(plan, plan_name(options.plan))), options.html)
    elif options.as_json:
        write_all(plan_as_json(plan, with_files=options.files))
    else:
        name, paint = plan_name(options.plan), stdout_paint()
        show_lines(plan_lines(plan, name, paint, with_files=options.files, exact=options.exact))
