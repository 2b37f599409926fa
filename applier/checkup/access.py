"""Checks the way to S3: credentials and whose they are, endpoint, clock, and buckets."""

import re
from collections.abc import Callable, Generator, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from applier.finding import Finding, State, refused, right, unknown, warning, wrong
from applier.s3.faults import BAD_CREDENTIALS_CODES, S3Fault, explain_in_between, fault_of_answer
from applier.s3.protocol import http_date
from schemas.errors import KrakenPlanError
from schemas.s3_location import ObjectLocation
from schemas.text import printable

if TYPE_CHECKING:
    from applier.s3.aws_chain import S3Access
    from applier.s3.boto_store import BotoStore
    from applier.s3.signed_http import Answer

# AWS refuses signatures that are 15 minutes off: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
_REFUSED_SKEW = timedelta(minutes=15)
_NOTABLE_SKEW = timedelta(seconds=60)
_SKEWED = "RequestTimeTooSkewed"
_SET_CLOCK = "set this machine's clock (timedatectl set-ntp true): S3 refuses signatures that are 15 minutes off"
_ERROR_STATUS = 300
_LIST_OF_BUCKETS = re.compile(rb"<(\w{1,20}:)?ListAllMyBucketsResult\b")
_NOT_S3 = "is a proxy, web filter or portal in between (HTTPS_PROXY, NO_PROXY), or is the endpoint another server's?"


def check_s3(access: "S3Access", clock: Callable[[], datetime]) -> Generator[Finding, None, "BotoStore | None"]:
    """Check the way to S3; return what asks it, or None if it cannot be asked.

    Args:
        access: how S3 is reached.
        clock: says what time it is here.
    """
    from applier.s3.boto_store import BotoStore  # noqa: PLC0415  # boto3 takes its time

    try:
        store = BotoStore(access)
    except KrakenPlanError as error:
        yield refused("credentials", error)
        return None
    is_well = True
    for finding in _ask(store, clock):
        is_well = is_well and finding.state is not State.WRONG
        yield finding
    return store if is_well else None


def _ask(store: "BotoStore", clock: Callable[[], datetime]) -> Iterator[Finding]:
    """Ask S3 a question that belongs to no bucket: any answer of its own shows that it is there, and its time."""
    chain = store.chain
    yield right("credentials", f"from {chain.credentials.origin}")
    yield _identity(chain.ask_identity())
    address = chain.default_address
    endpoint = f"{printable(address.endpoint_url)}, region {printable(address.region)}"
    location = ObjectLocation(bucket_name="", key="")
    try:
        answer = store.ask("GET", location)
    except S3Fault as fault:
        host = printable(urlsplit(address.endpoint_url).hostname or "")
        reason = fault.failure.message.replace(f"{location}: ", "")
        yield wrong("endpoint", f"{endpoint}: {reason}", f"is {host} right, and may we reach it?")
        return
    if not _is_of_s3(answer):
        found = explain_in_between(answer.status) or f"what answers ({answer.status}) is not S3"
        yield wrong("endpoint", f"{endpoint}: {found}", _NOT_S3)
        return
    if answer.code in BAD_CREDENTIALS_CODES and answer.code != _SKEWED:
        refusal = fault_of_answer(answer.location, answer.status, answer.code)
        yield wrong(
            "endpoint",
            f"{endpoint} answers, and refuses the credentials: {refusal.failure.detail.replace(f'{location}: ', '')}",
        )
    else:
        yield right("endpoint", f"{endpoint} answers")
    yield _clock(answer.headers.get("date", ""), clock(), is_refused=answer.code == _SKEWED)


def _is_of_s3(answer: "Answer") -> bool:
    """Tell whether S3 itself gave an answer: an error in its own words, or a list of buckets."""
    return bool(answer.code) or (answer.status < _ERROR_STATUS and _LIST_OF_BUCKETS.search(answer.text) is not None)


def _identity(identity: str | None) -> Finding:
    if identity is None:
        return unknown("identity", "nobody says whose they are: only AWS does, by STS")
    return right("identity", printable(identity))


def _clock(date: str, now: datetime, *, is_refused: bool) -> Finding:
    theirs = http_date(date)
    if theirs is None:
        return unknown("clock", "S3 does not say what time it is")
    skew = now - theirs
    seconds = skew.total_seconds()
    words = f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} S3's"
    if is_refused or abs(skew) >= _REFUSED_SKEW:
        return wrong("clock", words, _SET_CLOCK)
    return warning("clock", words, _SET_CLOCK) if abs(skew) >= _NOTABLE_SKEW else right("clock", words)
