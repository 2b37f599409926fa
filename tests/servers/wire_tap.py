"""A TCP proxy before a MongoDB server that writes down every command on its way to the server."""

import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import bson
from loopback_server import CHUNK_BYTES, LoopbackServer
from temporary_process import LOOPBACK

_OP_QUERY, _OP_MSG = 2004, 2013
_HEADER = struct.Struct("<iiii")
_CHECKSUM_PRESENT = 1

# All that a client has to send to read: names of commands.
READ_ONLY = frozenset(
    {"hello", "ismaster", "isMaster", "saslStart", "saslContinue", "find", "getMore", "killCursors", "endSessions"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command as sent: its name (its document's first key) and the document, document sequences included.

    A message in a form that is not understood has the name `opcode <number>`: nothing passes unseen.
    """

    name: str
    document: dict[str, object]


class WireTap(LoopbackServer):
    """Stands before the catalog on `port`: connect to `uri`, then look at `commands`."""

    def __init__(self, port: int, database: str = "krakendb") -> None:
        self.upstream_port = port
        self._database = database
        self._commands: list[Command] = []
        super().__init__(_Tap)

    @property
    def uri(self) -> str:
        """The connection string to give to the program under test."""
        return f"mongodb://{LOOPBACK}:{self.port}/{self._database}"

    @property
    def commands(self) -> tuple[Command, ...]:
        """Everything sent so far. A command is written down before it is passed on."""
        return tuple(self._commands)

    @property
    def names(self) -> frozenset[str]:
        """The names of all commands sent so far."""
        return frozenset(command.name for command in self._commands)

    def record(self, command: Command) -> None:
        """Write a command down."""
        self._commands.append(command)


class _Tap(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    server: WireTap

    def handle(self) -> None:
        with socket.create_connection((LOOPBACK, self.server.upstream_port)) as upstream:
            self.server.watch(upstream)
            answers = threading.Thread(target=_copy, args=(upstream, self.connection))
            answers.start()
            try:
                for message in self._messages():
                    self.server.record(decode(message))
                    upstream.sendall(message)
            finally:
                _end(upstream)
                answers.join()
                self.server.forget(upstream)

    def _messages(self) -> Iterator[bytes]:
        while header := self.rfile.read(_HEADER.size):
            length = _HEADER.unpack(header)[0]
            yield header + self.rfile.read(length - _HEADER.size)


def decode(message: bytes) -> Command:
    """The command that a message of the wire protocol carries.

    The formats: https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
    """
    opcode = _HEADER.unpack_from(message)[3]
    body = message[_HEADER.size :]
    if opcode == _OP_MSG:
        document = _op_msg_document(body)
    elif opcode == _OP_QUERY:
        after_collection = body.index(b"\0", 4) + 1
        document = _document_at(body, after_collection + 8)
    else:
        return Command(name=f"opcode {opcode}", document={})
    return Command(name=next(iter(document)), document=document)


def _op_msg_document(body: bytes) -> dict[str, object]:
    flags = struct.unpack_from("<I", body)[0]
    end = len(body) - (4 if flags & _CHECKSUM_PRESENT else 0)
    command: dict[str, object] = {}
    sequences: dict[str, object] = {}
    position = 4
    while position < end:
        kind, start = body[position], position + 1
        length = struct.unpack_from("<i", body, start)[0]
        position = start + length
        if kind == 0:
            command = _document_at(body, start)
        else:
            documents_start = body.index(b"\0", start + 4) + 1
            name = body[start + 4 : documents_start - 1].decode()
            sequences[name] = list(bson.decode_iter(body[documents_start:position]))
    return command | sequences


def _document_at(body: bytes, start: int) -> dict[str, object]:
    length = struct.unpack_from("<i", body, start)[0]
    return bson.decode(body[start : start + length])


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while piece := source.recv(CHUNK_BYTES):
            target.sendall(piece)
    except OSError:
        pass
    finally:
        _end(target)


def _end(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
