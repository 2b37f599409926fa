"""A plan made ready to be looked at or applied: read, allowed here, its output location open, its S3 within reach."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from applier.access_options import AccessOptions
from applier.bandwidth import BandwidthLimit
from applier.boto_store import BotoStore, S3Access
from applier.fetch import Fetcher, RetryPolicy
from applier.folders import OutputFolder, open_output_location
from applier.jobs import allowed_jobs
from applier.obstore_store import ObstoreStore
from applier.output_root import reroot_plan
from applier.patience import Patience
from applier.signals import StopRequest, stop_on_signals
from applier.site_policy import SitePolicy, absolute_roots
from schemas.plan import Plan
from schemas.plan_source import plan_name


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPlan:
    """A plan with what it takes to carry it out.

    Args:
        plan: its destinations moved where --output-root says so.
        output: its output location.
        fetcher: asks and fetches from its S3.
        jobs: how many steps run at once.
        stop: whether the run was asked to stop.
    """

    plan: Plan
    output: OutputFolder
    fetcher: Fetcher
    jobs: int
    stop: StopRequest


@contextmanager
def open_plan(
    reviewed: Plan, options: AccessOptions, announce: Callable[[str], None], limit: BandwidthLimit | None = None
) -> Iterator[OpenPlan]:
    """Make a plan ready, changing nothing.

    Args:
        reviewed: the plan as it was read.
        options: of the command line.
        announce: told, in words, that the run is stopping.
        limit: of the bytes fetched a second.

    Raises:
        KrakenPlanError: the plan is not allowed here, its S3 is misconfigured, its output location cannot be used.
    """
    plan = reviewed if options.output_root is None else reroot_plan(reviewed, options.output_root)
    trusted = _policy(options).trusted_folder(plan, plan_name(options.plan))
    jobs = allowed_jobs(options.jobs)
    store = ObstoreStore(BotoStore(_access(plan, options)), most_buckets=jobs)
    with open_output_location(plan.output_location, trusted) as output, stop_on_signals(announce) as stop:
        retry = RetryPolicy(attempts=options.retries + 1)
        patience = Patience(options.max_outage)
        fetcher = Fetcher(store=store, retry=retry, stop=stop.event, limit=limit, patience=patience)
        yield OpenPlan(plan=plan, output=output, fetcher=fetcher, jobs=jobs, stop=stop)


def _policy(options: AccessOptions) -> SitePolicy:
    return SitePolicy(
        config=options.config,
        allowed_roots=absolute_roots(options.allow_output_root),
        own_output=options.output_root is not None,
        own_endpoint=options.endpoint_url is not None,
    )


def _access(plan: Plan, options: AccessOptions) -> S3Access:
    """Option > plan > AWS chain."""
    return S3Access(
        region=options.region or plan.s3.region,
        endpoint_url=options.endpoint_url or plan.s3.endpoint_url,
        profile=options.profile,
        read_timeout_seconds=options.timeout,
    )
