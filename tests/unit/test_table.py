"""Columns as lines: aligned for people's eyes, whatever stands in them, and made one by one."""

from collections.abc import Iterator, Sequence
from itertools import count, islice

from hypothesis import given
from hypothesis import strategies as st

from kraken_plan.views.table import Cell, Column, Tone, Toned, shown_width, table_lines

COLUMNS = (Column("Size", right=True), Column("Name"), Column("Note"))


def lines_of(*rows: Sequence[Cell]) -> list[str]:
    return list(table_lines(COLUMNS, lambda: rows))


def test_a_table_should_align_numbers_right_and_words_left() -> None:
    assert lines_of(("1", "long name", "a"), ("1,000", "b", "c")) == [
        " Size  Name       Note",
        "    1  long name  a",
        "1,000  b          c",
    ]


def test_a_table_without_rows_should_have_no_heading() -> None:
    assert lines_of() == []


def test_a_row_may_leave_out_cells_and_no_line_should_end_in_spaces() -> None:
    assert lines_of(("1", "name"), ("2",)) == ["Size  Name  Note", "   1  name", "   2"]


def test_a_text_wider_than_its_column_may_be_should_stay_whole_and_move_its_own_line_only() -> None:
    columns = (Column("Name", widest=6), Column("Note"))
    rows = [("a long name", "x"), ("b", "y"), ("six...", "z")]
    assert list(table_lines(columns, lambda: rows)) == ["Name    Note", "a long name  x", "b       y", "six...  z"]


def test_wide_and_combining_characters_should_be_counted_as_a_terminal_shows_them() -> None:
    lines = lines_of(("1", "試料", "|"), ("1", "e\u0301", "|"), ("1", "abcd", "|"))
    assert {shown_width(line[: line.index("|")]) for line in lines[1:]} == {12}


def test_colours_in_a_table_should_change_nothing_but_the_colour() -> None:
    rows = [(Toned("1", Tone.BAD), "a"), ("1000", Toned("", Tone.GOOD), "c")]
    painted = list(table_lines(COLUMNS, lambda: rows, lambda text, tone: f"<{tone.name}:{text}>"))
    assert painted[1] == "   <BAD:1>  a"
    assert painted[2] == "1000        c"


def test_table_lines_should_be_made_one_by_one() -> None:
    made = count()

    def rows() -> Iterator[tuple[str]]:
        for _ in range(1000):
            yield (str(next(made)),)

    assert len(list(islice(table_lines((Column("N"),), rows), 3))) == 3
    assert next(made) == 1002  # all of them once for the widths, then two for the lines


@given(st.lists(st.tuples(*[st.text(st.characters(categories=("L", "N")), max_size=20)] * 3), min_size=1))
def test_the_last_column_should_begin_at_one_place(rows: list[tuple[str, str, str]]) -> None:
    marked = [(first, second, f"|{third}") for first, second, third in rows]
    assert len({shown_width(line[: line.index("|")]) for line in lines_of(*marked)[1:]}) == 1
