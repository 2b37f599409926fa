"""A threaded TCP server on a free port of loopback that ends promptly, whatever its handlers are busy with.

The common ground of the tools that stand between a client and a real server.
"""

import socket
import socketserver
import ssl
import sys
import threading
from contextlib import suppress
from typing import Self

from temporary_process import LOOPBACK

CHUNK_BYTES = 256 * 1024


class LoopbackServer(socketserver.ThreadingTCPServer):
    """Serves from `with` on; at its end every watched connection is shut and every handler has returned.

    Attributes:
        closing: Set at the end; handlers wait on it where they would otherwise sleep.
        connections: How many were accepted.
        errors: What handlers raised that was no broken connection; raised at the end of the block.
    """

    allow_reuse_address = True
    daemon_threads = False
    request_queue_size = 256

    def __init__(self, handler: type[socketserver.BaseRequestHandler], *, tls: ssl.SSLContext | None = None) -> None:
        self.closing = threading.Event()
        self.errors: list[Exception] = []
        self.connections = 0
        self._tls = tls
        self._watched: set[socket.socket] = set()
        self._watch_lock = threading.Lock()
        super().__init__((LOOPBACK, 0), handler)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.server_address[1])

    def get_request(self) -> tuple[socket.socket, object]:
        connection, address = super().get_request()
        self.connections += 1
        if self._tls is not None:  # the handshake is the handler's, as it takes its time
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def watch(self, connection: socket.socket) -> None:
        """Shut this connection when the server ends, so that nobody stays blocked on it."""
        with self._watch_lock:
            self._watched.add(connection)
        if self.closing.is_set():
            _shut(connection)

    def forget(self, connection: socket.socket) -> None:
        """Watch a connection no longer; call it before closing one."""
        with self._watch_lock:
            self._watched.discard(connection)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.closing.set()
        self.shutdown()
        self._thread.join()
        with self._watch_lock:
            watched = tuple(self._watched)
        for connection in watched:
            _shut(connection)
        self.server_close()
        if self.errors:
            raise ExceptionGroup("A handler failed", self.errors)

    def process_request(self, request: object, client_address: object) -> None:
        self.watch(_as_socket(request))
        super().process_request(_as_socket(request), client_address)

    def shutdown_request(self, request: object) -> None:
        """Close without the usual shutdown before it, which would turn a reset into an orderly end."""
        self.forget(_as_socket(request))
        _as_socket(request).close()

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - the base's signature
        error = sys.exception()
        if isinstance(error, Exception) and not isinstance(error, OSError):
            self.errors.append(error)


def _as_socket(request: object) -> socket.socket:
    if not isinstance(request, socket.socket):
        raise TypeError(f"A TCP server got a request that is no socket: {request!r}")
    return request


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
