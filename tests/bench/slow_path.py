"""A TCP relay that makes a server on loopback as far away as a data centre: what a client sends arrives after a delay.

It reads no HTTP, so headers and signatures arrive as they were sent; a client that waits for each answer before it asks
again, as in HTTP/1.1, pays the delay once a request. On one event loop, which costs half of what threads do:
s5cmd opens a thousand connections.
"""

import asyncio
import functools
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from temporary_process import LOOPBACK

_BUFFER_BYTES = 256 * 1024
_WAITING_CONNECTIONS = 512


class _End(asyncio.BufferedProtocol):
    """One end of a connection: what comes in here is sent by the other end, after a delay.

    Args:
        delay_seconds: between receiving and sending.
        buffer: what is received stands here until it is copied at once, so all ends can share one.
    """

    other: "_End"
    transport: asyncio.Transport

    def __init__(self, delay_seconds: float, buffer: bytearray) -> None:
        self._delay_seconds, self._buffer = delay_seconds, buffer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002  # the base's signature
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        received = bytes(memoryview(self._buffer)[:nbytes])
        if self._delay_seconds:
            asyncio.get_running_loop().call_later(self._delay_seconds, self.other.transport.write, received)
        else:
            self.other.transport.write(received)

    def pause_writing(self) -> None:
        self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the base's signature
        self.other.transport.close()


@contextmanager
def slow_path(url: str, *, delay_seconds: float) -> Iterator[str]:
    """Give an endpoint URL that leads to the server at this one, the long way round."""
    scheme, port = urlsplit(url).scheme, urlsplit(url).port
    assert port is not None
    loop = asyncio.new_event_loop()
    with socket.create_server((LOOPBACK, 0), backlog=_WAITING_CONNECTIONS) as listener:
        listener.setblocking(False)  # noqa: FBT003  # the socket's own way
        serving = loop.create_task(_serve(listener, port, delay_seconds))
        thread = threading.Thread(target=_run, args=(loop, serving))
        thread.start()
        try:
            yield f"{scheme}://{LOOPBACK}:{listener.getsockname()[1]}"
        finally:
            loop.call_soon_threadsafe(serving.cancel)
            thread.join()


def _run(loop: asyncio.AbstractEventLoop, serving: asyncio.Task[None]) -> None:
    with suppress(asyncio.CancelledError):
        loop.run_until_complete(serving)
    loop.close()


async def _serve(listener: socket.socket, port: int, delay_seconds: float) -> None:
    loop, buffer = asyncio.get_running_loop(), bytearray(_BUFFER_BYTES)
    while True:
        connection, _ = await loop.sock_accept(listener)
        near, far = _End(delay_seconds, buffer), _End(0, buffer)
        near.other, far.other = far, near
        await loop.create_connection(functools.partial(_same, far), LOOPBACK, port)
        await loop.connect_accepted_socket(functools.partial(_same, near), connection)


def _same(end: _End) -> _End:
    return end
