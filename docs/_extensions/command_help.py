"""Adapts help texts, which are written for a terminal, to the reST that sphinx-click makes of them.

In a help text, a backspace character keeps the lines of a paragraph apart. Here such a paragraph becomes a heading and
a literal block, so that a `*` in an example is not taken for markup.
"""

from collections.abc import Iterator

import click
from sphinx.application import Sphinx

_VERBATIM = "| "
# What sphinx-click 6.2 emits in place of the event that it announces.
_MISSPELT = "sphinx-click-process-envars"


def setup(app: Sphinx) -> dict[str, bool]:
    """Have Sphinx call this module: https://sphinx-click.readthedocs.io/en/latest/usage/#events."""
    app.connect("sphinx-click-process-epilog", _rewrite_epilog)
    app.connect("sphinx-click-process-description", _escape_marks)
    app.connect("sphinx-click-process-options", _escape_marks)
    app.add_event(_MISSPELT)
    for event in ("sphinx-click-process-envvars", _MISSPELT):
        app.connect(event, _leave_out)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _rewrite_epilog(_app: Sphinx, _context: click.Context, lines: list[str]) -> None:
    lines[:] = list(_with_literal_blocks(lines))


def _escape_marks(_app: Sphinx, _context: click.Context, lines: list[str]) -> None:
    lines[:] = [_escape(line) for line in lines]


def _leave_out(_app: Sphinx, _context: click.Context, lines: list[str]) -> None:
    """Leave out a section of variables under each command: the page on the environment has all of them."""
    lines.clear()


def _with_literal_blocks(lines: list[str]) -> Iterator[str]:
    """Yield the lines of an epilog, with each verbatim paragraph as its first line in bold and a literal block."""
    is_verbatim = False
    for line in lines:
        if not line.startswith(_VERBATIM):
            is_verbatim = False
            yield _escape(line)
        elif is_verbatim:
            yield f"   {line.removeprefix(_VERBATIM)}"
        else:
            is_verbatim = True
            yield from (f"**{_escape(line.removeprefix(_VERBATIM))}**", "", ".. code-block:: text", "")


def _escape(line: str) -> str:
    """Return a line of plain words as reST: backquotes are for code, asterisks are asterisks."""
    return line if line.lstrip().startswith((".. ", ":")) else line.replace("`", "``").replace("*", "\\*")
