"""Rewrites the blocks in the README and in docs/ that show something real: help texts, the example plan, the report.

Run it after a change to any of these; a test compares them.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from kraken_plan.command_group import COMMANDS

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
EXAMPLE_PLAN = ROOT / "examples" / "plans" / "plan.json"
EXAMPLE_REPORT = ROOT / "examples" / "reports" / "_download_status_batch_20250204_143022.txt"

_BLOCK = re.compile(r"(<!-- (?P<what>[^>\n]+) -->\n```(?:\w+)\n)(?P<content>.*?)(```\n)", re.DOTALL)
_TABLE = re.compile(r"(<!-- commands -->\n)(?:\|.*\n)*")


def pages() -> list[Path]:
    """The README and every page of docs/ that is written in Markdown."""
    return [README, *sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)]


def with_real_blocks(text: str) -> str:
    """A page's text with every marked block as it really is."""
    text = _BLOCK.sub(lambda match: match[1] + (_real(match["what"]) or match["content"]) + match[4], text)
    return _TABLE.sub(lambda match: match[1] + _command_table(), text)


def _real(what: str) -> str | None:
    """What a block shows; None if it is of another kind."""
    if what == "plan":
        return EXAMPLE_PLAN.read_text(encoding="utf-8")
    if what == "report":
        return EXAMPLE_REPORT.read_text(encoding="utf-8")
    if what.startswith("file: "):
        return (ROOT / what.removeprefix("file: ")).read_text(encoding="utf-8")
    if not what.startswith("help: "):
        return None
    program, *arguments = what.removeprefix("help: ").split()
    return subprocess.run(
        [Path(sys.executable).parent / program, *arguments],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "COLUMNS": "100"},
        check=True,
    ).stdout


def _command_table() -> str:
    rows = [f"| `{name}` | {command.help} |" for name, command in COMMANDS.items()]
    return "\n".join(["| command | |", "|---|---|", *rows, ""])


if __name__ == "__main__":
    for page in pages():
        page.write_text(with_real_blocks(page.read_text(encoding="utf-8")), encoding="utf-8")
