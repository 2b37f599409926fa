"""Prints lines on stdout: in colour and through a pager on a terminal, bare everywhere else."""

import os
import shlex
import sys
from collections.abc import Iterable, Mapping
from itertools import chain, islice
from shutil import get_terminal_size
from typing import TextIO

import click

from kraken_plan.views.table import Paint, Tone, unpainted

_COLOURS: Mapping[Tone, Mapping[str, bool | str]] = {
    Tone.HEADING: {"bold": True},
    Tone.GOOD: {"fg": "green"},
    Tone.NOTABLE: {"fg": "yellow"},
    Tone.BAD: {"fg": "red", "bold": True},
    Tone.FAINT: {"dim": True},
}


def stdout_paint() -> Paint:
    """Return the colours for stdout as it is now: none, unless it is a terminal that wants them."""
    return _painted if _wants_colour(sys.stdout, os.environ) else unpainted


def stdout_width() -> int | None:
    """Return how many columns stdout has; None where it is not a terminal."""
    return get_terminal_size().columns if _is_terminal(sys.stdout) else None


def show_lines(lines: Iterable[str]) -> None:
    """Print lines as they come; what is longer than the terminal goes through its pager.

    Args:
        lines: without line ends, painted by `stdout_paint`.
    """
    if not _is_terminal(sys.stdout):
        write_all(f"{line}\n" for line in lines)
        return
    remaining = iter(lines)
    first = list(islice(remaining, get_terminal_size().lines))
    if len(first) < get_terminal_size().lines:
        click.echo("\n".join(first), color=True)
        return
    if not _is_command(os.environ.get("PAGER", "")):
        write_all(f"{line}\n" for line in chain(first, remaining))
        return
    colour = None if _wants_colour(sys.stdout, os.environ) else False  # None: click tells `less` to let them pass
    following = (f"\n{line}" for line in chain(first[1:], remaining))  # click ends the last line
    click.echo_via_pager(chain(first[:1], following), color=colour)


def _is_command(text: str) -> bool:
    """Tell whether click can split a command into words: it cannot where a quote is left open."""
    try:
        shlex.split(text)
    except ValueError:
        return False
    return True


def write_all(pieces: Iterable[str]) -> None:
    """Write pieces to stdout as they come; nowhere if it is closed."""
    if sys.stdout is not None:
        sys.stdout.writelines(pieces)


def _painted(text: str, tone: Tone) -> str:
    return click.style(text, **_COLOURS[tone]) if tone in _COLOURS else text  # type: ignore[arg-type]  # fg and flags


def _wants_colour(stream: TextIO | None, environment: Mapping[str, str]) -> bool:
    """Tell whether a stream may have colours; see https://no-color.org."""
    return _is_terminal(stream) and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()
