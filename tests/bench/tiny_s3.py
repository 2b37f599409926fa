"""An S3 of one tiny object that has every key: no bucket, no signature, no request body is looked at.

For measuring what a plan of a million files costs its client, which a real server's own work per object would hide.
Run as `tiny_s3.py HOST PORT`.
"""

import asyncio
import hashlib
import sys

CONTENT = b"0123456789"
ETAG = hashlib.md5(CONTENT).hexdigest()

_END_OF_HEAD = b"\r\n\r\n"
_FIELDS = f'ETag: "{ETAG}"\r\nLast-Modified: Wed, 15 Jan 2025 08:30:00 GMT\r\nContent-Length: {len(CONTENT)}\r\n'
_HEAD_ANSWER = f"HTTP/1.1 200 OK\r\n{_FIELDS}\r\n".encode()
_RANGE = f"Content-Range: bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}\r\n"
_GET_ANSWER = f"HTTP/1.1 206 Partial Content\r\n{_FIELDS}{_RANGE}\r\n".encode() + CONTENT


class _Connection(asyncio.Protocol):
    """Answers one request after the other; they are asked for the whole object, or by HEAD."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while _END_OF_HEAD in self._received:
            head, _, self._received = self._received.partition(_END_OF_HEAD)
            self.transport.write(_HEAD_ANSWER if head.startswith(b"HEAD") else _GET_ANSWER)


async def serve(host: str, port: int) -> None:
    """Answer until the process is killed."""
    server = await asyncio.get_running_loop().create_server(_Connection, host, port, backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
