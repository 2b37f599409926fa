"""`kraken-plan compile`: options -> catalog -> plan -> file -> exit code."""

import gc
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path

import click

from kraken_plan.console import say_unless_quiet
from kraken_plan.options.catalog_options import CatalogOptions, catalog_options
from kraken_plan.options.plan_options import plan_output_option, site_option
from kraken_plan.options.s3_choice import S3Options, with_chosen_s3
from kraken_plan.output_files import STDOUT, refuse_anything_but_a_plan, write_plan_output
from kraken_plan.views.compile_text import compile_summary, refusal, written_lines
from planner.build_plan import build_download_plan, with_default_project
from planner.find_records import NOTHING_LEFT_OUT, FoundRecords, LeftOut, find_records, leave_out_never_uploaded
from planner.ids_file import read_ids_file
from planner.listed_raw_files import LISTING_SCHEME, find_listed, parse_listing_address
from planner.open_catalog import open_catalog
from planner.raw_file_ids import AskedText
from planner.search import Search
from schemas.errors import ConfigError
from schemas.plan import Plan
from schemas.plan_file import find_stated_digest, serialize_plan
from schemas.site.config import SiteConfig, load_backup_config, load_site_config

_NOTHING_ASKED = (
    "no raw files are asked for: give their ids, --ids-file FILE or --project PRID (or --instrument, --since, --until, "
    "--match)"
)
_NO_ID_GIVEN = (
    "the ids or the ids file given name no raw files: leave both out to plan the whole bucket, or take some of "
    "it by --match GLOB"
)
_TO_BACKUP = "backup"
_PIECES_WITH_DIGEST = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileOptions(CatalogOptions):
    """What the command line asks for."""

    raw_file_ids: tuple[str, ...]
    ids_file: str | None
    ids_column: str | None
    default_project: str | None
    backed_up_only: bool
    config: str | None
    to: str
    output_root: str | None
    endpoint_url: str | None
    region: str | None
    profile: str | None
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
@catalog_options
@click.option(
    "--default-project",
    metavar="PRID",
    help="Restore raw files without a project (project_id is null, empty or missing) as of PRID, such as _FALLBACK.",
)
@click.option(
    "--backed-up-only",
    is_flag=True,
    help="Leave out raw files that were never uploaded to S3, and say how many and why.",
)
@site_option("where to restore to, S3, and defaults for options")
@click.option(
    "--to",
    type=click.Choice(["output", _TO_BACKUP]),
    default="output",
    show_default=True,
    help="Restore to the project's folder below the site's output location, or to where AlphaKraken keeps its backup.",
)
@click.option(
    "--output-root",
    envvar="KRAKEN_PLAN_OUTPUT_ROOT",
    show_envvar=True,
    metavar="DIR",
    help="Restore below DIR in place of the site's output (or backup) location.",
)
@click.option("--endpoint-url", metavar="URL", help="S3 server; takes precedence over the YAML's and the AWS chain's.")
@click.option("--region", help="AWS region; takes precedence over the YAML's.")
@click.option("--profile", help="Profile of the AWS configuration.")
@click.option(
    "--probe-s3",
    is_flag=True,
    help="Check every file on S3. Missing, changed and forbidden ones get an error in the plan, archived ones a note. "
    "All files without an error, archived ones included, are pinned to their current version.",
)
@plan_output_option
def compile_command(**options: object) -> None:
    """Make a plan that restores the raw files with these IDs.

    An ID may hold blanks and commas; several in one argument are separated by them. A path stands for its raw file.
    Everything is resolved here, out of the catalog, which is only read: buckets, keys, etags, sizes, destinations.
    Without -o the plan goes to stdout.
    """
    sys.exit(_compile(CompileOptions(**options), datetime.now(UTC)))  # type: ignore[arg-type]  # click checked the types


def _compile(options: CompileOptions, now: datetime) -> int:
    plan, summary = make_plan(options, now)
    pieces = serialize_plan(plan)
    begin = list(islice(pieces, _PIECES_WITH_DIGEST))
    write_plan_output(chain(begin, pieces), options.output)
    path = None if options.output == STDOUT else options.output
    say_unless_quiet("\n".join([*summary, *written_lines(path, find_stated_digest(b"".join(begin)))]))
    return 1 if plan.has_errors() else 0


