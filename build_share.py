"""Writes what the wheel brings along for shells: a man page for each command, and completion scripts.

Both are made from the program's own help: `python build_share.py FOLDER` writes what goes below `share/`.
"""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from click_man.man import ManPage

from kraken_plan.command_group import COMMANDS, PROGRAM, cli
from kraken_plan.commands.completion import completion_script
from schemas.version import __version__

COMPLETIONS = {
    "bash": f"bash-completion/completions/{PROGRAM}",
    "zsh": f"zsh/site-functions/_{PROGRAM}",
    "fish": f"fish/vendor_completions.d/{PROGRAM}.fish",
}
_VERBATIM = "\b"  # click keeps the lines of a paragraph apart that begins with it
_ABOUT = "restore raw files from their S3 backup under a reviewed plan"


def write_share(folder: Path) -> None:
    """Write all of it below a folder."""
    files = {COMPLETIONS[shell]: completion_script(shell) for shell in COMPLETIONS}
    files |= {f"man/man1/{name}.1": text for name, text in man_pages()}
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def man_pages() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each man page."""
    root = click.Context(cli, info_name=PROGRAM, **cli.context_settings)
    yield PROGRAM, _man_page(root, _ABOUT, [f"{PROGRAM}-{name}" for name in COMMANDS])
    for name, entry in COMMANDS.items():
        command = cli.get_command(root, name)
        if command is not None:
            context = click.Context(command, info_name=name, parent=root)
            yield f"{PROGRAM}-{name}", _man_page(context, entry.help.rstrip("."), [PROGRAM])


def _man_page(context: click.Context, about: str, see_also: list[str]) -> str:
    command = context.command
    page = ManPage(context.command_path)
    page.version, page.date = __version__, ""  # the same source gives the same page on any day
    page.short_help = _roff(about)
    page.synopsis = " ".join(command.collect_usage_pieces(context))
    page.description = _roff(inspect.cleandoc(command.help or ""))
    options = (option for option in command.get_params(context) if isinstance(option, click.Option))
    records = filter(None, (option.get_help_record(context) for option in options))
    page.options = [(option, _roff(words)) for option, words in records]
    if isinstance(command, click.Group):
        page.commands = [(name, _roff(entry.help)) for name, entry in COMMANDS.items()]
    references = ", ".join(rf"\fB{_roff(name)}\fP(1)" for name in see_also)
    return "\n".join([str(page).rstrip("\n"), *_sections(command.epilog or ""), ".SH SEE ALSO", references, ""])


def _sections(epilog: str) -> Iterator[str]:
    """Yield the lines of an epilog: each verbatim paragraph under its own heading, and what stands between as notes."""
    has_notes = False
    for paragraph in inspect.cleandoc(epilog).split("\n\n"):
        first, *lines = paragraph.split("\n")
        if first.strip(" ") == _VERBATIM:
            heading, *lines = lines
            yield from (f".SH {heading.rstrip(':').upper()}", ".nf", *map(_roff, lines), ".fi")
            has_notes = False
        else:
            yield from () if has_notes else (".SH NOTES",)
            yield from (".PP", _roff(paragraph))
            has_notes = True


def _roff(text: str) -> str:
    r"""Return text as roff takes it literally.

    >>> _roff("a -o b\n.c")
    'a \\-o b\n\\&.c'
    """
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(rf"\&{line}" if line.startswith((".", "'")) else line for line in escaped.split("\n"))


if __name__ == "__main__":
    write_share(Path(sys.argv[1]))
