"""Which raw files are asked for."""

import io
from pathlib import Path

import pytest

from planner.raw_file_ids import ids_from_arguments, ids_from_text, merge_ids, read_ids_file
from schemas.errors import ConfigError


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        ([], []),
        (["a"], ["a"]),
        (["a", "b"], ["a", "b"]),
        (["a,b", "c"], ["a", "b", "c"]),
        ([" a , b ", ",", "", " "], ["a", "b"]),
        (["b", "a", "b,a"], ["b", "a"]),
        (["with space.raw"], ["with space.raw"]),
        (["$where", "{}"], ["$where", "{}"]),
        (["bytes\udcff"], ["bytes\\udcff"]),
    ],
)
def test_ids_from_arguments_should_be_clean_in_order_and_once_each(arguments: list[str], ids: list[str]) -> None:
    assert ids_from_arguments(arguments) == ids


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", []),
        ("a\nb\n", ["a", "b"]),
        ("a, b,c\td\r\n\r\n e ", ["a", "b", "c", "d", "e"]),
        ("# a comment\na # and one more, b\n#c", ["a"]),
        ("a#1\n", ["a#1"]),
        ("b\na\nb", ["b", "a"]),
    ],
)
def test_ids_from_text_should_be_one_or_more_a_line(text: str, ids: list[str]) -> None:
    assert ids_from_text(text) == ids


def test_ids_file_should_be_read_with_or_without_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_bytes(b"\xef\xbb\xbfa\xc3\xa4\nb")
    assert read_ids_file(str(path)) == ["aä", "b"]


def test_ids_file_should_be_read_from_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a b")))
    assert read_ids_file("-") == ["a", "b"]


def test_ids_file_that_cannot_be_read_should_be_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.txt cannot be read: No such file"):
        read_ids_file(str(tmp_path / "none.txt"))
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_ids_file(str(tmp_path))
    (tmp_path / "latin1.txt").write_bytes(b"a\xe4")
    with pytest.raises(ConfigError, match="not UTF-8 text, at offset 1"):
        read_ids_file(str(tmp_path / "latin1.txt"))


def test_merge_ids_should_keep_the_order_and_each_id_once() -> None:
    assert merge_ids(["b", "a"], ["c", "a"]) == ("b", "a", "c")
