"""Renders what `make bench` has measured as a page of the docs."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from contest import Row

_HEAD = """# Measured beside its peers

Written by `make bench-docs` on {date}. kraken-plan verifies, fsyncs and reports what it restores; s5cmd and rclone only
copy. All run against one S3 server on the same machine, in turn, {rounds} rounds each. A ratio of 0.72 means that
kraken-plan took 72 % of the other's time: the median of the rounds, then the least and the most. The bar is what a
ratio should not exceed.

"""


def as_page(
    tables: Mapping[str, Sequence[Row]], titles: Mapping[str, str], surroundings: Sequence[str], rounds: int
) -> str:
    """Return the page.

    Args:
        tables: of each case, by its name; empty of one that was left out.
        titles: of the cases.
        surroundings: lines that say what ran where.
        rounds: how many counted.
    """
    head = _HEAD.format(date=f"{datetime.now(UTC):%Y-%m-%d}", rounds=rounds)
    lines = ["| restored | by | wall s | CPU s | MiB | ratio | bar |", "|---|---|--:|--:|--:|---|---|"]
    for name, rows in tables.items():
        for place, row in enumerate(rows):
            cells = [
                f"{titles[name]} (`{name}`)" if place == 0 else "",
                row.name,
                f"{row.wall_seconds:.2f}",
                f"{row.cpu_seconds:.2f}",
                f"{row.peak_mib:.0f}",
                row.described_ratio,
                row.described_bar.removeprefix("bar "),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    machine = "\n".join(f"- {line}" for line in surroundings)
    return f"{head}{chr(10).join(lines)}\n\n{machine}\n"
