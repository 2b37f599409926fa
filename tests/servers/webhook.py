"""Receives what is posted to an incoming webhook, as Slack and Teams do, on loopback."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from loopback_server import LoopbackServer
from temporary_process import LOOPBACK


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A running receiver.

    Attributes:
        url: Where to post to.
        posted: The bodies so far.
    """

    url: str
    posted: list[bytes] = field(default_factory=list)

    def texts(self) -> list[str]:
        """The `text` of each message so far."""
        return [json.loads(body)["text"] for body in self.posted]


@contextmanager
def running_webhook() -> Iterator[Webhook]:
    """Receive until the end of the block."""
    posted: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with LoopbackServer(Handler) as server:
        yield Webhook(url=f"http://{LOOPBACK}:{server.port}/hook", posted=posted)
