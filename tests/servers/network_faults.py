"""What can go wrong between a client and S3, as values: which requests are hit, and what happens to them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """Flip a bit of the object's byte at `offset`, in answers that carry it; None: of a random byte of the answer."""

    offset: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Close the connection after this many bytes of the body (0: without any answer; None: somewhere in it)."""

    after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """As `Cut`, with a TCP reset in place of an orderly end."""

    after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """Say nothing for a while after this many bytes of the body (0: before any answer), then go on."""

    seconds: float
    after: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Drip:
    """Send the body slowly."""

    bytes_per_second: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Answer without asking the server: an S3 error, or any other body and headers (a redirect, a portal's page).

    Attributes:
        is_endless: Send the body in chunks, over and over.
    """

    status: int
    code: str = "InternalError"
    message: str = "Made up by a test."
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_endless: bool = False

    def content(self) -> bytes:
        """The body as sent."""
        if self.body is not None:
            return self.body
        error = f"<Error><Code>{self.code}</Code><Message>{self.message}</Message><RequestId>0</RequestId></Error>"
        return f'<?xml version="1.0" encoding="UTF-8"?>\n{error}'.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """Pass the server's answer on with another status and other headers; a header that is None is left out."""

    status: int | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)


Action = Flip | Cut | Reset | Stall | Drip | Answer | Rewrite


def other_etag(etag: str = "0123456789abcdef0123456789abcdef") -> Rewrite:
    """Claim another ETag for the right bytes."""
    return Rewrite(headers={"ETag": f'"{etag}"'})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What of a request decides on its faults.

    Attributes:
        path: `/bucket/key`, unquoted, without the query.
        range: The Range header, "" without one.
        signed_region: The region that the signature is made for, "" without one.
        proxy_login: The Proxy-Authorization header, "" without one.
    """

    method: str
    path: str
    query: str = ""
    range: str = ""
    if_match: str | None = None
    signed_region: str = ""
    proxy_login: str = ""

    @property
    def first_byte(self) -> int | None:
        """The first byte of the object that is asked for; None where a range counts from the end."""
        if not self.range:
            return 0
        match = re.fullmatch(r"bytes=(\d+)-\d*", self.range)
        return int(match[1]) if match else None

    def covers(self, offset: int) -> bool:
        """Whether the answer's body would hold this byte of the object, if the object has it."""
        first = self.first_byte
        if self.method != "GET" or first is None or offset < first:
            return False
        last = self.range.rpartition("-")[2]
        return not last or offset <= int(last)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """An action and the requests that it hits.

    Attributes:
        action: What happens to them.
        method: GET, HEAD …; None for any.
        key: Regular expression searched in `/bucket/key` (unquoted).
        query: Regular expression searched in the query.
        range: Regular expression searched in the Range header.
        skip: So many matching requests pass unharmed first.
        times: So many are hit then; None for all.
        probability: Share of the matching requests, after `skip`, that are hit.
    """

    action: Action
    method: str | None = None
    key: str = ""
    query: str = ""
    range: str = ""
    skip: int = 0
    times: int | None = None
    probability: float = 1.0

    def matches(self, request: Request) -> bool:
        """Whether the request is one of those meant, however many there were before."""
        return (
            self.method in (None, request.method)
            and re.search(self.key, request.path) is not None
            and re.search(self.query, request.query) is not None
            and re.search(self.range, request.range) is not None
            and not (isinstance(self.action, Flip) and not self._flips_something(request))
        )

    def _flips_something(self, request: Request) -> bool:
        offset = self.action.offset if isinstance(self.action, Flip) else None
        return request.method == "GET" if offset is None else request.covers(offset)
