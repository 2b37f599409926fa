"""`kraken-plan compile`: options -> catalog -> plan -> file -> exit code."""

import gc
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from kraken_plan.output_files import STDOUT, refuse_anything_but_a_plan, write_plan_output
from planner.build_plan import build_download_plan
from planner.catalog import Catalog
from planner.open_catalog import open_catalog
from planner.raw_file_ids import ids_from_arguments, merge_ids, read_ids_file
from planner.records import RawFileRecord, parse_record
from schemas.errors import CatalogError, ConfigError
from schemas.plan import Plan, UnresolvedFile
from schemas.plan_file import serialize_plan
from schemas.site_config import load_site_config
from schemas.text import counted, printable

logger = logging.getLogger(__name__)

_MAX_NAMED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileOptions:
    """What the command line asks for."""

    raw_file_ids: tuple[str, ...]
    ids_file: str | None
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
@click.option("--ids-file", metavar="FILE", help="Read ids from FILE (- is stdin): one or more a line, # comments.")
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
def compile_command(**options: object) -> None:
    """Make a plan that restores the raw files with these IDs (separated by spaces or commas).

    Everything is resolved here, out of the catalog, which is only read: buckets, keys, etags, sizes, destinations.
    Without -o the plan goes to stdout.
    """
    sys.exit(_compile(CompileOptions(**options), datetime.now(UTC)))  # type: ignore[arg-type]  # click checked the types


def _compile(options: CompileOptions, now: datetime) -> int:
    gc.disable()  # millions of values and no cycles among them: looking for some took a quarter of the time
    from_file = read_ids_file(options.ids_file) if options.ids_file is not None else []
    raw_file_ids = merge_ids(ids_from_arguments(options.raw_file_ids), from_file)
    project_ids = tuple(ids_from_arguments(options.project))
    if not raw_file_ids and not project_ids:
        raise ConfigError("no raw files are asked for: give their ids, --ids-file FILE or --project PRID")
    site = load_site_config(options.config, options.output_root)
    if options.output != STDOUT:
        refuse_anything_but_a_plan(Path(options.output))
    with open_catalog(options.catalog, os.environ) as catalog:
        plan = build_download_plan(
            raw_file_ids,
            _find_records(catalog, raw_file_ids, project_ids),
            site=site,
            catalog_description=catalog.description,
            created_at=now,
        )
    if options.probe_s3:
        from applier.restore.probe import probe_plan  # noqa: PLC0415  # loads S3, which other compiles do not need

        plan = probe_plan(plan)
    write_plan_output(serialize_plan(plan), options.output)
    if logger.isEnabledFor(logging.WARNING):
        click.echo("\n".join(_summary(plan)), err=True)
    return 1 if plan.has_errors() else 0


def _find_records(catalog: Catalog, raw_file_ids: Sequence[str], project_ids: Sequence[str]) -> Iterator[RawFileRecord]:
    """Yield the records of these raw files, then the projects'.

    Raises:
        CatalogError: it cannot be read, or has nothing of a project.
    """
    logger.info("reading %s from %s", counted(len(raw_file_ids), "raw file"), catalog.description)
    yield from map(parse_record, catalog.find_by_ids(raw_file_ids))
    for project_id in project_ids:
        logger.info("reading project %s from %s", project_id, catalog.description)
        found = False
        for document in catalog.find_by_project(project_id):
            found = True
            yield parse_record(document)
        if not found:
            raise CatalogError(f"catalog {catalog.description} has no raw files of project {printable(project_id)!r}")


def _summary(plan: Plan) -> Iterator[str]:
    """Yield in words what the plan holds and what could not be resolved."""
    totals = plan.totals()
    yield (
        f"{counted(totals.raw_files, 'raw file')} asked for; to be restored: {counted(totals.files, 'file')}, "
        f"{counted(totals.size_bytes, 'byte')}, below {printable(plan.output_location)}"
    )
    errors = list(_errors(plan))
    if errors:
        yield f"{len(errors):,} could not be resolved:"
        yield from (f"  {name}: {error}" for name, error in errors[:_MAX_NAMED])
    if len(errors) > _MAX_NAMED:
        yield f"  … and {len(errors) - _MAX_NAMED:,} more, see the plan"


def _errors(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield what could not be resolved, raw files and files, by name, with its reason; printable."""
    for raw_file in plan.raw_files:
        name = printable(raw_file.raw_file_id, 300)
        if raw_file.error is not None:
            yield name, printable(raw_file.error)
        for file in raw_file.files:
            if isinstance(file, UnresolvedFile):
                yield f"{name}: {printable(file.relative_path, 300)}", printable(file.error)
