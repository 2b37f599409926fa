"""Connections on which an answer has a deadline as a whole, however slowly it drips, and its headers have a closer one.

A socket's own timeout starts anew with every byte, and `http.client` reads headers and chunk sizes until they end, and
passes over `100 Continue` as often as it comes.
"""

import socket
import ssl
import time
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import HTTPResponse

# Headers come in one piece, once the server has found what to answer: they may take as long as two silences.
_HEADER_SILENCES = 2


class _Deadline:
    """What a timed socket knows: until when it may be read, and how long it may be silent."""

    deadline: float | None = None
    idle_seconds: float | None = None

    def next_timeout(self) -> float | None:
        """Return how long the next read may take; None for as long as the socket's own timeout says.

        Raises:
            TimeoutError: the deadline has passed.
        """
        if self.deadline is None:
            return None
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("the answer has not ended in time")
        return remaining if self.idle_seconds is None else min(remaining, self.idle_seconds)


class _TimedSocket(_Deadline, socket.socket):
    def recv_into(self, *arguments: Any) -> int:  # noqa: ANN401  # handed on as they are
        if (seconds := self.next_timeout()) is not None:
            self.settimeout(seconds)
        return super().recv_into(*arguments)


class _TimedTlsSocket(_Deadline, ssl.SSLSocket):
    def recv_into(self, *arguments: Any) -> int:  # noqa: ANN401  # handed on as they are
        if (seconds := self.next_timeout()) is not None:
            self.settimeout(seconds)
        return super().recv_into(*arguments)


class _TimedConnection(HTTPConnection):
    answer_seconds = 300.0

    def _new_conn(self) -> socket.socket:
        plain = super()._new_conn()
        idle_seconds = plain.gettimeout()
        timed = _TimedSocket(fileno=plain.detach())
        timed.settimeout(idle_seconds)
        timed.idle_seconds, timed.deadline = idle_seconds, time.monotonic() + self.answer_seconds
        return timed

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3's own
        timed = self.sock
        if not isinstance(timed, _Deadline):
            return super().getresponse()
        begun = time.monotonic()
        timed.idle_seconds = self.timeout if isinstance(self.timeout, float) else None
        header_seconds = self.answer_seconds if timed.idle_seconds is None else _HEADER_SILENCES * timed.idle_seconds
        timed.deadline = begun + min(header_seconds, self.answer_seconds)
        response = super().getresponse()
        timed.deadline = begun + self.answer_seconds
        return response


class _TimedTlsConnection(_TimedConnection, HTTPSConnection):
    pass


def timed_pools(answer_seconds: float) -> dict[str, type[HTTPConnectionPool]]:
    """Return connection pools, by scheme, on whose connections an answer ends within so many seconds, or raises.

    HTTPS needs a context made by `timed_context`.
    """
    attributes = {"answer_seconds": answer_seconds}
    plain = type("TimedConnection", (_TimedConnection,), attributes)
    tls = type("TimedTlsConnection", (_TimedTlsConnection,), attributes)
    return {
        "http": type("TimedPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("TimedTlsPool", (HTTPSConnectionPool,), {"ConnectionCls": tls}),
    }


def timed_context(ca_bundle: str, ca_folder: str | None) -> ssl.SSLContext:
    """Return a TLS context that trusts a bundle (PEM), and what a folder holds."""
    context = ssl.create_default_context(cafile=ca_bundle, capath=ca_folder)
    context.sslsocket_class = _TimedTlsSocket
    return context
