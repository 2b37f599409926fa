"""The README's blocks that repeat something real, and what they repeat. Run it to write them anew."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
EXAMPLE_PLAN = ROOT / "examples" / "plans" / "plan.json"
EXAMPLE_REPORT = ROOT / "examples" / "reports" / "_download_status_batch_20250204_143022.txt"

_BLOCK = re.compile(r"(<!-- (?P<what>[^>]+) -->\n```(?:\w+)\n)(?P<content>.*?)(```\n)", re.DOTALL)


def with_real_blocks(text: str) -> str:
    """The README's text with every marked block as it really is."""
    return _BLOCK.sub(lambda match: match[1] + _real(match["what"]) + match[4], text)


def _real(what: str) -> str:
    if what == "plan":
        return EXAMPLE_PLAN.read_text(encoding="utf-8")
    if what == "report":
        return EXAMPLE_REPORT.read_text(encoding="utf-8")
    program, *arguments = what.removeprefix("help: ").split()
    return subprocess.run(
        [Path(sys.executable).parent / program, *arguments],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "COLUMNS": "100"},
        check=True,
    ).stdout


if __name__ == "__main__":
    README.write_text(with_real_blocks(README.read_text(encoding="utf-8")), encoding="utf-8")
