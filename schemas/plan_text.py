"""Writes the text of a plan, indented for its file and canonical for its digest. The only orjson import.

A large plan's text is half a gigabyte, so it comes in pieces. The indented text is what `json.dumps(document, indent=2,
ensure_ascii=False)` gives. orjson writes it ten times as fast, but only as a whole, so each raw file is written on its
own and moved to the right.
"""

import hashlib
from collections.abc import Iterator, Mapping

import orjson

# What may differ between two plans that ask for the same.
UNDIGESTED = frozenset({"plan_digest", "created_at", "created_by", "compiled_from"})


def indented_json(document: Mapping[str, object]) -> Iterator[bytes]:
    """Yield the text of a plan document in pieces, a raw file each."""
    separator = b"{\n  "
    for name, value in document.items():
        yield separator + orjson.dumps(name) + b": "
        if name == "raw_files" and isinstance(value, dict) and value:
            inner = b"{\n    "
            for raw_file_id, raw_file in value.items():
                yield inner + orjson.dumps(raw_file_id) + b": " + _moved(raw_file, b"\n    ")
                inner = b",\n    "
            yield b"\n  }"
        else:
            yield _moved(value, b"\n  ")
        separator = b",\n  "
    yield b"\n}\n"


def plan_digest(document: Mapping[str, object]) -> str:
    """Return the digest of a plan document: SHA-256 over its canonical JSON (sorted keys, no spaces, UTF-8).

    Two plans that ask for the same have the same digest.

    Raises:
        ValueError: it cannot be written: a number of more than 64 bits, a lone surrogate, hundreds of levels.
    """
    digest = hashlib.sha256()
    for piece in canonical_json({name: value for name, value in document.items() if name not in UNDIGESTED}):
        digest.update(piece)
    return f"sha256:{digest.hexdigest()}"


def canonical_json(document: Mapping[str, object]) -> Iterator[bytes]:
    """Yield the canonical JSON (sorted keys, no spaces, UTF-8) of a plan document in pieces, a raw file each.

    Raises:
        ValueError: it cannot be written, see `plan_digest`.
    """
    separator = b"{"
    for name in sorted(document):
        value = document[name]
        yield separator + _canonical(name) + b":"
        if name == "raw_files" and isinstance(value, dict) and value:
            yield from canonical_json(value)
        else:
            yield _canonical(value)
        separator = b","
    yield b"}"


def _canonical(value: object) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise ValueError(str(error)) from error


def _moved(value: object, line: bytes) -> bytes:
    """Return a value's text with this before each line but the first; JSON has no line ends within strings."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).replace(b"\n", line)
