"""An HTTP proxy before a real S3 server that spoils chosen requests and writes all of them down.

The Host header is passed on as it came, so the server checks signatures made for the proxy's address. Bodies are
streamed both ways, connections kept. What it can do to a request is defined in `network_faults`.
"""

import random
import re
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote

from loopback_server import CHUNK_BYTES, LoopbackServer
from network_faults import Action, Answer, Cut, Drip, Fault, Flip, Request, Reset, Rewrite, Stall
from temporary_process import LOOPBACK

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "expect"}
_BODILESS = {204, 304}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and what became of it.

    Attributes:
        request: As it came from the client.
        fault: What was done to it, None if nothing.
        status: As sent to the client; None if nothing was sent (yet).
        sent_bytes: Bytes of the body sent to the client; counted just before they are sent, so never too few.
    """

    request: Request
    fault: Fault | None
    status: int | None = None
    sent_bytes: int = 0


class FaultyProxy(LoopbackServer):
    """Stands before the S3 server on `port`: `with FaultyProxy(port) as proxy: proxy.add(Fault(…))`.

    Attributes:
        seed: Decides on everything random; name it in a failure's message.
        latency_seconds: Every request waits this long before it is passed on.
    """

    def __init__(self, port: int, *, seed: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.upstream_port = port
        self.seed = seed
        self.latency_seconds = 0.0
        self._random = random.Random(seed)  # noqa: S311 - to be repeatable is the point
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._matched: list[int] = []
        self._hit: list[int] = []
        self._log: list[Exchange] = []
        super().__init__(_Handler, tls=tls)

    @property
    def endpoint_url(self) -> str:
        """The URL to give to S3 clients."""
        return f"{'https' if self._tls else 'http'}://{LOOPBACK}:{self.port}"

    @property
    def log(self) -> tuple[Exchange, ...]:
        """All requests since the last `clear`, in the order of their arrival."""
        with self._lock:
            return tuple(self._log)

    def requests(self, method: str, key: str = "") -> list[Exchange]:
        """The logged requests of a method whose path holds `key`."""
        return [entry for entry in self.log if entry.request.method == method and key in entry.request.path]

    def add(self, *faults: Fault) -> None:
        """Add faults; of several that hit one request, the one added first acts."""
        with self._lock:
            self._faults += faults
            self._matched += [0] * len(faults)
            self._hit += [0] * len(faults)

    def clear(self) -> None:
        """Forget all faults and the log. Requests that are under way keep the fault that they have."""
        with self._lock:
            self._faults, self._matched, self._hit, self._log = [], [], [], []

    def receive(self, request: Request) -> "Record":
        """Log a request and decide what happens to it."""
        with self._lock:
            exchange = Exchange(request=request, fault=self._fault_for(request))
            self._log.append(exchange)
            return Record(self._log, len(self._log) - 1, self._lock)

    def random_below(self, limit: int) -> int:
        """A random offset in a body of this length."""
        with self._lock:
            return self._random.randrange(max(limit, 1))

    def _fault_for(self, request: Request) -> Fault | None:
        for index, fault in enumerate(self._faults):
            if not fault.matches(request):
                continue
            self._matched[index] += 1
            if self._matched[index] <= fault.skip or (fault.times is not None and self._hit[index] >= fault.times):
                continue
            if self._random.random() < fault.probability:
                self._hit[index] += 1
                return fault
        return None


class Record:
    """A log entry that can still change."""

    def __init__(self, log: list[Exchange], index: int, lock: threading.Lock) -> None:
        self._log, self._index, self._lock = log, index, lock

    @property
    def exchange(self) -> Exchange:
        """The entry as it is now."""
        return self._log[self._index]

    def answered(self, status: int) -> None:
        """The head of an answer is about to be sent."""
        with self._lock:
            self._log[self._index] = replace(self.exchange, status=status)

    def sends(self, size_bytes: int) -> None:
        """A piece of the body is about to be sent."""
        with self._lock:
            self._log[self._index] = replace(self.exchange, sent_bytes=self.exchange.sent_bytes + size_bytes)


class _Upstream(HTTPConnection):
    """A connection to the server behind that the end of the proxy interrupts."""

    def __init__(self, proxy: FaultyProxy) -> None:
        super().__init__(LOOPBACK, proxy.upstream_port, timeout=300)
        self._proxy = proxy

    def connect(self) -> None:
        super().connect()
        self._proxy.watch(self.sock)

    def close(self) -> None:
        if self.sock:
            self._proxy.forget(self.sock)
        super().close()


class _Handler(BaseHTTPRequestHandler):
    """One client connection, with one to the server behind it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FaultyProxy
    record: Record

    def setup(self) -> None:
        super().setup()
        self.upstream = _Upstream(self.server)

    def finish(self) -> None:
        self.upstream.close()
        super().finish()

    def log_message(self, *arguments: object) -> None:
        """Nothing on stderr: the log is for that."""

    def exchange(self) -> None:
        path, _, query = self.path.partition("?")
        request = Request(
            method=self.command,
            path=unquote(path),
            query=query,
            range=self.headers.get("Range", ""),
            if_match=self.headers.get("If-Match"),
            signed_region=_signed_region(self.headers.get("Authorization", "")),
            proxy_login=self.headers.get("Proxy-Authorization", ""),
        )
        self.record = self.server.receive(request)
        fault = self.record.exchange.fault
        action = fault.action if fault else None
        self._wait(self.server.latency_seconds)
        if isinstance(action, Answer):
            self._make_up(action)
            return
        try:
            self._pass_on(self._forward(), action)
        except HTTPException as error:
            raise ConnectionError("The server behind gave no answer") from error

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = exchange  # noqa: N815 - the base's names

    def _request_body(self) -> Iterator[bytes]:
        if "Transfer-Encoding" in self.headers:
            raise NotImplementedError("Requests with a chunked body: no S3 client here sends them over http")
        remaining = int(self.headers.get("Content-Length", 0))
        while remaining and (piece := self.rfile.read(min(remaining, CHUNK_BYTES))):
            remaining -= len(piece)
            yield piece

    def _forward(self) -> HTTPResponse:
        self.upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in _HOP_BY_HOP:
                self.upstream.putheader(name, value)
        self.upstream.endheaders()
        for piece in self._request_body():
            self.upstream.send(piece)
        return self.upstream.getresponse()

    def _make_up(self, answer: Answer) -> None:
        for _ in self._request_body():
            pass
        content = answer.content()
        if answer.is_endless:
            self._send_head(answer.status, {"Transfer-Encoding": "chunked", **answer.headers})
            while not self.server.closing.is_set():
                self._send(b"%x\r\n%b\r\n" % (len(content), content))
        length = {"Content-Length": str(len(content)), "Content-Type": "application/xml"}
        self._send_head(answer.status, {**length, **answer.headers})
        if self.command != "HEAD":
            self._send(content)

    def _pass_on(self, answer: HTTPResponse, action: Action | None) -> None:
        strike = self._strike_offset(action, answer.length or 0)
        if strike == 0 and isinstance(action, Cut | Reset | Stall):
            self._strike(action, answer)
            strike = None
        rewrite = action if isinstance(action, Rewrite) else Rewrite()
        changed = {name.lower() for name in rewrite.headers} | _HOP_BY_HOP
        headers: dict[str, str | None] = {
            name: value for name, value in answer.getheaders() if name.lower() not in changed
        }
        self._send_head(rewrite.status or answer.status, {**headers, **rewrite.headers})
        if strike is not None:
            self._relay(answer, strike)
            self._strike(action, answer)
        self._relay(answer, sys.maxsize)
        if answer.length:
            raise ConnectionError("The server behind broke off")

    def _strike_offset(self, action: Action | None, length: int) -> int | None:
        """The offset in the answer's body at which the action happens; None if it does not touch the body."""
        match action:
            case Flip(offset=None) | Cut(after=None) | Reset(after=None):
                return self.server.random_below(length)
            case Flip(offset=int(offset)):
                return offset - (self.record.exchange.request.first_byte or 0)
            case Cut(after=int(after)) | Reset(after=int(after)) | Stall(after=after):
                return after
            case Drip():
                return 0
        return None

    def _strike(self, action: Action | None, body: HTTPResponse) -> None:
        match action:
            case Flip():
                self._send(bytes(byte ^ 1 for byte in body.read(1)))
            case Cut():
                raise ConnectionError("cut")
            case Reset():
                no_linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
                raise ConnectionError("reset")
            case Stall():
                self._wait(action.seconds)
            case Drip():
                while piece := body.read(max(action.bytes_per_second // 10, 1)):
                    self._send(piece)
                    self._wait(0.1)

    def _wait(self, seconds: float) -> None:
        if self.server.closing.wait(seconds):
            raise ConnectionError("The proxy ends")

    def _send_head(self, status: int, headers: Mapping[str, str | None]) -> None:
        self.record.answered(status)
        self.send_response_only(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        if headers.get("Content-Length") is None and self.command != "HEAD" and status not in _BODILESS:
            self.send_header("Connection", "close")  # which also ends the body
        self.end_headers()

    def _relay(self, body: HTTPResponse, limit: int) -> None:
        while limit and (piece := body.read(min(limit, CHUNK_BYTES))):
            limit -= len(piece)
            self._send(piece)

    def _send(self, piece: bytes) -> None:
        self.record.sends(len(piece))
        self.wfile.write(piece)


def _signed_region(authorization: str) -> str:
    """The region in `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/s3/aws4_request, …`."""
    scope = re.search(r"Credential=[^/]+/\d{8}/([^/]+)/", authorization)
    return scope[1] if scope else ""
