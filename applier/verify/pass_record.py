"""Remembers how far a pass over a plan's files has come, so that the next run of `verify` resumes it.

The record is a file of JSON lines in the user's state folder. What a kill loses of it, or what makes no sense in it, is
read again: a file counts as verified only if the record says so and the file has not been touched since.
"""

import fcntl
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple

from schemas.errors import ConfigError
from schemas.text import printable

logger = logging.getLogger(__name__)

_WRITE_INTERVAL_SECONDS = 1.0
_TIMESTAMP_FORMAT = "%Y-%m-%d %H:%M:%S UTC"


class Verified(NamedTuple):
    """When a file was verified (UTC), and what it looked like then."""

    at: str
    size_bytes: int
    modified_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PassHead:
    """Which pass it is.

    Args:
        pass_id: what no other pass has.
        began_at: UTC, as people read it.
    """

    pass_id: str
    began_at: str


class PassRecord:
    """What the runs of a pass have found so far, by the files' paths below the output location.

    Args:
        head: which pass it is.
        found: of earlier runs; None stands for a file that was wrong.
        file: open for appending; None where nothing can be kept.
    """

    def __init__(self, head: PassHead, found: dict[str, Verified | None], file: BinaryIO | None) -> None:
        self.head = head
        self._found, self._file = found, file
        self._lock = threading.Lock()
        self._written_at = time.monotonic()

    def verified(self, path: str) -> Verified | None:
        """Return how a file was found right in this pass; None if it was not."""
        return self._found.get(path)

    def was_read(self, path: str) -> bool:
        """Tell whether a file was read in this pass, right or wrong."""
        return path in self._found

    def was_wrong(self, path: str) -> bool:
        """Tell whether a file was wrong when it was read last."""
        return path in self._found and self._found[path] is None

    def note(self, path: str, verified: Verified | None) -> None:
        """Remember that a file was read: how it was right, or None for one that is wrong."""
        with self._lock:
            if path in self._found and self._found[path] == verified:
                return
            self._found[path] = verified
            line = {"path": path, **(verified._asdict() if verified is not None else {"wrong": True})}
            self._append(line)

    def end(self) -> None:
        """Have the next run begin a new pass: every file of this one was read. What was wrong is read again there."""
        with self._lock:
            self._append({"ended": True})

    def close(self) -> None:
        """Write what is left; a thread that has not ended may still come with more, which is not remembered."""
        with self._lock, suppress(OSError):
            file, self._file = self._file, None
            if file is not None:
                file.close()

    def _append(self, line: dict[str, object]) -> None:
        if self._file is None:
            return
        try:
            self._file.write(json.dumps(line).encode() + b"\n")
            if time.monotonic() - self._written_at >= _WRITE_INTERVAL_SECONDS:
                self._file.flush()
                self._written_at = time.monotonic()
        except OSError as error:
            logger.warning("how far the pass has come is not remembered: %s", error.strerror)
            self._file = None


@contextmanager
def open_pass(path: Path | None, now: datetime, *, restart: bool = False) -> Iterator[PassRecord]:
    """Give the record of the pass under way, or of a new one; no other run of it goes on meanwhile.

    Args:
        path: of its file; None if there is no place to keep it.
        now: UTC.
        restart: begin a new pass.

    Raises:
        ConfigError: another run of this pass is under way.
    """
    file = None if path is None else _open(path)
    if file is None:
        yield PassRecord(_new_head(now), {}, None)
        return
    try:
        head, found = (None, {}) if restart else _read(file)
        if head is None:
            head = _new_head(now)
            _begin_file(file, head, found)
        record = PassRecord(head, found, file)
    except BaseException:
        file.close()
        raise
    try:
        yield record
    finally:
        record.close()


def _open(path: Path) -> BinaryIO | None:
    name = printable(str(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.fdopen(os.open(path, flags, 0o600), "a+b")
    except OSError as error:
        words = "%s: %s: how far the pass has come is not remembered (--state-dir names another folder)"
        logger.warning(words, name, error.strerror)
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise ConfigError(
            f"{name}: another run is verifying this plan here; wait until it ends, or give this one a --state-dir of "
            "its own"
        ) from None
    except OSError as error:
        logger.info("%s cannot be locked: %s", name, error.strerror)
    return file


def _new_head(now: datetime) -> PassHead:
    return PassHead(pass_id=secrets.token_hex(8), began_at=now.strftime(_TIMESTAMP_FORMAT))


def _begin_file(file: BinaryIO, head: PassHead, wrong: Iterable[str]) -> None:
    file.truncate(0)
    lines = [{"pass_id": head.pass_id, "began_at": head.began_at}, *({"path": path, "wrong": True} for path in wrong)]
    file.writelines(json.dumps(line).encode() + b"\n" for line in lines)
    file.flush()


def _read(file: BinaryIO) -> tuple[PassHead | None, dict[str, Verified | None]]:
    """Return what earlier runs have found, as far as it makes sense; of a pass that has ended, only what was wrong."""
    found: dict[str, Verified | None] = {}
    file.seek(0)
    head = _head(file.readline())
    if head is None:
        return None, found
    for line in file:
        with suppress(ValueError, KeyError, TypeError, RecursionError):
            record = json.loads(line)
            if not isinstance(record, dict):
                raise TypeError
            if record.get("ended"):
                head, found = None, {path: None for path, verified in found.items() if verified is None}
            else:
                found[str(record["path"])] = None if record.get("wrong") else _verified(record)
    return head, found


def _head(line: bytes) -> PassHead | None:
    try:
        record = json.loads(line)
        began_at = str(record["began_at"])
        datetime.strptime(began_at, _TIMESTAMP_FORMAT)  # noqa: DTZ007  # only to see that it is one
        return PassHead(pass_id=str(record["pass_id"]), began_at=began_at)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _verified(record: dict[str, object]) -> Verified:
    at, size_bytes, modified_ns = record["at"], record["size_bytes"], record["modified_ns"]
    if not (isinstance(at, str) and isinstance(size_bytes, int) and isinstance(modified_ns, int)):
        raise TypeError
    return Verified(at, size_bytes, modified_ns)
