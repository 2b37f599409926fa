"""Writes the plans and pages that commands make: to a file, whole or not at all, or to stdout.

Refuses to replace anything but an older plan or page: a catalog, settings or a raw file under that name stays.
"""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from schemas.atomic_file import write_atomically
from schemas.errors import ConfigError
from schemas.text import printable

STDOUT = "-"
_PAGE_BEGINS = b"<!doctype html>"
_PLAN_BEGINS = b'"format_version"'
_LOOKED_AT_BYTES = 4096  # the version of a plan stands first, but not in one whose keys were sorted


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


def write_page(document: bytes, output: str) -> None:
    """Write an HTML document to a path, replacing an older page there.

    Raises:
        ConfigError: it cannot be written, or something other than a page stands there.
    """
    path = Path(output)
    refuse_anything_but(path, "a page", lambda begin: not begin or begin.startswith(_PAGE_BEGINS))
    write_atomically(path, [document])


def refuse_to_overwrite(path: Path, source: str) -> None:
    """Refuse to replace anything but a plan, and the plan that is read.

    Args:
        path: what is to be written.
        source: the plan that is read.

    Raises:
        ConfigError: something else stands there; it is left untouched.
    """
    name = printable(str(path))
    try:
        is_source = os.path.lexists(path) and Path(source).exists() and path.samefile(source)
    except OSError as error:
        raise ConfigError(f"cannot write {name}: {error.strerror or error}") from None
    if is_source:
        raise ConfigError(f"{name}: this is the plan itself, which would be lost")
    refuse_anything_but_a_plan(path)


def refuse_anything_but_a_plan(path: Path) -> None:
    """Refuse to replace anything but a plan.

    Raises:
        ConfigError: something else stands there; it is left untouched.
    """
    refuse_anything_but(path, "a plan", lambda begin: not begin or _PLAN_BEGINS in begin)


def refuse_anything_but(path: Path, kind: str, may_be_replaced: Callable[[bytes], bool]) -> None:
    """Refuse to replace a file by how it begins; an empty one may be what `touch` or `mktemp` made room with.

    Args:
        path: what is to be written.
        kind: what may stand there, in words.
        may_be_replaced: tells by its first bytes whether a file may be replaced.

    Raises:
        ConfigError: something else stands there; it is left untouched.
    """
    name = printable(str(path))
    try:
        if not os.path.lexists(path):
            return
        if path.is_file():
            with path.open("rb") as file:
                begin = file.read(_LOOKED_AT_BYTES)
            if may_be_replaced(begin):
                return
    except OSError as error:
        raise ConfigError(f"cannot write {name}: {error.strerror or error}") from None
    raise ConfigError(f"{name}: something that is not {kind} already exists there; it was left untouched")


def refuse_one_file_for_two(outputs: Mapping[str, str | Path | None]) -> None:
    """Refuse to write two outputs to one file, where only the last would be left.

    Args:
        outputs: the option that names each, and its path; None where it is not given, `-` for stdout.

    Raises:
        ConfigError: two name one file.
    """
    named: dict[str, str] = {}
    for option, path in outputs.items():
        if path is None or path == STDOUT:
            continue
        other = named.setdefault(os.path.realpath(path), option)
        if other != option:
            raise ConfigError(f"{other} and {option} name one file, {printable(str(path))}: give each its own")
