"""Sends one signed request to S3 and reads its answer within bounds.

An answer is bounded in time and, where it is not the object itself, in bytes. A redirect is never followed: it would
take session tokens to whatever host the answer names.
"""

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote, unquote_to_bytes, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from urllib3 import PoolManager, ProxyManager, Timeout
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from applier.s3.credentials import CredentialSource
from applier.s3.faults import S3Fault, fault_of_answer, redirected
from applier.s3.http_faults import fault_of_error
from applier.s3.network import Network, S3Address
from applier.s3.timed_connections import timed_context, timed_pools
from schemas.results import FailureKind
from schemas.s3_location import ObjectLocation
from schemas.version import __version__

# Enough for any error or short listing that S3 sends.
MAX_TOLD_BYTES = 64 * 1024
_CODE = re.compile(rb"<(?:\w{1,20}:)?Code>\s*([\w.]{1,64})\s*</")  # some servers name a namespace
_REGION = re.compile(rb"<(?:\w{1,20}:)?Region>\s*([\w-]{1,64})\s*</")
_ERROR_STATUS = 300
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_CONNECTIONS = 256  # kept open: as many as there can be jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked: a bucket where the location has no key, else an object."""

    method: str
    location: ObjectLocation
    address: S3Address
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer without its body.

    Args:
        location: what was asked for.
        status: the HTTP status.
        headers: names in lower case.
        code: S3's error code; empty if there is none.
        text: the beginning of what S3 said, where the body is not an object.
    """

    location: ObjectLocation
    status: int
    headers: Mapping[str, str]
    code: str = ""
    text: bytes = b""

    @property
    def region(self) -> str:
        """The bucket's region where S3 names it, in a header or only in an error's body; else empty."""
        named = _REGION.search(self.text) if self.code else None
        return self.headers.get("x-amz-bucket-region") or (named[1].decode() if named else "")

    def raise_for_status(self) -> None:
        """Raise the `S3Fault` that an answer with an error stands for."""
        if self.status in _REDIRECTS and (target := self.headers.get("location")):
            raise redirected(self.location, self.status, target)
        if self.status >= _ERROR_STATUS:
            raise fault_of_answer(self.location, self.status, self.code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long to wait, in seconds.

    Args:
        connect: until a connection stands.
        read: between two packets.
        answer: until the end of an answer.
    """

    connect: float
    read: float
    answer: float


