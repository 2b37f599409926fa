"""`kraken-plan help`: a command's name -> its help."""

import click
from click.shell_completion import CompletionItem

from kraken_plan.command_group import COMMANDS, cli
from kraken_plan.options.completion import offer_commands


def _offer_commands(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return offer_commands(((name, entry.help) for name, entry in COMMANDS.items()), incomplete)


@click.command(
    "help",
    epilog="""\b
Exit codes:
  0  the help is printed
  2  there is no such command

\b
Examples:
  kraken-plan help
  kraken-plan help apply

`man kraken-plan-apply` shows the same, where the package's man pages are installed.
""",
)
@click.argument("command", required=False, shell_complete=_offer_commands)
@click.pass_context
def help_command(ctx: click.Context, *, command: str | None) -> None:
    """Show the help of COMMAND, or of the whole program."""
    group = ctx.find_root()
    if command is None:
        click.echo(group.get_help())
        return
    name, found, _ = cli.resolve_command(group, [command])
    if found is not None:
        click.echo(found.get_help(click.Context(found, info_name=name, parent=group)))
