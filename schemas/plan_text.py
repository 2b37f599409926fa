"""The text of a plan file: JSON with an indent of 2, in pieces, for a large plan's is half a gigabyte.

It is what `json.dumps(document, indent=2, ensure_ascii=False)` gives; that runs in Python value by value, this lets the
C encoder write a file of the plan in one go.
"""

import functools
import json
from collections.abc import Iterable, Iterator

_INDENT = "  "


def indented_json(value: object, depth: int = 0) -> Iterator[str]:
    """Yield the text of a JSON value in pieces.

    Args:
        value: made of dicts with text keys, lists and scalars.
        depth: how deep it is nested in what is around it.
    """
    if not isinstance(value, dict | list) or _is_flat(value):
        yield _flat_json(value, depth)
        return
    line = f"\n{_INDENT * (depth + 1)}"
    names = [f"{_flat_json(key, 0)}: " for key in value] if isinstance(value, dict) else [""] * len(value)
    separator = "{" if isinstance(value, dict) else "["
    for name, child in zip(names, _children(value), strict=True):
        yield f"{separator}{line}{name}"
        yield from indented_json(child, depth + 1)
        separator = ","
    yield f"\n{_INDENT * depth}{'}' if isinstance(value, dict) else ']'}"


def _is_flat(value: dict[str, object] | list[object]) -> bool:
    return {dict, list}.isdisjoint(map(type, _children(value)))


def _children(value: dict[str, object] | list[object]) -> Iterable[object]:
    return value.values() if isinstance(value, dict) else value


def _flat_json(value: object, depth: int) -> str:
    """Return the text of a scalar, or of a dict or list of nothing but scalars."""
    line, last_line = f"\n{_INDENT * (depth + 1)}", f"\n{_INDENT * depth}"
    text = _encoder(f",{line}").encode(value)
    return f"{text[0]}{line}{text[1:-1]}{last_line}{text[-1]}" if isinstance(value, dict | list) and value else text


@functools.cache
def _encoder(separator: str) -> json.JSONEncoder:
    """Return an encoder that begins a line with each item."""
    return json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(separator, ": "))
