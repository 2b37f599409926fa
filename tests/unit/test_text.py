"""Texts for people: one line, nothing that steers a terminal, a bounded length."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.text import counted, human_size, is_visible, printable, writable


@given(st.text(st.characters(), max_size=50))
def test_printable_should_be_printable_on_one_line_and_say_the_same(text: str) -> None:
    shown = printable(text)
    assert is_visible(shown)
    assert shown.encode().decode() == shown
    if is_visible(text):
        assert shown == text


@pytest.mark.parametrize("number", [0x34F, 0x115F, 0x1160, 0x17B4, 0x180F, 0x2800, 0x3164, 0xFE0F, 0xFFA0, 0xE0100])
def test_printable_should_escape_what_cannot_be_seen(number: int) -> None:
    assert chr(number).isprintable()
    assert printable(f"a{chr(number)}").startswith("a\\")


def test_printable_should_cut_what_is_long() -> None:
    shown = printable("x" * 5000, 100)
    assert shown.startswith("x" * 100 + "… ")
    assert "4900 more" in shown
    assert len(shown) < 130


@given(st.text(st.characters(), max_size=300), st.integers(0, 200))
def test_printable_should_keep_to_its_limit_in_bytes_escapes_included(text: str, limit: int) -> None:
    shown = printable(text, limit)
    kept, cut, _ = shown.rpartition("… (")
    assert len((kept if cut and shown.endswith("more characters)") else shown).encode()) <= limit


def test_printable_should_not_look_at_what_it_does_not_show() -> None:
    shown = printable("\U000e0001" * 1_000_000)
    assert len(shown.encode()) < 1100
    assert shown.endswith("… (999900 more characters)")


@given(st.text(st.characters(), max_size=50))
def test_writable_should_change_lone_surrogates_only(text: str) -> None:
    assert writable(text).encode().decode() == writable(text)
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert writable(text) == text


def test_counted_should_name_one_and_many() -> None:
    assert [counted(number, "file") for number in (0, 1, 2, 2500)] == ["0 files", "1 file", "2 files", "2,500 files"]


def test_human_size_should_never_show_a_thousand_and_more_of_a_unit() -> None:
    sizes = (0, 1, 1023, 1024, 1024**2 - 1, 1024**2, 3 * 1024**4, 1024**5)
    shown = ["0 B", "1 B", "1,023 B", "1.0 KiB", "1.0 MiB", "1.0 MiB", "3.0 TiB", "1.0 PiB"]
    assert [human_size(size) for size in sizes] == shown
