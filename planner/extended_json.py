"""Reads the numbers and dates that mongoexport wraps in objects: MongoDB's extended JSON.

Never fails: a wrapper that holds no usable value stays as it is, and the record explains it.
https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

_MOST_CHARACTERS = 40
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def plain_value(value: object) -> object:
    """Return the number or date that an object of extended JSON stands for; anything else as it is.

    >>> plain_value({"$numberLong": "5"}), plain_value({"$numberLong": "x"}), plain_value("5")
    (5, {'$numberLong': 'x'}, '5')
    """
    if not isinstance(value, Mapping) or len(value) != 1:
        return value
    ((name, inner),) = value.items()
    parse = _PARSERS.get(name)
    found = parse(inner) if parse is not None else None
    return value if found is None else found


def _whole_number(value: object) -> int | None:
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _fraction(value: object) -> float | None:
    if isinstance(value, str) and len(value) <= _MOST_CHARACTERS:
        try:
            return float(value)
        except ValueError:
            return None
    return value if isinstance(value, float) else _whole_number(value)


def _date(value: object) -> datetime | None:
    """Return a date; one that Python cannot hold as the first or the last that it can."""
    milliseconds = _whole_number(plain_value(value))
    try:
        if milliseconds is not None:
            return _EPOCH + timedelta(milliseconds=milliseconds)
        if isinstance(value, str) and len(value) <= _MOST_CHARACTERS:
            date = datetime.fromisoformat(value)
            return date.replace(tzinfo=date.tzinfo or UTC)
    except ValueError:
        return None
    except OverflowError:
        return _FIRST if (milliseconds or 0) < 0 else _LAST
    return None


_PARSERS: Mapping[str, Callable[[object], object]] = {
    "$numberInt": _whole_number,
    "$numberLong": _whole_number,
    "$numberDouble": _fraction,
    "$numberDecimal": _fraction,
    "$date": _date,
}
