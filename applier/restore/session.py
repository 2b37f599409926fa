"""Prepares a plan for status or apply: checks the site policy, opens the output location, connects to S3."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from applier.disk.folders import OutputFolder, open_output_location
from applier.restore.jobs import allowed_jobs, default_jobs
from applier.restore.output_root import reroot_plan
from applier.restore.site_policy import SitePolicy, absolute_roots
from applier.s3.bandwidth import BandwidthLimit
from applier.s3.fetcher import Fetcher, RetryPolicy
from applier.s3.outage import OutageWatch
from schemas.plan import Plan

if TYPE_CHECKING:
    from applier.s3.boto_store import BotoStore
    from applier.s3.protocol import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceSettings:
    """Where a plan may restore to.

    Args:
        output_root: a folder to restore below instead of the plan's output location.
        config: path of the site's YAML, to check the plan against.
        allowed_roots: further folders that the plan may restore below.
    """

    output_root: str | None = None
    config: str | None = None
    allowed_roots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Choice:
    """Which S3 to ask; what is not None takes precedence over the plan and the AWS chain.

    Args:
        endpoint_url: the server.
        region: AWS region.
        profile: name of an AWS profile.
    """

    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """Which destination, which S3, and how hard to try.

    Args:
        plan_name: how the user named the plan, for messages.
        jobs: how many things to do at once, as far as the system allows it; None for as many as suit the plan.
        place: where the plan may restore to.
        s3: which S3 to ask.
        retries: how often a request is repeated after a transient fault.
        timeout_seconds: how long S3 may be silent before a request is repeated.
        max_outage_seconds: how long to wait for an S3 that does not answer at all.
    """

    plan_name: str
    jobs: int | None
    place: PlaceSettings
    s3: S3Choice
    retries: int
    timeout_seconds: float
    max_outage_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A plan with everything that it takes to carry it out.

    Args:
        plan: with its destinations moved, if the settings say so.
        output: its output location, open.
        fetcher: asks its S3 and fetches from it.
        jobs: how many things to do at once.
        boto: sends requests for which the fetcher has no method.
    """

    plan: Plan
    output: OutputFolder
    fetcher: Fetcher
    jobs: int
    boto: "BotoStore"


@contextmanager
def open_session(
    reviewed: Plan, settings: SessionSettings, stop: threading.Event, limit: BandwidthLimit | None = None
) -> Iterator[Session]:
    """Prepare a plan, and change nothing.

    Args:
        reviewed: the plan as it was read.
        settings: which S3, which destination, how hard to try.
        stop: set when the run is to stop.
        limit: on the bytes fetched a second.

    Raises:
        KrakenPlanError: the plan is not allowed here, its S3 is misconfigured, or its output location cannot be used.
    """
    place = settings.place
    plan = reviewed if place.output_root is None else reroot_plan(reviewed, place.output_root)
    trusted = _policy(settings).trusted_folder(plan, settings.plan_name)
    jobs = allowed_jobs(settings.jobs, default_jobs(plan.totals()))
    boto, store = _connect(plan, settings, jobs)
    with open_output_location(plan.output_location, trusted) as output:
        retry = RetryPolicy(attempts=settings.retries + 1)
        outage = OutageWatch(settings.max_outage_seconds)
        fetcher = Fetcher(store=store, retry=retry, stop=stop, limit=limit, outage=outage)
        yield Session(plan=plan, output=output, fetcher=fetcher, jobs=jobs, boto=boto)


def _policy(settings: SessionSettings) -> SitePolicy:
    return SitePolicy(
        config=settings.place.config,
        allowed_roots=absolute_roots(settings.place.allowed_roots),
        own_output=settings.place.output_root is not None,
        own_endpoint=bool(settings.s3.endpoint_url),
    )


def _connect(plan: Plan, settings: SessionSettings, jobs: int) -> "tuple[BotoStore, ObjectStore]":
    """Return the plan's S3, by requests of our own and by the fast path: option > plan > AWS chain."""
    from applier.s3.aws_chain import S3Access  # noqa: PLC0415  # what is refused before costs no vendor
    from applier.s3.boto_store import BotoStore  # noqa: PLC0415
    from applier.s3.obstore_store import ObstoreStore  # noqa: PLC0415

    access = S3Access(
        region=settings.s3.region or plan.s3.region,
        endpoint_url=settings.s3.endpoint_url or plan.s3.endpoint_url,
        profile=settings.s3.profile,
        read_timeout_seconds=settings.timeout_seconds,
    )
    boto = BotoStore(access)
    return boto, ObstoreStore(boto, most_buckets=jobs)
