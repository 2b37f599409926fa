"""`kraken-plan compile`: options -> catalog -> plan -> file -> exit code."""

import gc
import logging
import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from kraken_plan.output_files import STDOUT, refuse_what_is_no_plan, write_plan_output
from kraken_plan.views.compile_text import compile_summary, error_lines
from planner.build_plan import build_download_plan
from planner.find_records import find_records
from planner.ids_file import read_ids_file
from planner.open_catalog import open_catalog
from planner.raw_file_ids import AskedText, split_at_commas
from planner.search import Search
from schemas.errors import ConfigError
from schemas.plan_file import serialized_plan
from schemas.s3_probe import S3Probe
from schemas.site_config import load_site_config

logger = logging.getLogger(__name__)

_NOTHING_ASKED = "no raw files are asked for: give their ids, --ids-file FILE or --project PRID"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileOptions:
    """What the command line asks for."""

    raw_file_ids: tuple[str, ...]
    ids_file: str | None
    ids_column: str | None
    project: tuple[str, ...]
    catalog: str | None
    config: str | None
    output_root: str | None
    probe_s3: bool
    output: str


@click.command(
    "compile",
    epilog="""\b
Exit codes:
  0    everything could be resolved
  1    the plan is written, but something in it could not be resolved (it is named)
  2    refused (with --probe-s3 also where S3 gives no answer): nothing is written, an earlier plan file stays as it was
  130  interrupted: the same

\b
Examples:
  kraken-plan compile 20250115_a.d 20250116_b.raw --config alphakraken.prod.yaml -o plan.json
  kraken-plan compile --ids-file ids.txt --catalog raw_file.jsonl --output-root /mnt/x -o plan.json
  kraken-plan compile --project PRID001 --config alphakraken.prod.yaml > plan.json
  kraken-plan compile --project PRID001 --config alphakraken.prod.yaml --probe-s3 -o plan.json

A password is better kept off the command line: set KRAKEN_PLAN_CATALOG to the URI, or MONGO_HOST, MONGO_PORT,
MONGO_USER and MONGO_PASSWORD as AlphaKraken does. A user with the role `read` is enough.
""",
)
@click.argument("raw_file_ids", metavar="[ID]...", nargs=-1)
@click.option(
    "--ids-file",
    metavar="FILE",
    help="Read ids from FILE (- is stdin): one or more a line, # begins a comment. Lists of names or paths and "
    "CSV tables from AlphaKraken's web app are read as they are.",
)
@click.option("--ids-column", metavar="NAME", help="FILE is CSV, and its column NAME holds the ids.")
@click.option("--project", metavar="PRID", multiple=True, help="Take all raw files of a project.")
@click.option(
    "--catalog",
    envvar="KRAKEN_PLAN_CATALOG",
    show_envvar=True,
    metavar="URI|FILE",
    help="MongoDB URI, or a file that mongoexport wrote. If not given, MONGO_HOST and its like are used.",
)
@click.option(
    "--config", envvar="KRAKEN_PLAN_CONFIG", show_envvar=True, metavar="YAML", help="The site's alphakraken.<env>.yaml."
)
@click.option(
    "--output-root",
    envvar="KRAKEN_PLAN_OUTPUT_ROOT",
    show_envvar=True,
    metavar="DIR",
    help="Restore below DIR in place of the site's output location.",
)
@click.option(
    "--probe-s3",
    is_flag=True,
    help="Ask S3 for every file: that it is missing, different, archived or denied stands in the plan as its error; of "
    "all others the version that is there now is pinned.",
)
@click.option("-o", "--output", metavar="FILE", default=STDOUT, help="Write the plan to FILE, whole or not at all.")
@click.pass_obj
def compile_command(probe: S3Probe, /, **options: object) -> None:
    """Make a plan that restores the raw files with these IDs (separated by spaces or commas).

    Everything is resolved here, out of the catalog, which is only read: buckets, keys, etags, sizes, destinations.
    Without -o the plan goes to stdout.
    """
    sys.exit(_compile(CompileOptions(**options), datetime.now(UTC), probe))  # type: ignore[arg-type]  # click checked the types


def _compile(options: CompileOptions, now: datetime, probe: S3Probe) -> int:
    gc.disable()  # millions of values and no cycles among them: looking for some took a quarter of the time
    texts = [AskedText(argument) for argument in options.raw_file_ids]
    if options.ids_file is not None:
        texts += read_ids_file(options.ids_file, options.ids_column)
    search = Search(project_ids=tuple(split_at_commas(options.project)))
    if not texts and search.is_empty:
        raise ConfigError(_NOTHING_ASKED)
    site = load_site_config(options.config, options.output_root)
    if options.output != STDOUT:
        refuse_what_is_no_plan(Path(options.output))
    with open_catalog(options.catalog, os.environ) as catalog:
        found = find_records(catalog, texts, search)
        if not found.raw_file_ids and search.is_empty:
            raise ConfigError(_NOTHING_ASKED)
        plan = build_download_plan(
            found.raw_file_ids,
            found.records,
            site=site,
            catalog_description=catalog.description,
            created_at=now,
        )
    if next(plan.planned_files(), None) is None:
        raise ConfigError(
            "\n".join(["nothing of this can be restored, so no plan was written:", *error_lines(plan, found)])
        )
    if options.probe_s3:
        plan = probe(plan)
    write_plan_output(serialized_plan(plan), options.output)
    if logger.isEnabledFor(logging.WARNING):
        click.echo("\n".join(compile_summary(plan, found)), err=True)
    return 1 if plan.has_errors() else 0
