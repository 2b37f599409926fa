"""Reads JSON values one by one out of a long text: one after the other (JSON lines), or the items of one array."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import TextIO

from schemas.text import printable

_READ_CHARACTERS = 1024 * 1024
_MAX_VALUE_CHARACTERS = 64 * 1024 * 1024  # a MongoDB document has at most 16 MiB
_MOST_DIGITS = 40  # far more than any size has
_SPACE = re.compile(r"[ \t\r\n]*")


class JsonStreamError(ValueError):
    """The text is no such JSON; the message says where."""


class NotJsonError(JsonStreamError):
    """The first line does not even begin like JSON."""


class JsonStream:
    """The values in a text, each with the number of the line that it begins in.

    Args:
        text: read piece by piece; of it no more than a piece and the longest value are held.
    """

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._buffer = ""
        self._position = 0
        self._line = 1

    def __iter__(self) -> Iterator[tuple[int, object]]:
        if self._next_character() != "[":
            while self._next_character():
                yield self._take_value()
            return
        self._advance(self._position + 1)
        if self._next_character() != "]":
            yield self._take_value()
            while self._next_character() == ",":
                self._advance(self._position + 1)
                yield self._take_value()
        self._expect("]", "a comma or the end of the array")
        self._advance(self._position + 1)
        self._expect("", "nothing behind the array")

    def _expect(self, character: str, name: str) -> None:
        if (found := self._next_character()) != character:
            shown = repr(found) if found else "the end of the file: it is cut short"
            raise JsonStreamError(f"line {self._line}: expected {name}, found {shown}")

    def _next_character(self) -> str:
        """Return the next character that is no white space, without taking it; empty at the end."""
        while True:
            match = _SPACE.match(self._buffer, self._position)
            self._advance(match.end() if match else self._position)
            if self._position < len(self._buffer):
                return self._buffer[self._position]
            if not self._read_more():
                return ""

    def _take_value(self) -> tuple[int, object]:
        self._next_character()
        while True:
            try:
                value, end = _decode(self._buffer, self._position)
            except json.JSONDecodeError as error:
                offset = error.pos - self._position
                # perhaps only the buffer ends too early
                if len(self._buffer) - self._position < _MAX_VALUE_CHARACTERS and self._read_more():
                    continue
                kind = NotJsonError if self._line == 1 and offset == 0 else JsonStreamError
                raise kind(self._explain(error.msg, offset)) from None
            except RecursionError:
                raise JsonStreamError(f"line {self._line}: brackets too deep") from None
            except _RepeatedKeyError as error:
                raise JsonStreamError(
                    f"the document that begins in line {self._line} has the key {printable(error.key, 200)!r} twice in "
                    "one place, and nobody can tell which is right"
                ) from None
            line = self._line
            self._advance(end)
            return line, value

    def _explain(self, reason: str, offset: int) -> str:
        """Return how a value is broken so many characters behind its beginning."""
        end = self._position + offset
        line = self._line + self._buffer.count("\n", self._position, end)
        at_end = "" if self._buffer[end:].strip() else ", the file may be cut short"
        return f"line {line}: not JSON: {reason} (the document begins in line {self._line}{at_end})"

    def _read_more(self) -> bool:
        """Read another piece, as long as what is not taken yet, so that long values are not decoded too often."""
        rest = self._buffer[self._position :]
        piece = self._text.read(max(_READ_CHARACTERS, len(rest)))
        self._buffer, self._position = rest + piece, 0
        return bool(piece)

    def _advance(self, position: int) -> None:
        self._line += self._buffer.count("\n", self._position, position)
        self._position = position


def _decode(text: str, position: int) -> tuple[object, int]:
    try:
        return _DECODER.raw_decode(text, position)
    except json.JSONDecodeError:
        raise
    except ValueError:  # a whole number of more digits than Python takes
        return _PATIENT_DECODER.raw_decode(text, position)


def _parse_int(digits: str) -> int | float:
    """Return a whole number; one that no field of a document can hold is infinite."""
    return int(digits) if len(digits) <= _MOST_DIGITS else float("-inf" if digits.startswith("-") else "inf")


class _RepeatedKeyError(Exception):
    """An object has a key twice."""

    def __init__(self, key: str) -> None:
        self.key = key


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return an object, of which each key is there once."""
    found = dict(pairs)
    if len(found) < len(pairs):
        (key, _), *_ = (Counter(key for key, _ in pairs) - Counter(found.keys())).items()
        raise _RepeatedKeyError(key)
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_object)
_PATIENT_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_parse_int)
