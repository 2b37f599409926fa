"""Reads the console sessions in pages of the documentation, and runs them in a shell to see whether they are true.

In a block of the kind `console`, lines that begin with `$ ` are commands, and all others are what they print, where `…`
stands for anything. A block is run if `<!-- run -->` stands above it, all blocks of a page in one shell.
"""

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(
    r"(?P<run>^ *<!-- run -->\n)?^(?P<indent> *)```console\n(?P<content>.*?)^ *```\n", re.DOTALL | re.MULTILINE
)
_MARK = "--- next command, the last one ended with "


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command of a session.

    Attributes:
        line: As it stands after the prompt.
        output: What the page shows of it; empty if it shows nothing.
        is_run: Whether the page says that it can be run.
    """

    line: str
    output: str
    is_run: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What a command printed, on stdout and stderr, and how it ended."""

    output: str
    exit_code: int


def commands_in(text: str) -> Iterator[Command]:
    """Yield the commands of all sessions in a page."""
    for block in _BLOCK.finditer(text):
        content = re.sub(f"^{block['indent']}", "", block["content"], flags=re.MULTILINE)
        _, *pieces = re.split(r"^\$ ", content, flags=re.MULTILINE)
        for piece in pieces:
            line, _, output = piece.partition("\n")
            while line.endswith("\\"):
                further, _, output = output.partition("\n")
                line += "\n" + further
            yield Command(line=line, output=output, is_run=block["run"] is not None)


def run_session(commands: Sequence[Command], folder: Path, environment: Mapping[str, str]) -> list[Ended]:
    """Run commands in one shell, one after the other."""
    mark = f"kept=$?; echo; echo '{_MARK}'$kept; (exit $kept)"
    script = "\n".join(["exec 2>&1", *(f"{command.line}\n{mark}" for command in commands)])
    done = subprocess.run(
        ["/bin/bash", "-c", script],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        timeout=90,
        check=False,
    )
    pieces = re.split(rf"\n{re.escape(_MARK)}(\d+)\n", done.stdout)
    return [
        Ended(output=output, exit_code=int(exit_code))
        for output, exit_code in zip(pieces[:-1:2], pieces[1::2], strict=True)
    ]


def is_as_shown(shown: str, printed: str) -> bool:
    """Tell whether a command printed what its page shows, `…` standing for anything."""
    pattern = ".*?".join(re.escape(piece) for piece in shown.rstrip("\n").split("…"))
    return re.fullmatch(pattern, printed.rstrip("\n"), re.DOTALL) is not None
