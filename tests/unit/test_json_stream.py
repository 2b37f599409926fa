"""JSON values out of a long text, whatever the pieces in which it arrives."""

import io
import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.json_stream import JsonStream, JsonStreamError

documents = st.dictionaries(
    st.text(max_size=5), st.text(max_size=5) | st.integers() | st.lists(st.integers(), max_size=3), max_size=3
)


class DrippingText(io.StringIO):
    """Gives no more than a few characters at a time, as a pipe may."""

    def read(self, size: int | None = -1, /) -> str:
        return super().read(min(3, size or 3))


def values(text: str) -> list[object]:
    return [value for _, value in JsonStream(io.StringIO(text))]


def lines(text: str) -> list[int]:
    return [line for line, _ in JsonStream(io.StringIO(text))]


def as_lines(items: Iterable[object]) -> str:
    return "".join(f"{json.dumps(item)}\n" for item in items)


@given(st.lists(documents, max_size=5), st.sampled_from([None, 2]))
def test_lines_and_arrays_should_give_the_same_values_however_they_arrive(
    items: list[dict[str, object]], indent: int | None
) -> None:
    in_lines = as_lines(items)
    pretty = "".join(f"{json.dumps(item, indent=indent, ensure_ascii=False)}\n" for item in items)
    array = json.dumps(items, indent=indent)
    as_mongoexport_does = "[" + ",\n".join(json.dumps(item) for item in items) + "]\n"
    for text in (in_lines, pretty, array, as_mongoexport_does, f"\n {array}"):
        assert values(text) == items
        assert [value for _, value in JsonStream(DrippingText(text))] == items


def test_values_should_come_with_the_line_that_they_begin_in() -> None:
    assert lines('{}\n\n{"a":\n1}\n{}') == [1, 3, 5]
    assert lines('[{},\n{"a":\n1},\n\n{}]') == [1, 2, 5]


def test_values_should_come_while_the_text_is_still_being_read() -> None:
    text = io.StringIO("{}\n" * 2_000_000)
    next(iter(JsonStream(text)))
    assert text.tell() < 2_000_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            '{"a": 1}\n{"a": ',
            "line 2: not JSON: Expecting value (the document begins in line 2, the file may be cut short)",
        ),
        ('{"a": 1}\n{"a": 1\n{"a": 1}\n', "line 3: not JSON: Expecting ',' delimiter (the document begins in line 2"),
        ('{"a": "', "line 1: not JSON: Unterminated string"),
        ("{'a': 1}\n", "line 1: not JSON: Expecting property name"),
        ("hello", "line 1: not JSON: Expecting value"),
        ("{},\n{}", "line 1: not JSON: Expecting value"),
        ("[{},\n{}", "line 2: expected a comma or the end of the array, found the end of the file: it is cut short"),
        ("[{}\n{}]", "line 2: expected a comma or the end of the array, found '{'"),
        ("[{},]", "line 1: not JSON: Expecting value"),
        ("[", "line 1: not JSON"),
        ("[]\n[]", "line 2: expected nothing behind the array, found '['"),
        ("[" + "[" * 100_000, "line 1: brackets too deep"),
        (
            '{"a": 1}\n{"b": {"c": 1, "d": 2, "c": 1}}',
            "document that begins in line 2 has the key 'c' twice in one place",
        ),
        ('{"a": 1, "a": ' + "9" * 5000 + "}", "has the key 'a' twice"),
    ],
)
def test_broken_text_should_be_named_with_its_line(text: str, words: str) -> None:
    with pytest.raises(JsonStreamError) as refused:
        values(text)
    assert words in str(refused.value)


def test_an_empty_text_should_give_no_values() -> None:
    assert values("") == values("\n \n") == values("[]") == values(" [ ] ") == []


@pytest.mark.parametrize("sign", ["", "-"])
def test_a_number_of_more_digits_than_python_takes_should_be_infinite(sign: str) -> None:
    values = [value for _, value in JsonStream(io.StringIO(f'{{"a": 5}}\n{{"a": {sign}{"9" * 5000}, "b": 7}}\n'))]
    assert values == [{"a": 5}, {"a": float(f"{sign}inf"), "b": 7}]
