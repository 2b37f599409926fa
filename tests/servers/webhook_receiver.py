"""A receiver of webhooks on loopback: keeps what it is sent, and answers as it is told to."""

import json
import socketserver
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from loopback_server import LoopbackServer
from temporary_process import LOOPBACK

_STALL_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message that came in: under which path, what."""

    path: str
    content: Any


class WebhookReceiver(LoopbackServer):
    """Takes messages: `with WebhookReceiver() as receiver: receiver.url("/token")`.

    Paths steer the answer: `/status/500/…` is answered with 500, `/redirect/…` with a redirect, `/stall/…` not at all.

    Attributes:
        deliveries: What came in, in its order.
    """

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        super().__init__(_Handler)

    def url(self, path: str) -> str:
        """The address that a message is posted to."""
        return f"http://{LOOPBACK}:{self.port}{path}"

    def contents(self, path: str) -> list[Any]:
        """What came in under a path."""
        return [delivery.content for delivery in self.deliveries if delivery.path == path]


class _Handler(socketserver.StreamRequestHandler):
    server: WebhookReceiver

    def handle(self) -> None:
        path = self.rfile.readline().split(b" ")[1].decode()
        length = 0
        while header := self.rfile.readline().strip():
            name, _, value = header.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        body = self.rfile.read(length)
        self.server.deliveries.append(Delivery(path=path, content=json.loads(body) if body else None))
        _, kind, number, *_ = [*path.split("/"), "", ""]
        if kind == "stall":
            self.server.closing.wait(_STALL_SECONDS)
            return
        status = HTTPStatus(int(number) if kind == "status" else 302 if kind == "redirect" else 200)
        location = f"Location: {self.server.url('/elsewhere')}\r\n" if kind == "redirect" else ""
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\n{location}Content-Length: 0\r\nConnection: close\r\n\r\n"
        self.wfile.write(head.encode())
