"""Defines the options of the commands that look into the catalog: which catalog, and what to search it for."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from kraken_plan.options.plan_options import with_options
from planner.raw_file_ids import split_at_commas
from planner.search import Search, parse_since, parse_until
from schemas.text import writable

_Command = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogOptions:
    """Which catalog, and what to search it for."""

    catalog: str | None
    project: tuple[str, ...]
    instrument: tuple[str, ...]
    since: datetime | None
    until: datetime | None
    match: tuple[str, ...]

    @property
    def search(self) -> Search:
        """The same in the library's terms."""
        return Search(
            project_ids=tuple(split_at_commas(self.project)),
            instrument_ids=tuple(split_at_commas(self.instrument)),
            since=self.since,
            until=self.until,
            patterns=tuple(map(writable, self.match)),
        )


def _date(
    parse: Callable[[str], datetime], _context: click.Context, _parameter: click.Parameter, text: str | None
) -> datetime | None:
    try:
        return None if text is None else parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


_OPTIONS = (
    click.option("--project", metavar="PRID", multiple=True, help="Take raw files of these projects."),
    click.option(
        "--instrument",
        metavar="NAME",
        multiple=True,
        help="Take raw files from these instruments.",
    ),
    click.option(
        "--since",
        metavar="DATE",
        callback=functools.partial(_date, parse_since),
        help="Take raw files acquired on DATE or later: 2025-01-31, or 2025-01-31T12:00 (UTC).",
    ),
    click.option(
        "--until",
        metavar="DATE",
        callback=functools.partial(_date, parse_until),
        help="Take raw files acquired on DATE or earlier.",
    ),
    click.option(
        "--match",
        metavar="GLOB",
        multiple=True,
        help="Take raw files whose id matches a shell pattern, in quotes.",
    ),
    click.option(
        "--catalog",
        envvar="KRAKEN_PLAN_CATALOG",
        show_envvar=True,
        metavar="URI|FILE",
        help="MongoDB URI, or a file that mongoexport wrote; where the catalog is lost, compile and restore take "
        "s3://BUCKET[/PREFIX], too. If not given, MONGO_HOST and the like are used.",
    ),
)


def catalog_options(command: _Command) -> _Command:
    """Give a command the options of `CatalogOptions`."""
    return with_options(command, *_OPTIONS)
