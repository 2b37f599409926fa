"""An S3 of one tiny object that has every key: no bucket, no signature, no request body is looked at.

It lists the keys of `scale.py`, in their order and without end.

For measuring what a plan of a million files costs its client, which a real server's own work per object would hide.
Run as `tiny_s3.py HOST PORT`.
"""

import asyncio
import hashlib
import re
import sys
from urllib.parse import unquote_plus

CONTENT = b"0123456789"
ETAG = hashlib.md5(CONTENT).hexdigest()

_END_OF_HEAD = b"\r\n\r\n"
_FIELDS = f'ETag: "{ETAG}"\r\nLast-Modified: Wed, 15 Jan 2025 08:30:00 GMT\r\nContent-Length: {len(CONTENT)}\r\n'
_HEAD_ANSWER = f"HTTP/1.1 200 OK\r\n{_FIELDS}\r\n".encode()
_RANGE = f"Content-Range: bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}\r\n"
_GET_ANSWER = f"HTTP/1.1 206 Partial Content\r\n{_FIELDS}{_RANGE}\r\n".encode() + CONTENT


FILES_PER_RAW_FILE = 10
_RAW_FILE = "20250115_instrument1_sample_{:06}.d"
_LISTED_AFTER = re.compile(rb"GET /[^ ?]*\?[^ ]*start-after=([^ &]*)")
_NUMBERS = re.compile(r"sample_(\d{6})\.d/file_(\d)")


def key_of(number: int) -> str:
    """Return the key of a file by its number: 10 make a raw file."""
    raw_file, file = divmod(number, FILES_PER_RAW_FILE)
    return f"{_RAW_FILE.format(raw_file)}/file_{file}.bin"


def _page(after: str) -> bytes:
    """Return an answer that lists the next 1,000 keys."""
    found = _NUMBERS.search(after)
    first = int(found[1]) * FILES_PER_RAW_FILE + int(found[2]) if found else 0
    first += key_of(first) <= after
    entry = f'<ETag>"{ETAG}"</ETag><Size>{len(CONTENT)}</Size><StorageClass>STANDARD</StorageClass></Contents>'
    listed = "".join(f"<Contents><Key>{key_of(first + place)}</Key>{entry}" for place in range(1000))
    body = f"<ListBucketResult><IsTruncated>true</IsTruncated>{listed}</ListBucketResult>"
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


_EMPTY_PAGE = b"<ListBucketResult></ListBucketResult>"
_EMPTY_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(_EMPTY_PAGE), _EMPTY_PAGE)


def _answer(head: bytes) -> bytes:
    if head.startswith(b"HEAD"):
        return _HEAD_ANSWER
    if (listed := _LISTED_AFTER.match(head)) is not None:
        return _page(unquote_plus(listed[1].decode()))
    return _EMPTY_ANSWER if b"list-type=2" in head.partition(b"\r\n")[0] else _GET_ANSWER


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
            self.transport.write(_answer(head))


async def serve(host: str, port: int) -> None:
    """Answer until the process is killed."""
    server = await asyncio.get_running_loop().create_server(_Connection, host, port, backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
