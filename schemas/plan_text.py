"""The text of a plan: indented for its file, canonical for its digest. The only orjson import.

In pieces, for a large plan's text is half a gigabyte. The indented text is what `json.dumps(document, indent=2,
ensure_ascii=False)` gives; orjson writes it ten times as fast, but only as a whole: so each raw file is written by
itself and moved to the right.
"""

from collections.abc import Iterator, Mapping

import orjson


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


def canonical_json(document: Mapping[str, object]) -> Iterator[bytes]:
    """Yield the canonical JSON (sorted keys, no spaces, UTF-8) of a plan document in pieces, a raw file each.

    Raises:
        ValueError: a string holds a lone surrogate, or a number has more than 64 bits.
    """
    separator = b"{"
    for name in sorted(document):
        value = document[name]
        yield separator + orjson.dumps(name) + b":"
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
    """Return a value's text with its lines begun so; within strings JSON has no line ends."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).replace(b"\n", line)
