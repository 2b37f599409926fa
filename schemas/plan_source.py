"""Where a plan comes from when a command names it: a path, or `-` for stdin. The one place here that reads files."""

import sys
from pathlib import Path

from schemas.errors import PlanError
from schemas.plan import Plan
from schemas.plan_file import read_plan
from schemas.text import printable

STDIN = "-"


def load_plan(source: str) -> Plan:
    """Return the plan that a command line names.

    Args:
        source: a path, or `-` for stdin.

    Raises:
        PlanError: it cannot be read, or it is no usable plan.
    """
    return read_plan(*load_plan_bytes(source))


def load_plan_bytes(source: str) -> tuple[bytes, str]:
    """Return a plan file's content, unchecked, and its name for messages.

    Raises:
        PlanError: it cannot be read.
    """
    name = "<stdin>" if source == STDIN else printable(source)
    try:
        return _read_stdin() if source == STDIN else Path(source).read_bytes(), name
    except FileNotFoundError:
        raise PlanError(name, ["there is no such plan file"]) from None
    except IsADirectoryError:
        raise PlanError(name, ["it is a folder, expected a plan file"]) from None
    except OSError as error:
        raise PlanError(name, [f"the plan cannot be read: {error.strerror or error}"]) from None


def _read_stdin() -> bytes:
    return sys.stdin.buffer.read() if sys.stdin is not None else b""
