"""`kraken-plan doctor`: options -> a look at everything that a restore needs -> findings -> exit code."""

import json
import os
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from applier.checkup.access import check_s3
from applier.checkup.places import Place, check_buckets_and_places
from applier.checkup.program import check_program
from applier.finding import Finding, State, refused, right, unknown, warning, wrong
from applier.restore.output_root import reroot_plan
from applier.restore.site_policy import SitePolicy
from kraken_plan.console import say_unless_quiet
from kraken_plan.kept_results import find_state_folder, state_dir_option
from kraken_plan.options.approvals import explain_other_root, load_approvals, site_rules
from kraken_plan.options.origins import SettingOrigin, find_origins
from kraken_plan.options.plan_options import site_option
from kraken_plan.options.run_options import output_root_option
from kraken_plan.views.doctor_text import finding_lines, findings_as_records, verdict
from kraken_plan.views.terminal import stdout_paint, stdout_width
from planner.catalog import CatalogAccess
from planner.open_catalog import open_catalog
from planner.records import parse_record
from planner.search import Search
from schemas.errors import KrakenPlanError
from schemas.plan import Plan
from schemas.plan_source import STDIN, load_plan, plan_name
from schemas.s3_location import reconstruct_s3_paths
from schemas.text import counted, printable

if TYPE_CHECKING:
    from applier.s3.aws_chain import S3Access
    from schemas.site.config import SiteConfig

_TIMEOUT_SECONDS = 10.0  # somebody is waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorOptions:
    """What the command line asks for."""

    plan: str | None
    config: str | None
    catalog: str | None
    output_root: str | None
    endpoint_url: str | None
    region: str | None
    profile: str | None
    state_dir: Path | None
    settings: bool
    as_json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    """What is looked at.

    Args:
        plan: with its destinations moved, if the options say so; None without one.
        site: the site's settings; None without a YAML.
        output_location: where restores go to; None if nothing says so.
        reviewed_location: where the plan says; None without one.
    """

    plan: Plan | None
    site: "SiteConfig | None"
    output_location: str | None
    reviewed_location: str | None = None


