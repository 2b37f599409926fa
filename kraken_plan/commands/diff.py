"""`kraken-plan diff`: two plans -> what differs -> words, JSON or a page -> exit code. Also a diff driver for git."""

import sys
from contextlib import suppress
from dataclasses import dataclass, replace

import click

from kraken_plan.options.plan_options import html_option
from kraken_plan.output_files import write_page
from kraken_plan.views.as_json import diff_as_json
from kraken_plan.views.diff_text import Compared, diff_lines
from kraken_plan.views.pages.diff_page import diff_page
from kraken_plan.views.pages.page import render_page
from kraken_plan.views.terminal import show_lines, stdout_paint, write_all
from planner.plan_diff import diff_plans
from schemas.errors import ConfigError, KrakenPlanError
from schemas.plan_source import STDIN, load_plan, plan_name
from schemas.text import printable

_NO_FILE = "/dev/null"
# path old-file old-hex old-mode new-file new-hex new-mode, of a rename two more
_GIT_ARGUMENTS = (7, 9)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffOptions:
    """What the command line asks for."""

    plans: tuple[str, ...]
    files: bool
    as_json: bool
    html: str | None
    git: bool


@click.command(
    "diff",
    epilog="""\b
Exit codes:
  0  the plans ask for the same
  1  they differ
  2  refused: one of them cannot be used as a plan

\b
Examples:
  kraken-plan diff reviewed.json plan.json
  kraken-plan compile --ids-file ids.txt --config alphakraken.prod.yaml | kraken-plan diff plan.json -
  kraken-plan diff old.json new.json --json | jq .totals
  kraken-plan diff old.json new.json --html diff.html

\b
For plans in git, to make `git diff`, `git show --ext-diff` and `git log -p --ext-diff` show raw files:
  git config diff.kraken-plan.command "kraken-plan diff --git"
  echo "plans/*.json diff=kraken-plan" >> .gitattributes

A plan that was edited after it was compiled is compared with a warning; apply refuses it.

Order, timestamps and origin do not count as differences. Bytes are those of the files that can be restored. Colours
appear on a terminal only, and not if NO_COLOR is set.
""",
)
@click.argument("plans", metavar="OLD NEW", nargs=-1)
@click.option("--files", is_flag=True, help="Also name the files of raw files that were added or removed as a whole.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs: all that differs, one raw file a line.")
@html_option
@click.option(
    "--git", is_flag=True, help="Take the arguments that git gives to a diff driver; exit with 0, as git requires."
)
def diff_command(**options: object) -> None:
    """Show what was added, removed and changed from plan OLD to plan NEW; `-` reads one of them from stdin.

    Prints nothing if both ask for the same.
    """
    sys.exit(_diff(DiffOptions(**options)))  # type: ignore[arg-type]  # click checked the types


def _diff(options: DiffOptions) -> int:
    if options.html is not None and (options.as_json or options.files or options.git):
        raise click.UsageError("--html holds everything: give it without --json, --files and --git")
    if options.git:
        with suppress(BrokenPipeError):  # the reader has left git's pager; to git, any code but 0 is a crash
            _git_diff(options)
        return 0
    if len(options.plans) != 2:  # noqa: PLR2004  # OLD and NEW
        raise click.UsageError(f"expected two plans, OLD and NEW, found {len(options.plans)}")
    if options.plans == (STDIN, STDIN):
        raise ConfigError("only one of the plans can come from stdin")
    old, new = (
        Compared(name=plan_name(source), plan=load_plan(source, even_if_edited=True)) for source in options.plans
    )
    return _show(options, old, new)


def _show(options: DiffOptions, old: Compared, new: Compared) -> int:
    diff = diff_plans(old.plan, new.plan)
    if options.html is not None:
        write_page(render_page(diff_page(diff, old, new)), options.html)
        return 0 if diff.is_empty else 1
    if options.as_json:
        write_all(diff_as_json(diff, old, new))
        return 0 if diff.is_empty else 1
    lines = diff_lines(diff, old, new, stdout_paint(), with_files=options.files)
    if options.git:  # it has a pager of its own
        write_all(f"{line}\n" for line in lines)
    else:
        show_lines(lines)
    return 0 if diff.is_empty else 1


def _git_diff(options: DiffOptions) -> None:
    """Act as git's diff driver, see GIT_EXTERNAL_DIFF in git(1): say what cannot be compared, and let git go on."""
    arguments = options.plans
    if len(arguments) == 1:
        write_all([f"{printable(arguments[0])}: not merged yet\n"])
        return
    if len(arguments) not in _GIT_ARGUMENTS:
        raise click.UsageError(f"--git expects the 7 arguments that git gives a diff driver, found {len(arguments)}")
    path, old_file, new_file = arguments[0], arguments[1], arguments[4]
    new_path = arguments[7] if len(arguments) == max(_GIT_ARGUMENTS) else path
    try:
        old, new = (None if file == _NO_FILE else load_plan(file, even_if_edited=True) for file in (old_file, new_file))
    except KrakenPlanError as error:
        write_all(f"{printable(line)}\n" for line in f"{path}: cannot be compared: {error}".split("\n"))
        return
    if one := new or old:
        nothing = replace(one, raw_files=(), plan_digest=None)
        _show(options, Compared(name=path, plan=old or nothing), Compared(name=new_path, plan=new or nothing))
