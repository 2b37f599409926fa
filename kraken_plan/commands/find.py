"""`kraken-plan find`: what a search finds in the catalog, as a table, as JSON, or as ids for compile."""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import click

from kraken_plan.options.catalog_options import CatalogOptions, catalog_options
from kraken_plan.options.plan_options import site_option
from kraken_plan.views.found_raw_files import found_as_json, found_lines
from kraken_plan.views.terminal import stdout_paint, write_all
from planner.open_catalog import open_catalog
from planner.records import FoundRawFile, summarize_document
from schemas.errors import CatalogError, ConfigError
from schemas.text import shown_on


@dataclass(frozen=True, slots=True, kw_only=True)
class FindOptions(CatalogOptions):
    """What the command line asks for."""

    config: str | None
    as_json: bool
    ids: bool


@click.command(
    "find",
    epilog="""\b
Exit codes:
  0  something was found
  1  nothing was found
  2  refused: the catalog cannot be read, or nothing is asked for

\b
Examples:
  kraken-plan find --project PRID001
  kraken-plan find --instrument astral1 --since 2025-01-01 --until 2025-01-31
  kraken-plan find --match '*_hela_*.raw' --json | jq .size_bytes
  kraken-plan find --project PRID001 --match '*.d' --ids | kraken-plan compile --ids-file - -o plan.json

Several values of one option widen the search, several options narrow it. compile takes the same options. The order is
the catalog's. A million raw files are listed as they come: nothing of them is kept.
""",
)
@catalog_options
@site_option("defaults for options, such as the catalog")
@click.option("--json", "as_json", is_flag=True, help="JSON lines for programs, one for each raw file.")
@click.option("--ids", is_flag=True, help="The ids alone, one a line, as compile --ids-file reads them.")
def find_command(**options: object) -> None:
    """List raw files of the catalog, which is only read: by project, instrument, date and pattern.

    For each: id, project, instrument, when it was acquired, files, size, and how its last upload ended.
    """
    sys.exit(_find(FindOptions(**options)))  # type: ignore[arg-type]  # click checked the types


def _find(options: FindOptions) -> int:
    if options.as_json and options.ids:
        raise click.UsageError("--json and --ids are two forms of one list: give one of them")
    search = options.search
    if search.is_empty:
        raise ConfigError("nothing is asked for: give --project, --instrument, --since, --until or --match")
    with open_catalog(options.catalog, os.environ) as catalog:
        found = map(summarize_document, catalog.search(search))
        first = next(found, None)
        if first is None:
            if catalog.is_empty():
                raise CatalogError(f"catalog {catalog.description} holds no raw files at all")
            click.echo(f"catalog {catalog.description} has no raw files of {search}", err=True)
            return 1
        write_all(_lines(chain([first], found), options))
    return 0


def _lines(found: Iterator[FoundRawFile], options: FindOptions) -> Iterator[str]:
    if options.ids:
        return (f"{shown_on(sys.stdout, raw_file.raw_file_id)}\n" for raw_file in found)
    return found_as_json(found) if options.as_json else found_lines(found, stdout_paint())
