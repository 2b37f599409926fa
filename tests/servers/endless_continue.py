"""A server that announces an answer for ever and never gives one."""

import socketserver
import time
from contextlib import suppress

from loopback_server import LoopbackServer
from temporary_process import LOOPBACK

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class EndlessContinue(LoopbackServer):
    """Says `100 Continue` ten times a second: `with EndlessContinue() as server: server.url`."""

    def __init__(self) -> None:
        super().__init__(_Handler)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{LOOPBACK}:{self.port}"


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        with suppress(OSError):  # the client has gone
            while True:
                self.wfile.write(_CONTINUE)
                time.sleep(0.1)
