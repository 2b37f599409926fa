"""Where commands put a plan that they have made: a file, or stdout."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from schemas.atomic_file import write_atomically
from schemas.errors import ConfigError
from schemas.text import printable

STDOUT = "-"
_PLAN_BEGINS = b'"format_version"'
_LOOKED_AT_BYTES = 200


def write_plan_output(content: Iterable[bytes], output: str) -> None:
    """Write a plan file, given in pieces, to a path, whole or not at all; `-` is stdout.

    Raises:
        ConfigError: it cannot be written.
    """
    if output != STDOUT:
        write_atomically(Path(output), content)
        return
    if sys.stdout is None:
        raise ConfigError("stdout is closed: give -o FILE")
    sys.stdout.buffer.writelines(content)
    sys.stdout.buffer.flush()


def refuse_to_overwrite(path: Path, source: str) -> None:
    """See that nothing but a plan, and not the one that is read, stands under a name that is to be written.

    Args:
        path: what is to be written.
        source: the plan that is read.

    Raises:
        ConfigError: something else does, and is kept.
    """
    name = printable(str(path))
    try:
        if os.path.lexists(path) and Path(source).exists() and path.samefile(source):
            raise ConfigError(f"{name}: this is the plan itself, which would be lost")
    except OSError as error:
        raise ConfigError(f"cannot write {name}: {error.strerror or error}") from None
    refuse_what_is_no_plan(path)


def refuse_what_is_no_plan(path: Path) -> None:
    """See that nothing but a plan stands under a name that is to be written: no catalog, no settings, no raw file.

    Raises:
        ConfigError: something else does, and is kept.
    """
    name = printable(str(path))
    try:
        if not os.path.lexists(path) or (path.is_file() and _looks_like_a_plan(path)):
            return
    except OSError as error:
        raise ConfigError(f"cannot write {name}: {error.strerror or error}") from None
    raise ConfigError(f"{name}: there is something else under this name, no plan; it is kept")


def _looks_like_a_plan(path: Path) -> bool:
    """Every plan that we write begins so; an empty file is what `touch` or `mktemp` made room with."""
    with path.open("rb") as file:
        begin = file.read(_LOOKED_AT_BYTES)
    return not begin or _PLAN_BEGINS in begin
