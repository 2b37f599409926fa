"""A MongoDB-speaking server that answers as a test tells it: refusals, silence, breaks that no good server shows."""

import socketserver
import struct
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import bson
from loopback_server import LoopbackServer
from temporary_process import LOOPBACK
from wire_tap import Command, decode

_HEADER = struct.Struct("<iiii")
_OP_MSG = 2013
_HELLO: Mapping[str, object] = {
    "ok": 1,
    "isWritablePrimary": True,
    "ismaster": True,
    "helloOk": True,
    "minWireVersion": 0,
    "maxWireVersion": 21,
    "maxBsonObjectSize": 16 * 1024 * 1024,
    "maxMessageSizeBytes": 48_000_000,
    "maxWriteBatchSize": 100_000,
}

Answer = Callable[[Command], Mapping[str, object] | None]


class ScriptedCatalog(LoopbackServer):
    """Greets as a real server does; every other command goes to `answer`, and None from it breaks the connection.

    Args:
        answer: Gives the reply to a command.
        hello: What the greeting says differently.
        spoil: Changes the bytes of a reply.
    """

    def __init__(
        self,
        answer: Answer,
        *,
        hello: Mapping[str, object] = MappingProxyType({}),
        spoil: Callable[[bytes], bytes] = bytes,
    ) -> None:
        self.answer = answer
        self.hello = {**_HELLO, **hello}
        self.spoil = spoil
        super().__init__(_Connection)

    @property
    def uri(self) -> str:
        """The connection string to give to the program under test."""
        return f"mongodb://{LOOPBACK}:{self.port}/krakendb"


class _Connection(socketserver.StreamRequestHandler):
    server: ScriptedCatalog

    def handle(self) -> None:
        for message in self._messages():
            command = decode(message)
            greeted = command.name.lower() in {"hello", "ismaster"}
            reply = self.server.hello if greeted else self.server.answer(command)
            if reply is None:
                return
            body = b"\0\0\0\0\0" + self.server.spoil(bson.encode(reply))
            request_id = _HEADER.unpack_from(message)[1]
            self.wfile.write(_HEADER.pack(_HEADER.size + len(body), 1, request_id, _OP_MSG) + body)

    def _messages(self) -> Iterator[bytes]:
        while header := self.rfile.read(_HEADER.size):
            yield header + self.rfile.read(_HEADER.unpack(header)[0] - _HEADER.size)