@click.command(
    "doctor",
    epilog="""\b
Exit codes:
  0  nothing is wrong; there may be warnings
  1  something is wrong (it is named, with what to do)
  2  refused: the plan or the site YAML cannot be read

\b
Examples:
  kraken-plan doctor
  kraken-plan doctor --config alphakraken.prod.yaml
  kraken-plan doctor plan.json --config alphakraken.prod.yaml
  kraken-plan doctor --config alphakraken.prod.yaml --json | jq -r '.findings[] | select(.state == "wrong") | .found'

Looks at whatever is named: without a plan and a site YAML, at the program, its settings, credentials and S3. To try out
a destination, it makes a folder there, which it removes at the end. Nothing else is written, to the catalog and to S3
nothing at all.
""",
)
@click.argument("plan", metavar="[PLAN]", required=False)
@site_option("where restores go to, S3, and what the site sets")
@click.option(
    "--catalog",
    envvar="KRAKEN_PLAN_CATALOG",
    show_envvar=True,
    metavar="URI|FILE",
    help="The catalog. If not given, MONGO_HOST and its like are used.",
)
@output_root_option
@click.option(
    "--endpoint-url", metavar="URL", help="S3 server; takes precedence over the plan's, the site's and the AWS chain's."
)
@click.option("--region", help="AWS region.")
@click.option("--profile", help="Profile in the AWS configuration.")
@state_dir_option
@click.option("--settings", is_flag=True, help="Show the settings that have their defaults, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.pass_context
def doctor_command(context: click.Context, /, **options: object) -> None:
    """Check that all that a restore needs is there, and say what to do about the rest.

    Program, settings and where they come from, catalog, credentials, S3 and its clock, and the destination: mounts,
    rights, space, locks. With PLAN, also its buckets, its destinations, and the space that it needs.
    """
    sys.exit(_doctor(context, DoctorOptions(**options)))  # type: ignore[arg-type]  # click checked the types


def _doctor(context: click.Context, options: DoctorOptions) -> int:
    subject = _subject(options)
    settings = list(_settings(context, options))
    findings: list[Finding] = []
    for finding in _look(subject, settings, options):
        findings.append(finding)
        if not options.as_json:  # at once: some of it takes its time
            click.echo("\n".join(finding_lines(finding, stdout_paint(), stdout_width())))
    if options.as_json:
        shown = [
            {"command": one.command, "option": one.option, "value": one.value, "origin": one.origin} for one in settings
        ]
        click.echo(json.dumps({"findings": findings_as_records(findings), "settings": shown}, indent=2))
    say_unless_quiet(verdict(findings))
    return 1 if any(finding.state is State.WRONG for finding in findings) else 0


def _subject(options: DoctorOptions) -> _Subject:
    """Return what is looked at.

    Raises:
        KrakenPlanError: the plan or the site YAML cannot be read.
    """
    site = None
    if options.config is not None:
        from schemas.site.config import read_site_config  # noqa: PLC0415  # yaml, if there is a YAML

        site = read_site_config(options.config)
    if options.plan is None:
        of_site = None if site is None else site.output_location
        return _Subject(plan=None, site=site, output_location=options.output_root or of_site)
    reviewed = load_plan(options.plan)
    plan = reviewed if options.output_root is None else reroot_plan(reviewed, options.output_root)
    return _Subject(
        plan=plan, site=site, output_location=plan.output_location, reviewed_location=reviewed.output_location
    )


def _settings(context: click.Context, options: DoctorOptions) -> Iterator[SettingOrigin]:
    """Yield the settings that compile and apply would have here."""
    config = [] if options.config is None else ["--config", options.config]
    for command in ("compile", "apply"):
        yield from find_origins(context, command, [*config, "x"])


def _look(subject: _Subject, settings: list[SettingOrigin], options: DoctorOptions) -> Iterator[Finding]:
    yield from check_program(find_state_folder(options.state_dir))
    for one in settings:
        if options.settings or not one.is_default:
            yield right("setting", printable(f"{one.command} {one.option}: {one.value or '-'} ({one.origin})"))
    if subject.site is None:
        yield unknown("site", "no site YAML is named (--config or KRAKEN_PLAN_CONFIG)")
    else:
        name, location = printable(subject.site.name or ""), printable(subject.site.output_location)
        yield right("site", f"{name}: restores go to {location}")
    trusted = yield from _check_policy(subject, options)
    yield from _check_approvals(subject, options)
    buckets = yield from _check_catalog(options)
    store = yield from check_s3(_access(subject, options), lambda: datetime.now(UTC))
    place = Place(plan=subject.plan, output_location=subject.output_location, trusted=trusted)
    yield from check_buckets_and_places(place, store, buckets)


def _access(subject: _Subject, options: DoctorOptions) -> "S3Access":
    """Return how S3 is reached: option > plan or site YAML > AWS chain."""
    from applier.s3.aws_chain import S3Access  # noqa: PLC0415  # boto3 takes its time

    named = subject.plan.s3 if subject.plan is not None else subject.site
    return S3Access(
        region=options.region or (named.region if named else None),
        endpoint_url=options.endpoint_url or (named.endpoint_url if named else None),
        profile=options.profile,
        read_timeout_seconds=_TIMEOUT_SECONDS,
    )


def _check_policy(subject: _Subject, options: DoctorOptions) -> Generator[Finding, None, str | None]:
    """Check whether the plan keeps to what the site says; return the folder that no link may lead out of."""
    if subject.plan is None:
        return None
    name = plan_name(options.plan or STDIN)
    policy = SitePolicy(
        config=options.config,
        allowed_roots=(),
        own_output=options.output_root is not None,
        own_endpoint=bool(options.endpoint_url),
    )
    try:
        trusted = policy.trusted_folder(subject.plan, name)
    except KrakenPlanError as error:
        yield refused("plan", error)
        return None
    yield right("plan", f"{name}, {subject.plan.plan_digest}")
    return trusted


def _check_approvals(subject: _Subject, options: DoctorOptions) -> Iterator[Finding]:
    """Check that approvals can be checked, and those of the plan, where the site asks for some."""
    for rule in site_rules(options.config):
        from applier.approvals.check_approvals import require_approvals  # noqa: PLC0415  # most sites ask for none
        from applier.approvals.ssh_keygen import find_program  # noqa: PLC0415
        from applier.approvals.trusted_keys import TrustedKeys  # noqa: PLC0415

        try:
            find_program()
            TrustedKeys(allowed_signers=rule.allowed_signers, revoked_keys=rule.revoked_keys).check_readable()
            if subject.plan is None or options.plan in {None, STDIN}:
                yield right("approvals", f"every plan needs {counted(rule.required, 'approval')}")
                continue
            name, digest = plan_name(options.plan or STDIN), subject.plan.plan_digest or ""
            approvals = load_approvals(options.plan or STDIN, None)
            valid = require_approvals(digest, approvals, rule, datetime.now(UTC), name)
            explain_other_root(subject.reviewed_location or "", options.output_root, options.config)
            yield right("approvals", "; ".join(one.describe() for one in valid))
        except KrakenPlanError as error:
            yield refused("approvals", error)


def _check_catalog(options: DoctorOptions) -> Generator[Finding, None, tuple[str, ...]]:
    """Read one raw file of the catalog; return the bucket that it is in."""
    if options.catalog is None and not os.environ.get("MONGO_HOST"):
        yield unknown("catalog", "none is named (--catalog, KRAKEN_PLAN_CATALOG or MONGO_HOST)")
        return ()
    try:
        with open_catalog(options.catalog, os.environ) as catalog:
            document = next(iter(catalog.search(Search())), None)
            access, name = catalog.ask_access(), catalog.description
    except KrakenPlanError as error:
        yield refused("catalog", error)
        return ()
    if document is None:
        yield wrong("catalog", f"{name} holds no raw files", "is this the right database and collection?")
        return ()
    record = parse_record(document)
    version = f" (version {printable(access.server, 60)})" if access is not None and access.server else ""
    yield right("catalog", f"{name}{version} can be read, for example {printable(record.raw_file_id, 100)}")
    if access is not None:
        yield _role(access)
    try:
        return (reconstruct_s3_paths(record.s3_upload_path or "", ())[0],)
    except ValueError:  # this one was never uploaded
        return ()


def _role(access: CatalogAccess) -> Finding:
    user = printable(access.user or "nobody", 100)
    if access.may_write is None:
        return unknown("role", f"the server does not say what {user} may do")
    if not access.may_write:
        return right("role", f"{user} may only read it")
    who = f"{user} may write to it" if access.user else "it asks for no login: whoever reaches it may write to it"
    return warning("role", who, "the role `read` is enough, and safer")
