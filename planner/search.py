"""Describes which raw files a search finds: by project, instrument, date and pattern. Pure.

Several values of one kind widen a search, several kinds narrow it. An array is read as MongoDB reads it: any of its
elements will do.
"""

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from functools import cache

from schemas.text import printable

_MOST_CHARACTERS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What raw files must be like to be found; an empty value asks for nothing.

    Args:
        project_ids: of one of these projects; None stands for raw files without a project (null, "" or no field).
        instrument_ids: from one of these instruments.
        since: acquired (`created_at`) at this time or later.
        until: acquired at this time or earlier.
        patterns: shell patterns; the raw file's id matches one of them as a whole.
    """

    project_ids: tuple[str | None, ...] = ()
    instrument_ids: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    patterns: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked for."""
        return self == Search()

    def matches(self, document: Mapping[str, object]) -> bool:
        """Tell whether the search finds a document."""
        if self.project_ids and not any(
            (None if value == "" else value) in self.project_ids for value in _values(document, "project_id")
        ):
            return False
        if self.instrument_ids and not any(
            value in self.instrument_ids for value in _values(document, "instrument_id")
        ):
            return False
        return self._is_in_time(document) and (not self.patterns or self._is_named_so(document.get("_id")))

    def names_met(self, document: Mapping[str, object]) -> set[str]:
        """Return which of the projects and instruments that the search names a document is of."""
        values = [*_values(document, "project_id"), *_values(document, "instrument_id")]
        return {name for name in (*self.project_ids, *self.instrument_ids) if name is not None and name in values}

    def _is_in_time(self, document: Mapping[str, object]) -> bool:
        times = [value for value in _values(document, "created_at") if isinstance(value, datetime)]
        is_late_enough = self.since is None or any(time >= self.since for time in times)
        return is_late_enough and (self.until is None or any(time <= self.until for time in times))

    def _is_named_so(self, raw_file_id: object) -> bool:
        return isinstance(raw_file_id, str) and any(_compiled(pattern).match(raw_file_id) for pattern in self.patterns)

    def __str__(self) -> str:
        words = [
            _either("project", ["none" if name is None else repr(name) for name in self.project_ids]),
            _either("instrument", [repr(name) for name in self.instrument_ids]),
            f"since {self.since:%Y-%m-%d %H:%M:%S} UTC" if self.since else "",
            f"until {self.until:%Y-%m-%d %H:%M:%S} UTC" if self.until else "",
            _either("match", [repr(pattern) for pattern in self.patterns]),
        ]
        return printable(", ".join(filter(None, words)))


def parse_since(text: str) -> datetime:
    """Return the time that `--since` names: a date begins at midnight UTC.

    Raises:
        ValueError: it is neither a date nor a time.
    """
    return _parse(text, time.min)


def parse_until(text: str) -> datetime:
    """Return the time that `--until` names: a date ends with its day, UTC.

    Raises:
        ValueError: it is neither a date nor a time.
    """
    return _parse(text, time.max)


def _parse(text: str, time_of_a_date: time) -> datetime:
    words = f"{printable(text, 60)!r} is neither a date such as 2025-01-31 nor a time such as 2025-01-31T12:00 (UTC)"
    if not text.isascii() or len(text) > _MOST_CHARACTERS:
        raise ValueError(words)
    try:
        parsed = datetime.fromisoformat(text)
        if ":" not in text:
            parsed = datetime.combine(parsed, time_of_a_date)
        parsed = parsed.replace(microsecond=parsed.microsecond // 1000 * 1000)  # MongoDB's times are milliseconds
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(words) from None


def regex_of_glob(glob: str) -> str:
    r"""Return the regular expression of a shell pattern, for whole texts, in a form that MongoDB reads.

    A dot in it matches line ends, too (DOTALL, option `s`). What comes before the first wildcard stays plain, so that
    MongoDB can use an index.

    >>> regex_of_glob("2025*_a.[rd]?"), regex_of_glob("a[b")
    ('^2025.*_a\\.[rd].$(?!\\n)', '^a\\[b$(?!\\n)')
    """
    regex, position = "", 0
    while position < len(glob):
        character = glob[position]
        position += 1
        closing = glob.find("]", position + 1 + (glob[position : position + 1] == "!")) if character == "[" else -1
        if character == "*":
            regex += "" if regex.endswith(".*") else ".*"
        elif character == "?":
            regex += "."
        elif closing > 0:
            regex += _class(glob[position:closing])
            position = closing + 1
        else:
            regex += re.escape(character)
    return f"^{regex}$(?!\\n)"


def mongo_filter(search: Search) -> dict[str, object]:
    """Return the filter with which MongoDB finds what `matches` does: equality and ranges, which any index serves."""
    query: dict[str, object] = {}
    if search.project_ids:
        empty = [""] if None in search.project_ids else []
        query["project_id"] = {"$in": [*search.project_ids, *empty]}  # null also finds documents without the field
    if search.instrument_ids:
        query["instrument_id"] = {"$in": list(search.instrument_ids)}
    bounds = {"$gte": search.since, "$lte": search.until}
    if times := {operator: bound for operator, bound in bounds.items() if bound is not None}:
        query["created_at"] = times
    if search.patterns:
        regexes = [{"_id": {"$regex": regex_of_glob(pattern), "$options": "s"}} for pattern in search.patterns]
        query |= regexes[0] if len(regexes) == 1 else {"$or": regexes}
    return query


@cache
def _compiled(glob: str) -> re.Pattern[str]:
    """Return what finds the same as `regex_of_glob`, and never goes back before a star: that could take for ever."""
    return re.compile(fnmatch.translate(glob))


def _class(inner: str) -> str:
    """Return a character class; a range that is the wrong way round matches nothing."""
    negated, inner = ("^", inner[1:]) if inner.startswith("!") else ("", inner)
    pieces, position = "", 0
    while position < len(inner):
        low, is_range = inner[position], inner[position + 1 : position + 2] == "-" and position + 2 < len(inner)
        high = inner[position + 2] if is_range else low
        position += 3 if is_range else 1
        if low <= high:
            pieces += re.escape(low) + (f"-{re.escape(high)}" if is_range else "")
    return f"[{negated}{pieces}]" if pieces else ("." if negated else "(?!)")


def _values(document: Mapping[str, object], field: str) -> Sequence[object]:
    """Return what a field is, or what is in it if it is an array."""
    value = document.get(field)
    return value if isinstance(value, list) else (value,)


def _either(kind: str, names: list[str]) -> str:
    return f"{kind} {' or '.join(names)}" if names else ""
