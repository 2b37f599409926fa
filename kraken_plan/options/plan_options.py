"""Defines the options of commands that only read and write plans.

Loads nothing of the applier: these commands also run where restoring does not, on macOS and Windows.
"""

from collections.abc import Callable
from typing import Any

import click

from kraken_plan.options.site_defaults import take_site_defaults
from kraken_plan.output_files import STDOUT
from schemas.site.settings import parse_duration

_Command = Callable[..., Any]

plan_argument = click.argument("plan", metavar="PLAN")

plan_output_option = click.option(
    "-o", "--output", metavar="FILE", default=STDOUT, help="Write the plan to FILE, whole or not at all."
)

html_option = click.option(
    "--html", metavar="FILE", help="Write one self-contained page for a browser to FILE instead."
)


def site_option(words: str) -> Callable[[_Command], _Command]:
    """Return the option that names the site YAML, from which a command takes defaults for its other options, too."""
    return click.option(
        "--config",
        envvar="KRAKEN_PLAN_CONFIG",
        show_envvar=True,
        metavar="YAML",
        is_eager=True,
        callback=take_site_defaults,
        help=f"The site's alphakraken.<env>.yaml: {words}.",
    )


def take_duration(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int | None:
    """Return the seconds that an option gives; None if it is not given."""
    try:
        return None if text is None else parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def with_options(command: _Command, *options: Callable[[_Command], _Command]) -> _Command:
    """Give a command some options, which its help lists in this order."""
    for option in reversed(options):  # click lists the one that is put on last first
        command = option(command)
    return command
