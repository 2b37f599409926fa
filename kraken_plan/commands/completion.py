"""`kraken-plan completion`: a shell's name -> the script that completes commands, options and files in it."""

import click
from click.shell_completion import ShellComplete, get_completion_class

from kraken_plan.command_group import PROGRAM, cli

SHELLS = ("bash", "zsh", "fish")


@click.command(
    "completion",
    epilog="""\b
Exit codes:
  0  the script is printed
  2  refused: a shell that is not supported

\b
Examples:
  eval "$(kraken-plan completion bash)"      # for this shell; in ~/.bashrc for every one
  eval "$(kraken-plan completion zsh)"       # in ~/.zshrc, after compinit
  kraken-plan completion fish > ~/.config/fish/completions/kraken-plan.fish

The package brings the scripts along, below share/ of the environment that it is installed in. Bash has to be 4.4 or
newer.
""",
)
@click.argument("shell", type=click.Choice(SHELLS))
def completion_command(*, shell: str) -> None:
    """Print the script that completes commands, options and file names in SHELL.

    It asks the program itself, so it need not be printed again after an upgrade.
    """
    click.echo(completion_script(shell), nl=False)


def completion_script(shell: str) -> str:
    """Return the script that a shell is to read."""
    found = get_completion_class(shell)
    if found is None:
        raise click.BadParameter(f"{shell}: this click has no completion for it")
    variable = f"_{PROGRAM.replace('-', '_')}_COMPLETE".upper()
    # not `found.source`, which asks the bash that is installed here for its version
    return ShellComplete.source(found(cli, {}, PROGRAM, variable))
