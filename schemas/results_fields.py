"""Lists the fields of a results file's lines, and what each may hold; parses a line."""

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
_WHOLE = _Field("a whole number", lambda value: _is_number(value, int))
_TEXTS = _Field(
    "a list of strings", lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value)
)
_SECONDS = _Field("a number of seconds", lambda value: _is_number(value, int, float))
HEAD_FIELDS = {
    "results_version": _TEXT,
    "plan_digest": _TEXT,
    "output_location": _TEXT,
    "started_at": _TEXT,
    "host": _TEXT_OR_NULL,
    "user": _TEXT_OR_NULL,
    "options": _TEXTS,
    "approvals": _TEXTS,
}
END_FIELDS = {
    "run_summary": _TEXT,
    "ended_at": _TEXT,
    "exit_code": _WHOLE_OR_NULL,
    "fetched_bytes": _WHOLE,
    "reports": _TEXTS,
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


def parse_json(text: bytes) -> object:
    """Return what a line of a results file holds.

    Raises:
        ValueError: it is not JSON, or not JSON that can be written again.
    """
    try:
        value: object = json.loads(text.decode("utf-8"), parse_constant=_refuse_constant)
        if b"\\u" in text:  # an escaped lone surrogate has no UTF-8 form
            json.dumps(value, ensure_ascii=False).encode()
    except (UnicodeError, json.JSONDecodeError) as error:
        raise ValueError(f"not JSON: {error}") from None
    except RecursionError:
        raise ValueError("not JSON: brackets nested too deeply") from None
    except ValueError:  # int() of more than 4,300 digits
        raise ValueError("not JSON: a number that no file has") from None
    return value


def _refuse_constant(literal: str) -> float:
    raise json.JSONDecodeError(f"{literal} is not a number", literal, 0)


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
