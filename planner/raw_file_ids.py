"""Which raw files are asked for: ids from the command line and from a file, cleaned, in order, each once."""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from schemas.errors import ConfigError
from schemas.text import printable, writable

STDIN = "-"
_COMMENT = re.compile(r"(?:^|\s)#.*")
_SEPARATORS = re.compile(r"[,\s]+")


def ids_from_arguments(arguments: Iterable[str]) -> list[str]:
    """Return the ids in command line arguments, separated by commas or standing alone.

    >>> ids_from_arguments(["a, b", "c", "a,"])
    ['a', 'b', 'c']
    """
    return _unique(part.strip() for argument in arguments for part in argument.split(","))


def ids_from_text(text: str) -> list[str]:
    r"""Return the ids in the text of an ids file: separated by commas and white space, `#` begins a comment.

    >>> ids_from_text("# today's\na b,c\n\na # again")
    ['a', 'b', 'c']
    """
    return _unique(part for line in text.splitlines() for part in _SEPARATORS.split(_COMMENT.sub("", line)))


def read_ids_file(source: str) -> list[str]:
    """Return the ids in a file.

    Args:
        source: a path, or `-` for stdin.

    Raises:
        ConfigError: it cannot be read, or is not UTF-8 text.
    """
    name = "<stdin>" if source == STDIN else printable(source)
    try:
        content = _read_stdin() if source == STDIN else Path(source).read_bytes()
        return ids_from_text(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"ids file {name}: not UTF-8 text, at offset {error.start}") from None
    except OSError as error:
        raise ConfigError(f"ids file {name} cannot be read: {error.strerror or error}") from None


def merge_ids(*sources: Iterable[str]) -> tuple[str, ...]:
    """Return the ids of several sources, in order, each once."""
    return tuple(_unique(raw_file_id for source in sources for raw_file_id in source))


def _read_stdin() -> bytes:
    return sys.stdin.buffer.read() if sys.stdin is not None else b""


def _unique(raw_file_ids: Iterable[str]) -> list[str]:
    """Return what is not empty, each once; of bytes that were no UTF-8 (no catalog holds such an id) an escape."""
    return list(dict.fromkeys(writable(raw_file_id) for raw_file_id in raw_file_ids if raw_file_id))
