"""The options of commands that only read and write plans.

Loads nothing of the applier: these commands also run where restoring does not, on macOS and Windows.
"""

import click

from kraken_plan.output_files import STDOUT

plan_argument = click.argument("plan", metavar="PLAN")

plan_output_option = click.option(
    "-o", "--output", metavar="FILE", default=STDOUT, help="Write the plan to FILE, whole or not at all."
)

html_option = click.option(
    "--html", metavar="FILE", help="Write one self-contained page for a browser to FILE instead."
)
