"""Loads the plan that a command line names, and reads whatever else may come from stdin: a path, or `-`."""

import errno
import gc
import sys
from pathlib import Path

from schemas.errors import PlanError
from schemas.plan import Plan
from schemas.plan_file import decode_plan, read_plan_text
from schemas.text import printable

STDIN = "-"


def load_plan(source: str, *, even_if_edited: bool = False) -> Plan:
    """Return the plan that a command line names.

    Args:
        source: a path, or `-` for stdin.
        even_if_edited: whether a wrong digest is only warned of.

    Raises:
        PlanError: it cannot be read, or it is not a usable plan.
    """
    gc.disable()  # among millions of values without cycles, looking for cycles takes a third of the time
    try:
        return read_plan_text(decode_plan(*load_plan_bytes(source)), plan_name(source), even_if_edited=even_if_edited)
    finally:
        gc.freeze()
        gc.enable()


def load_plan_bytes(source: str) -> tuple[bytes, str]:
    """Return a plan file's content, unchecked, and its name for messages.

    Raises:
        PlanError: it cannot be read.
    """
    name = plan_name(source)
    try:
        return read_source(source), name
    except FileNotFoundError:
        raise PlanError(name, ["there is no such plan file"]) from None
    except IsADirectoryError:
        raise PlanError(name, ["it is a folder, expected a plan file"]) from None
    except OSError as error:
        raise PlanError(name, [f"the plan cannot be read: {error.strerror or error}"]) from None


def read_source(source: str) -> bytes:
    """Return the content of a file or pipe, or of stdin; nothing if stdin is closed.

    Args:
        source: a path, or `-` for stdin.

    Raises:
        OSError: it cannot be read, or it is a device, which may have no end; `strerror` says so.
    """
    if source == STDIN:
        return sys.stdin.buffer.read() if sys.stdin is not None else b""
    if Path(source).is_char_device():
        raise OSError(errno.EINVAL, "it is a device, expected a file", source)
    return Path(source).read_bytes()


def plan_name(source: str) -> str:
    """Return how a message names a plan's source."""
    return "<stdin>" if source == STDIN else printable(source)
