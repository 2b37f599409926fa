"""Lists the fields of a results file's lines, and what each may hold."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from schemas.errors import ResultsError
from schemas.text import printable


class _Field(NamedTuple):
    """What a field may hold: in words, and as a test."""

    words: str
    accepts: Callable[[object], bool]


_TEXT = _Field("a string", lambda value: isinstance(value, str))
_TEXT_OR_NULL = _Field("a string or null", lambda value: value is None or isinstance(value, str))
_WHOLE_OR_NULL = _Field("a whole number or null", lambda value: value is None or _is_number(value, int))
_HEX_OR_NULL = _Field("hexadecimal digits or null", lambda value: value is None or _is_hexadecimal(value))
_SECONDS = _Field("a number of seconds", lambda value: _is_number(value, int, float))
HEAD_FIELDS = {
    "results_version": _TEXT,
    "plan_digest": _TEXT,
    "output_location": _TEXT,
    "started_at": _TEXT,
    "host": _TEXT_OR_NULL,
}
LINE_FIELDS = {
    "raw_file_id": _TEXT,
    "relative_path": _TEXT_OR_NULL,
    "outcome": _TEXT,
    "failure_kind": _TEXT_OR_NULL,
    "message": _TEXT_OR_NULL,
    "size_bytes": _WHOLE_OR_NULL,
    "duration_seconds": _SECONDS,
    "corrupt_copy": _TEXT_OR_NULL,
    "absolute_dest_path": _TEXT_OR_NULL,
    "expected_etag": _TEXT_OR_NULL,
    "chunk_size_mb": _WHOLE_OR_NULL,
}
# Absent where there is nothing to say.
OPTIONAL_LINE_FIELDS = {
    "remark": _TEXT_OR_NULL,
    "fetched_parts": _WHOLE_OR_NULL,
    "part_md5s": _HEX_OR_NULL,
}


def check_fields(record: dict[str, Any], fields: Mapping[str, _Field], place: str) -> None:
    """Refuse a record that lacks one of these fields, or has something else in it.

    Raises:
        ResultsError: names the field.
    """
    for key, field in fields.items():
        if key not in record:
            raise ResultsError(f"{place}: {key} is missing")
        if not field.accepts(record[key]):
            value = record[key]
            found = (
                "an array" if isinstance(value, list) else "an object" if isinstance(value, dict) else json.dumps(value)
            )
            raise ResultsError(f"{place}: {key} is {printable(found, 100)}, expected {field.words}")


def _is_number(value: object, *types: type) -> bool:
    return type(value) in types and isinstance(value, int | float) and 0 <= value < 2**63


def _is_hexadecimal(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("(?:[0-9a-f]{2})*", value) is not None
