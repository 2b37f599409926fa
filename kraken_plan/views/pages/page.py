"""Renders one self-contained HTML document: no network, no other files, and no script that could run but our own.

Takes texts and tables; knows neither plans nor diffs. Every value is escaped by the template engine, or packed where a
browser reads no markup; a Content-Security-Policy with the hashes of our script and style forbids the rest. Without
JavaScript, everything but the big table still shows.
"""

import base64
import gzip
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from kraken_plan.views.plan_sections import Section
from kraken_plan.views.table import Column, Tone, Toned
from schemas.version import CREATED_BY

if TYPE_CHECKING:
    import jinja2


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number that readers should see first.

    Args:
        label: what the number counts.
        value: the number as text.
        note: more about it.
        tone: whether it is good or bad news.
    """

    label: str
    value: str
    note: str = ""
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How a line of the big table is marked.

    Args:
        words: the state in words, with a tone.
        mark: a sign that says the same without colour.
        weighs: whether the bytes of such files are counted.
    """

    words: Toned
    mark: str
    weighs: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the big table: a file.

    Args:
        name: its name.
        state: one of the table's states.
        detail: more about it, such as where it comes from.
        note: what is wrong with it, or what changed.
        size_bytes: its size; None where it is unknown or there is none.
    """

    name: str
    state: State
    detail: str = ""
    note: str = ""
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A line of the big table with others folded into it: a raw file.

    Args:
        head: the line itself.
        label: what it is filtered by, its project.
        rows: the lines folded into it.
    """

    head: Row
    label: str
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class BigTable:
    """Raw files with their files folded in, to filter and sort; there may be a million rows.

    Args:
        title: its heading.
        states: all that occur, the most important first.
        groups: the raw files.
        size_words: what the bytes of all rows that weigh stand for, such as "to restore".
        group_noun, row_noun, label_noun: what a group, a row and a label are, in the singular.
    """

    title: str
    states: Sequence[State]
    groups: Iterable[Group]
    size_words: str
    group_noun: str = "raw file"
    row_noun: str = "file"
    label_noun: str = "project"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything that a page shows, from top to bottom; every text is printable.

    Args:
        title: what the page is.
        subtitle: what it is about.
        figures: the numbers to see first.
        facts: labels and values.
        sections: short tables.
        table: the big one.
        below_title: the heading of what stands below the big table.
        below_facts: labels and values, there.
        below_sections: short tables, there.
    """

    title: str
    subtitle: str
    figures: Sequence[Figure] = ()
    facts: Sequence[tuple[str, str]] = ()
    sections: Sequence[Section] = ()
    table: BigTable | None = None
    below_title: str = ""
    below_facts: Sequence[tuple[str, str]] = ()
    below_sections: Sequence[Section] = ()


def render_page(page: Page) -> bytes:
    """Return the HTML document of a page; the same page always gives the same document."""
    script, style = _part("page.js"), _part("page.css")
    html = _template().render(
        page=page,
        policy=f"default-src 'none'; script-src {_source(script)}; style-src {_source(style)}; "
        "base-uri 'none'; form-action 'none'",
        script=script,
        style=style,
        data=None if page.table is None else _packed(page.table),
        created_by=CREATED_BY,
        column_class=_column_class,
        tone_class=_tone_class,
    )
    return html.encode()


def _packed(table: BigTable) -> str:
    """Return a table's data as the script reads it: JSON with a list per column, in gzip, in base64."""
    document = json.dumps(_columns(table), ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(document.encode(), 6, mtime=0)).decode("ascii")


def _columns(table: BigTable) -> dict[str, object]:
    ranks = {state: rank for rank, state in enumerate(table.states)}
    labels: dict[str, int] = {}
    groups, rows = _RowColumns(), _RowColumns()
    group_labels: list[int] = []
    counts: list[int] = []
    for group in table.groups:
        groups.add(group.head, ranks)
        group_labels.append(labels.setdefault(group.label, len(labels)))
        counts.append(len(group.rows))
        for row in group.rows:
            rows.add(row, ranks)
    return {
        "states": [
            {
                "text": state.words.text,
                "tone": _tone_class(state.words),
                "mark": state.mark,
                "weighs": state.weighs,
            }
            for state in table.states
        ],
        "labels": list(labels),
        "sizeWords": table.size_words,
        "groupNoun": table.group_noun,
        "rowNoun": table.row_noun,
        "labelNoun": table.label_noun,
        "groups": {**groups.as_json(), "label": group_labels, "count": counts},
        "rows": rows.as_json(),
    }


class _RowColumns:
    """Rows, turned into a list per column."""

    def __init__(self) -> None:
        self._columns: dict[str, list[object]] = {"name": [], "state": [], "detail": [], "note": [], "size": []}

    def add(self, row: Row, ranks: dict[State, int]) -> None:
        for column, value in zip(
            self._columns.values(),
            (row.name, ranks[row.state], row.detail, row.note, row.size_bytes),
            strict=True,
        ):
            column.append(value)

    def as_json(self) -> dict[str, list[object]]:
        return self._columns


def _column_class(column: Column) -> str:
    return "right" if column.right else ""


def _tone_class(cell: object) -> str:
    tone = cell.tone if isinstance(cell, Toned | Figure) else Tone.PLAIN
    return f"tone-{tone.name.lower()}"


def _source(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode('ascii')}'"


def _part(name: str) -> str:
    return resources.files("kraken_plan.views.pages").joinpath(name).read_text(encoding="utf-8")


@cache
def _template() -> "jinja2.Template":
    import jinja2  # noqa: PLC0415  # slow to load, and only pages need it

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_part("page.html"))
