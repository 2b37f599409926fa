"""Says what a run is about to do: what it restores, from which S3, to where. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kraken_plan.views.plan_sections import restored_text
from schemas.plan import Plan
from schemas.text import counted, counted_span, printable

_MOST_DESTINATIONS = 3
_TIMESTAMP_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Name:
    """Which S3 a run asks, and as whom.

    Args:
        endpoint_url: the server.
        region: of its default address.
        credentials: where they come from, without anything secret.
    """

    endpoint_url: str
    region: str
    credentials: str

    def __str__(self) -> str:
        return printable(f"{self.endpoint_url} (region {self.region}, credentials: {self.credentials})")


def start_lines(plan: Plan, plan_name: str, s3: S3Name, now: datetime) -> Iterator[str]:
    """Yield in three lines what is restored, from where, and to where.

    Args:
        plan: as it is applied.
        plan_name: how the user named it.
        s3: where its objects are.
        now: UTC.
    """
    totals = plan.totals()
    unresolvable = totals.skipped_files + totals.skipped_raw_files
    beside = f", {unresolvable:,} unresolvable" if unresolvable else ""
    yield f"{plan_name}: {restored_text(totals)}{beside}; {age_text(plan.created_at, now)}"
    yield f"from {s3}"
    yield f"to {_places(plan)}"


def age_text(created_at: str | None, now: datetime) -> str:
    """Return how old a plan is.

    >>> age_text("2026-11-23T14:30:22Z", datetime(2026, 11, 28, 12, tzinfo=UTC))
    'compiled 2026-11-23 14:30 UTC, 4 days ago'
    """
    try:
        made = datetime.strptime(created_at or "", _TIMESTAMP_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return "it does not say when it was made"
    return f"compiled {made:%Y-%m-%d %H:%M} UTC, {_ago(now - made)}"


def _ago(age: timedelta) -> str:
    if age < timedelta(minutes=-5):
        return "in the future: one of the clocks is wrong"
    return "just now" if age < timedelta(minutes=1) else f"{counted_span(age.total_seconds())} ago"


def _places(plan: Plan) -> str:
    destinations = sorted({raw_file.destination_base for raw_file in plan.raw_files if raw_file.destination_base})
    if not destinations or len(destinations) > _MOST_DESTINATIONS:
        more = f", {counted(len(destinations), 'destination')} below it" if destinations else ""
        return f"{printable(plan.output_location)}{more}"
    return ", ".join(map(printable, destinations))
