"""A server that answers with given bytes, whether they are HTTP or not, and closes the connection."""

import socketserver
from collections.abc import Mapping

from loopback_server import LoopbackServer
from temporary_process import LOOPBACK


class RawServer(LoopbackServer):
    """Answers by the request's path: `with RawServer({"/x": b"HTTP/1.1 200 OK..."}) as server: server.url("/x")`."""

    def __init__(self, answers: Mapping[str, bytes]) -> None:
        self.answers = answers
        super().__init__(_Handler)

    def url(self, path: str) -> str:
        """The address of an answer."""
        return f"http://{LOOPBACK}:{self.port}{path}"


class _Handler(socketserver.StreamRequestHandler):
    server: RawServer

    def handle(self) -> None:
        path = self.rfile.readline().split(b" ")[1].decode()
        while self.rfile.readline().strip():
            pass
        self.wfile.write(self.server.answers[path])
