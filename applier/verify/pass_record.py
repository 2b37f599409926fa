"""Remembers how far a pass over a plan's files has come, so that the next run of `verify` resumes it.

The record is a file of JSON lines in the user's state folder. What a kill loses of it, or what makes no sense in it, is
read again: a file counts as verified only if the record says so and the file has not been touched since.
"""

import errno
import fcntl
import json
import logging
import os
import secrets
import stat
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple

from applier.disk.file_identity import FileIdentity
from schemas.errors import ConfigError
from schemas.text import printable

logger = logging.getLogger(__name__)

_WRITE_INTERVAL_SECONDS = 1.0
_NOT_SAVED = "%s: the progress of this pass cannot be saved: %s (choose another folder with --state-dir)"
_TIMESTAMP_FORMAT = "%Y-%m-%d %H:%M:%S UTC"


class Verified(NamedTuple):
    """When a file was verified (UTC), and what it looked like then; the inode is 0 where it is not reliable."""

    at: str
    size_bytes: int
    modified_ns: int
    changed_ns: int
    inode: int

    @classmethod
    def of(cls, identity: FileIdentity, now: datetime) -> "Verified":
        """Return what to remember of a file that was found right."""
        return cls(
            at=now.strftime(_TIMESTAMP_FORMAT),
            size_bytes=identity.size_bytes,
            modified_ns=identity.modified_ns,
            changed_ns=identity.changed_ns,
            inode=identity.inode,
        )

    def is_untouched(self, found: FileIdentity | None) -> bool:
        """Tell whether a file is the one that was verified, and was not touched since.

        A file that was moved here may have the old one's size and time of modification, but not its time of change; a
        folder that was moved here with all its files does not change those, but they have other inodes.
        """
        if found is None or self.inode not in {0, found.inode}:
            return False
        now = (found.size_bytes, found.modified_ns, found.changed_ns)
        return now == (self.size_bytes, self.modified_ns, self.changed_ns)


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
        path: of the file, for messages.
    """

    def __init__(
        self, head: PassHead, found: dict[str, Verified | None], file: BinaryIO | None, path: Path | None = None
    ) -> None:
        self.head, self._path = head, path
        self._found, self._file = found, file
        self._lock = threading.Lock()
        self._written_at = time.monotonic()

    @property
    def is_kept(self) -> bool:
        """Whether the next run will know what this one has read; certain once that is saved."""
        return self._file is not None

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

    def save(self) -> None:
        """Write what is left; where that fails, a warning says so, and the record is not kept."""
        with self._lock:
            self._write(b"", at_once=True)

    def close(self) -> None:
        """Close the file; a thread that has not ended may still come with more, which is not remembered."""
        with self._lock, suppress(OSError):
            file, self._file = self._file, None
            if file is not None:
                file.close()

    def _append(self, line: dict[str, object]) -> None:
        is_due = time.monotonic() - self._written_at >= _WRITE_INTERVAL_SECONDS
        self._write(json.dumps(line).encode() + b"\n", at_once=is_due)

    def _write(self, text: bytes, *, at_once: bool) -> None:
        if self._file is None:
            return
        try:
            self._file.write(text)
            if at_once:
                self._file.flush()
                self._written_at = time.monotonic()
        except OSError as error:
            logger.warning(_NOT_SAVED, printable(str(self._path)), error.strerror)
            self._file = None


@contextmanager
def open_pass(
    path: Path | None, now: datetime, *, restart: bool = False, must_be_kept: bool = False
) -> Iterator[PassRecord]:
    """Give the record of the pass under way, or of a new one; no other run of it goes on meanwhile.

    Args:
        path: of its file; None if there is no place to keep it.
        now: UTC.
        restart: begin a new pass.
        must_be_kept: the run reads only a part of what its pass has to read.

    Raises:
        ConfigError: another run of this pass is under way; or the record must be kept, and cannot be.
    """
    record = None if path is None else _open_record(path, now, restart=restart)
    if record is None:
        if must_be_kept:
            raise ConfigError(_explain_no_record(path))
        record = PassRecord(_new_head(now), {}, None)
    try:
        yield record
    finally:
        record.close()


def _explain_no_record(path: Path | None) -> str:
    where = "there is no state folder" if path is None else f"{printable(str(path))} cannot be written"
    return (
        f"{where}, so every run would begin a new pass, and --max-time or --sample would never read everything: name a "
        "folder for what was read (--state-dir or KRAKEN_PLAN_STATE_DIR), or leave these options out"
    )


def _open_record(path: Path, now: datetime, *, restart: bool) -> PassRecord | None:
    """Return the record that a file has, or a new one in it; None, with a warning, where nothing can be kept there.

    Raises:
        ConfigError: another run of this pass is under way.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as undo:
            file = undo.enter_context(_open_regular(path))
            _lock(file, path)
            head, found = (None, {}) if restart else _read(file)
            if head is None:
                head = _new_head(now)
                _begin_file(file, head, found)
            undo.pop_all()
    except OSError as error:
        logger.warning(_NOT_SAVED, printable(str(path)), error.strerror or error)
        return None
    return PassRecord(head, found, file, path)


def _lock(file: BinaryIO, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigError(
            f"{printable(str(path))}: another run is verifying this plan here; wait until it ends, or give this one a "
            "--state-dir of its own"
        ) from None
    except OSError as error:
        logger.info("%s cannot be locked: %s", path, error.strerror)


def _open_regular(path: Path) -> BinaryIO:
    """Open a file for reading and appending; raise OSError for anything else: a FIFO would wait for its other end."""
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "a+b")
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is not a regular file")


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
                head = None
            else:
                found[str(record["path"])] = None if record.get("wrong") else _verified(record)
    if head is None:  # also less what a thread has added that came too late
        found = {path: None for path, verified in found.items() if verified is None}
    return head, found


def _head(line: bytes) -> PassHead | None:
    try:
        record = json.loads(line)
        return PassHead(pass_id=str(record["pass_id"]), began_at=_timestamp(record["began_at"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _verified(record: dict[str, object]) -> Verified:
    def number(name: str) -> int:
        value = record[name]
        if not isinstance(value, int):
            raise TypeError
        return value

    return Verified(
        at=_timestamp(record["at"]),
        size_bytes=number("size_bytes"),
        modified_ns=number("modified_ns"),
        changed_ns=number("changed_ns"),
        inode=number("inode"),
    )


def _timestamp(text: object) -> str:
    """Return a time as this module writes it, because reports show it; raise ValueError or TypeError for others."""
    if not isinstance(text, str):
        raise TypeError
    if datetime.strptime(text, _TIMESTAMP_FORMAT).strftime(_TIMESTAMP_FORMAT) != text:  # noqa: DTZ007  # says UTC
        raise ValueError  # strptime takes a line break for a blank
    return text
