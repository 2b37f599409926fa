"""Completes what the command line gets in a shell: names of commands at once, names of files where a file is asked for.

click does the rest, see https://click.palletsprojects.com/en/stable/shell-completion.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem  # a shell asks for it, nobody else

# What a parameter takes, by its metavar, and which names the shell then offers.
_OFFERED = {
    "PLAN": "file",
    "OLD NEW": "file",
    "FILE": "file",
    "YAML": "file",
    "URI|FILE": "file",
    "[RESULTS]": "file",
    "[RESULTS...]": "file",
    "DIR": "dir",
}


class _PathName(click.types.StringParamType):
    """Text, for which a shell offers names of files or folders.

    Args:
        kind: `file` or `dir`.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002  # click's signature
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> "list[CompletionItem]":
        """Leave it to the shell."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415  # see above

        return [CompletionItem(incomplete, type=self._kind)]


def offer_paths(command: click.Command) -> None:
    """Have the shell offer names of files for those parameters of a command that take one, as their metavar says."""
    for parameter in command.params:
        if isinstance(parameter.type, click.types.StringParamType) and parameter.metavar in _OFFERED:
            parameter.type = _PathName(_OFFERED[parameter.metavar])


def offer_commands(commands: Iterable[tuple[str, str]], incomplete: str) -> "list[CompletionItem]":
    """Return those commands that begin as typed, without loading them.

    Args:
        commands: their names, and what each does in a line.
        incomplete: what was typed so far.
    """
    from click.shell_completion import CompletionItem  # noqa: PLC0415  # see above

    return [CompletionItem(name, help=words) for name, words in commands if name.startswith(incomplete)]