def make_plan(options: CompileOptions, now: datetime) -> tuple[Plan, Iterator[str]]:
    """Return the plan that the options ask for, and in words what it holds.

    Raises:
        KrakenPlanError: there is none.
    """
    gc.disable()  # millions of values and no cycles among them: looking for some took a quarter of the time
    texts = [AskedText(argument) for argument in options.raw_file_ids]
    if options.ids_file is not None:
        texts += read_ids_file(options.ids_file, options.ids_column)
    elif options.ids_column is not None:
        raise ConfigError("--ids-column names a column of --ids-file FILE: give that, too")
    search = _search(options)
    is_bucket = (options.catalog or "").startswith(LISTING_SCHEME)
    if not texts and search.is_empty and not is_bucket:
        raise ConfigError(_NOTHING_ASKED)
    site = _site(options)
    if options.output != STDOUT:
        refuse_anything_but_a_plan(Path(options.output))
    look = _list_bucket if is_bucket else _ask_catalog
    found, description = look(options, site, texts, search)
    found, left_out = _kept(found, options)
    plan = build_download_plan(
        found.raw_file_ids, found.records, site=site, catalog_description=description, created_at=now
    )
    if options.probe_s3 and _restores_something(plan):
        plan = _probed(plan, options.profile)
    if not _restores_something(plan):
        raise ConfigError("\n".join(refusal(plan, found, left_out)))
    return plan, compile_summary(plan, found, left_out)


def _search(options: CompileOptions) -> Search:
    """Return what is searched for; raw files without a project belong to the default one."""
    search = options.search
    if options.default_project is not None and options.default_project in search.project_ids:
        search = replace(search, project_ids=(*search.project_ids, None))
    return search


def _ask_catalog(
    options: CompileOptions, _site: SiteConfig, texts: Sequence[AskedText], search: Search
) -> tuple[FoundRecords, str]:
    """Return what the catalog has of what is asked for, and what it is."""
    with open_catalog(options.catalog, os.environ) as catalog:
        found = find_records(catalog, texts, search)
        if not found.raw_file_ids and search.is_empty:
            raise ConfigError(_NOTHING_ASKED)
        return found, catalog.description


def _list_bucket(
    options: CompileOptions, site: SiteConfig, texts: Sequence[AskedText], search: Search
) -> tuple[FoundRecords, str]:
    """Return what a bucket has of what is asked for, and what it is: for a catalog that is lost."""
    project_ids = [name for name in search.project_ids if name is not None]
    if len(project_ids) != 1:
        raise ConfigError("--catalog s3://… takes one --project PRID: a bucket does not say which project it is of")
    if search.instrument_ids or search.since or search.until:
        raise ConfigError("--catalog s3://… knows neither instruments nor dates: select by ids, --match or a prefix")
    place = parse_listing_address(options.catalog or "")
    from applier.s3.aws_chain import S3Access  # noqa: PLC0415  # boto3 takes its time
    from applier.s3.boto_store import BotoStore  # noqa: PLC0415
    from applier.s3.lists.bucket_listing import S3BucketListing  # noqa: PLC0415

    access = S3Access(region=site.region, endpoint_url=site.endpoint_url, profile=options.profile)
    listing = S3BucketListing(BotoStore(access), place)
    asks_for_ids = bool(options.raw_file_ids) or options.ids_file is not None
    found = find_listed(listing, project_ids[0], texts if asks_for_ids else None, Search(patterns=search.patterns))
    if not found.raw_file_ids and not found.records:
        raise ConfigError(_NO_ID_GIVEN)
    return found, f"listing of {place}, for whose etags nothing but S3 itself vouches"


def _site(options: CompileOptions) -> SiteConfig:
    load = load_backup_config if options.to == _TO_BACKUP else load_site_config
    s3 = S3Options(endpoint_url=options.endpoint_url, region=options.region, profile=options.profile)
    return with_chosen_s3(load(options.config, options.output_root), s3, os.environ)


def _kept(found: FoundRecords, options: CompileOptions) -> tuple[FoundRecords, LeftOut]:
    """Return what is planned of what was found, and what is left out on request."""
    if options.default_project is not None:
        records = (with_default_project(record, options.default_project) for record in found.records)
        found = replace(found, records=tuple(records))
    return leave_out_never_uploaded(found) if options.backed_up_only else (found, NOTHING_LEFT_OUT)


def _restores_something(plan: Plan) -> bool:
    return next(plan.planned_files(), None) is not None


def _probed(plan: Plan, profile: str | None) -> Plan:
    from applier.look.probe import probe_plan  # noqa: PLC0415  # botocore and obstore take their time

    return probe_plan(plan, profile)
