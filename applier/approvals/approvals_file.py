"""Reads and writes the approvals of a plan: `PLAN.approvals`, a JSON file beside it."""

import errno
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from applier.approvals.approval import TIME_FORMAT, Approval, Statement
from schemas.atomic_file import write_atomically
from schemas.errors import ApprovalError
from schemas.regular_file import read_regular_file
from schemas.text import printable

FORMAT_VERSION = "1.0"
ENDING = ".approvals"
MOST_APPROVALS = 100

_MAX_BYTES = 1024 * 1024
_MAX_TEXT = 1000
_LOCK_SECONDS = 10
_STATEMENT_KEYS = ("plan_digest", "approved_by", "approved_at", "comment")


def read_approvals(path: Path) -> tuple[Approval, ...]:
    """Return the approvals in a file, unchecked, in its order; none where there is no file.

    Raises:
        ApprovalError: it cannot be read, or holds something else.
    """
    name = printable(str(path))
    try:
        content = read_regular_file(path, _MAX_BYTES)
    except FileNotFoundError:
        return ()
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise ApprovalError(f"{name} is too large to be a file of approvals") from None
        raise ApprovalError(f"{name} cannot be read: {error.strerror or error}") from None
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise ApprovalError(f"{name} is not JSON: expected approvals, as `kraken-plan approve` writes them") from None
    return tuple(_approval(record, f"{name}: approval {number}") for number, record in _records(document, name))


def add_approval(path: Path, approval: Approval) -> None:
    """Add an approval to a file, which is made if there is none; it is replaced whole or not at all.

    Raises:
        ApprovalError: something else than approvals stands there, or too many; it is left untouched.
        ConfigError: it cannot be written.
    """
    with _locked(path.parent):
        approvals = [*read_approvals(path), approval]
        if len(approvals) > MOST_APPROVALS:
            raise ApprovalError(
                f"{printable(str(path))} has {MOST_APPROVALS} approvals already: remove it, and approve the plan anew"
            )
        records = [{"statement": one.statement.as_record(), "signature": one.signature} for one in approvals]
        document = {"format_version": FORMAT_VERSION, "approvals": records}
        write_atomically(path, [json.dumps(document, indent=2, ensure_ascii=False).encode(), b"\n"])


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep two approvers on one file apart, where the file system can; NFS, for one, locks no folders."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders; whatever else is wrong with it, the writing will say
        yield
        return
    try:
        until = time.monotonic() + _LOCK_SECONDS
        while not _try_to_lock(descriptor) and time.monotonic() < until:
            time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


def _try_to_lock(descriptor: int) -> bool:
    """Lock, and tell whether there is nothing more to wait for."""
    try:
        import fcntl  # noqa: PLC0415  # only POSIX has it

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (OSError, ImportError):
        return True
    return True


def _records(document: Any, name: str) -> Iterator[tuple[int, Any]]:  # noqa: ANN401  # JSON may be anything
    if not isinstance(document, dict) or not isinstance(document.get("approvals"), list):
        raise ApprovalError(f"{name} holds no approvals: expected what `kraken-plan approve` writes")
    version = document.get("format_version")
    if version != FORMAT_VERSION:
        raise ApprovalError(
            f"{name} has format_version {printable(str(version), 60)}, and this program reads {FORMAT_VERSION}"
        )
    if len(document["approvals"]) > MOST_APPROVALS:
        raise ApprovalError(f"{name} has more than {MOST_APPROVALS} approvals")
    return enumerate(document["approvals"], 1)


def _approval(record: Any, place: str) -> Approval:  # noqa: ANN401  # JSON may be anything
    if not isinstance(record, dict) or set(record) != {"statement", "signature"}:
        raise ApprovalError(f"{place}: expected a statement and a signature")
    statement = record["statement"]
    if not isinstance(statement, dict) or set(statement) != set(_STATEMENT_KEYS):
        raise ApprovalError(f"{place}: expected a statement with {', '.join(_STATEMENT_KEYS)}")
    texts = {key: _text(statement[key], f"{place}: {key}") for key in _STATEMENT_KEYS}
    return Approval(
        statement=Statement(
            plan_digest=texts["plan_digest"],
            approved_by=texts["approved_by"],
            approved_at=_time(texts["approved_at"], f"{place}: approved_at"),
            comment=texts["comment"],
        ),
        signature=_signature(record["signature"], f"{place}: signature"),
    )


def _text(value: object, place: str) -> str:
    if not isinstance(value, str) or len(value) > _MAX_TEXT or not value.isprintable():
        raise ApprovalError(f"{place}: expected a line of text with at most {_MAX_TEXT:,} characters")
    return value


def _signature(value: object, place: str) -> str:
    if not isinstance(value, str) or not value.isascii():
        raise ApprovalError(f"{place}: expected an SSH signature")
    return value


def _time(text: str, place: str) -> datetime:
    try:
        time_ = datetime.strptime(text, TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        time_ = None
    if time_ is None or time_.strftime(TIME_FORMAT) != text:  # or another text than the signed one would be checked
        raise ApprovalError(f"{place}: expected a time as 2026-11-28T12:00:00Z, found {printable(text, 60)}")
    return time_