class SignedHttp:
    """Asks S3 by requests that botocore signs and urllib3 sends.

    Args:
        credentials: to sign with.
        network: which proxy and certificates.
        timeouts: how long to wait.
        is_secure: whether S3 speaks TLS.
    """

    def __init__(
        self,
        credentials: CredentialSource,
        network: Network,
        timeouts: Timeouts,
        *,
        is_secure: bool,
    ) -> None:
        self._credentials, self._network = credentials, network
        timeout = Timeout(connect=float(timeouts.connect), read=float(timeouts.read))
        # loading certificates takes its time
        context = timed_context(network.ca_bundle, network.ca_folder) if is_secure else None
        if network.proxy_url is None:
            self._pools = PoolManager(maxsize=_MOST_CONNECTIONS, timeout=timeout, ssl_context=context)
        else:
            url, headers = _split_proxy(network.proxy_url)
            self._pools = ProxyManager(
                url,
                proxy_headers=headers,
                maxsize=_MOST_CONNECTIONS,
                timeout=timeout,
                ssl_context=context,
                proxy_ssl_context=timed_context(network.ca_bundle, None) if url.startswith("https:") else None,
            )
        self._pools.pool_classes_by_scheme = timed_pools(timeouts.answer)

    def ask(self, question: Question, max_bytes: int = MAX_TOLD_BYTES) -> Answer:
        """Return an answer with the beginning of what it says, whatever its status.

        Args:
            question: what to ask.
            max_bytes: about how much of what it says is wanted.

        Raises:
            S3Fault: there is no answer.
        """
        with self._sent(question) as response:
            text = self._read_text(question.location, response, max_bytes) if question.method != "HEAD" else b""
            return _answer(question.location, response, text)

    @contextmanager
    def stream(self, question: Question) -> Iterator[tuple[Answer, Iterator[bytes]]]:
        """Give the answer to a GET of an object, and its body piece by piece.

        Raises:
            S3Fault: there is no answer, or one with an error; while the body is read, that it breaks off.
        """
        location = question.location
        with self._sent(question) as response:
            if response.status >= _ERROR_STATUS:
                _answer(location, response, self._read_text(location, response)).raise_for_status()
            yield _answer(location, response, b""), self._pieces(location, response)

    @contextmanager
    def _sent(self, question: Question) -> Iterator[BaseHTTPResponse]:
        url, headers = self._sign(question)
        through_proxy = self._network.proxy_url is not None and url.startswith("http:")
        with self._faults(question.location):
            response = self._pools.connection_from_url(url).urlopen(
                question.method,
                url if through_proxy else _target(url),
                body=question.body or None,
                headers=headers,
                retries=False,
                redirect=False,
                assert_same_host=False,
                preload_content=False,
                decode_content=False,
            )
        try:
            yield response
        finally:
            if response.length_remaining == 0:
                response.drain_conn()  # of nothing: the connection can be used again
                response.release_conn()
            else:
                response.close()

    def _sign(self, question: Question) -> tuple[str, dict[str, str]]:
        """Return the URL and the headers to send."""
        location, address = question.location, question.address
        key = f"/{quote(location.key, safe='/~')}" if location.key else ""
        url = f"{address.endpoint_url.rstrip('/')}/{location.bucket_name}{key}"
        query = dict(question.query) | ({"versionId": location.version_id} if location.version_id else {})
        request = AWSRequest(
            method=question.method, url=url, params=query, headers=dict(question.headers), data=question.body
        )
        keys = ReadOnlyCredentials(*self._credentials.current())
        S3SigV4Auth(keys, "s3", address.region).add_auth(request)
        prepared = request.prepare()
        named = {"User-Agent": f"kraken-plan/{__version__}"}
        return prepared.url, named | {name: _text(value) for name, value in prepared.headers.items()}

    def _read_text(
        self, location: ObjectLocation, response: BaseHTTPResponse, max_bytes: int = MAX_TOLD_BYTES
    ) -> bytes:
        text = bytearray()
        for piece in self._pieces(location, response):
            text += piece
            if len(text) >= max_bytes:
                break
        return bytes(text)

    def _pieces(self, location: ObjectLocation, response: BaseHTTPResponse) -> Iterator[bytes]:
        """Yield what comes as it comes, so that the time is looked at now and then."""
        while True:
            with self._faults(location):
                piece = response.read1(MAX_TOLD_BYTES * 4)
            if not piece:
                break
            yield piece
        if response.length_remaining:
            raise S3Fault(FailureKind.NETWORK, f"{location}: the answer broke off", transient=True)

    @contextmanager
    def _faults(self, location: ObjectLocation) -> Iterator[None]:
        try:
            yield
        except (HTTPError, OSError, ValueError) as error:
            raise fault_of_error(location, error, self._network.describe_route()) from error


def _answer(location: ObjectLocation, response: BaseHTTPResponse, text: bytes) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    code = _CODE.search(text) if response.status >= _ERROR_STATUS else None
    return Answer(
        location=location,
        status=response.status,
        headers=headers,
        code=code[1].decode() if code else "",
        text=text,
    )


def _split_proxy(proxy_url: str) -> tuple[str, dict[str, str]]:
    """Return a proxy's address without its credentials, and the header that holds them."""
    parts = urlsplit(proxy_url)
    userinfo, at, address = parts.netloc.rpartition("@")
    credentials = b64encode(unquote_to_bytes(userinfo)).decode()  # the bytes as they are, as obstore sends them
    headers = {"proxy-authorization": f"Basic {credentials}"} if at else {}
    return f"{parts.scheme}://{address}", headers


def _target(url: str) -> str:
    """Return path and query as they stand: urllib3 would fold `.` and `..` segments, which are parts of keys."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
