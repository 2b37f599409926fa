"""Checks the buckets and the destinations of a plan by the preflight of apply, and tries the destinations out."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from applier.checkup.try_destination import try_destination
from applier.disk.folders import OutputFolder, open_output_location
from applier.finding import Finding, refused, right, unknown, wrong
from applier.restore.jobs import DEFAULT_JOBS, allowed_jobs
from applier.restore.preflight import look_before_flight
from applier.s3.faults import S3Fault
from applier.s3.fetcher import Fetcher, RetryPolicy
from schemas.errors import KrakenPlanError
from schemas.paths import path_below
from schemas.plan import Plan
from schemas.text import printable

if TYPE_CHECKING:
    from applier.s3.boto_store import BotoStore

_MOST_DESTINATIONS = 20
_ATTEMPTS = 2  # somebody is waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where restores go to.

    Args:
        plan: with its destinations; None without one.
        output_location: what all of them are below; None if nothing names one.
        trusted: the folder that no link may lead out of; None for the output location itself.
    """

    plan: Plan | None
    output_location: str | None
    trusted: str | None = None


def check_buckets_and_places(place: Place, store: "BotoStore | None", buckets: Sequence[str]) -> Iterator[Finding]:
    """Check what a restore needs on both of its sides.

    Args:
        place: where restores go to.
        store: asks S3; None if it cannot be asked.
        buckets: to be checked where there is no plan.
    """
    if place.plan is None and store is not None:
        yield from (_bucket(store, bucket) for bucket in buckets)
    if place.output_location is None:
        yield unknown("destination", "none is named (PLAN, --config or --output-root)")
        return
    try:
        with open_output_location(place.output_location, place.trusted) as output:
            if place.plan is not None:
                yield from _preflight(place.plan, output, store)
            for destination in _destinations(place):
                yield from try_destination(output, destination)
    except KrakenPlanError as error:
        yield refused("destination", error)


def _bucket(store: "BotoStore", bucket: str) -> Finding:
    try:
        store.check_bucket(bucket)
    except S3Fault as fault:
        return wrong("bucket", fault.failure.message)
    return right("bucket", f"{printable(bucket)} is there")


def _preflight(plan: Plan, output: OutputFolder, store: "BotoStore | None") -> Iterator[Finding]:
    fetcher = None
    if store is not None:
        fetcher = Fetcher(store=store, retry=RetryPolicy(attempts=_ATTEMPTS), stop=threading.Event())
    yield from look_before_flight(plan, output, fetcher, allowed_jobs(DEFAULT_JOBS)).findings()


def _destinations(place: Place) -> list[str]:
    """Return the destinations to try out, relative to the output location."""
    location = place.output_location or ""
    named = {location} if place.plan is None else {one.destination_base or location for one in place.plan.raw_files}
    return [path_below(path, location) for path in sorted(named)[:_MOST_DESTINATIONS]]
