"""Safe paths: nothing may lead out of the destination, forge a line, or collide with our own files."""

import os
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.paths import (
    explain_long_path,
    explain_unsafe_absolute_path,
    explain_unsafe_relative_path,
    folded_path,
    is_within,
    join_path,
    path_below,
)


@pytest.mark.parametrize(
    "path",
    [
        "a",
        "a.d/b.m/c",
        "ä ö/ü",
        "a b",
        "..a",
        "a..",
        "...",
        ".hidden",
        "a\\b",
        "é" * 127,
        "x" * 255,
    ],
)
def test_ordinary_relative_paths_should_be_safe(path: str) -> None:
    assert explain_unsafe_relative_path(path) is None


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("", "it is empty"),
        ("/etc/passwd", "it is absolute"),
        ("..", "'..'"),
        ("a/../../b", "'..'"),
        ("./a", "'.'"),
        ("a//b", "''"),
        ("a/", "''"),
        ("a\0b", "U+0000"),
        ("a\nb", "U+000A"),
        ("a\x1b[31m", "U+001B"),
        ("a\x85", "U+0085"),
        ("a\ud800", "U+D800"),
        ("x" * 256, "over 255 bytes"),
        ("é" * 128, "over 255 bytes"),
        (".kraken-plan/x", "own folder"),
        ("a/.KRAKEN-plan", "own folder"),
        ("_download_status_batch_20250204_143022.txt", "own reports"),
        ("a/_Download_status_batch_20250204_143022.txt", "own reports"),
        ("_Download_Status_Batch_x/y", "own reports"),
        (".kraken\u200b-plan/x", "own folder"),
        ("\uff3fdownload_status_batch_x", "own reports"),
    ],
)
def test_unsafe_relative_paths_should_be_explained(path: str, words: str) -> None:
    assert words in str(explain_unsafe_relative_path(path))


@given(st.text(st.characters() | st.sampled_from("/.\0\n"), max_size=20))
def test_a_safe_path_should_stay_below_its_base(path: str) -> None:
    assume(explain_unsafe_relative_path(path) is None)
    joined = join_path("/out/PRID001", path)
    assert os.path.normpath(joined) == joined
    assert joined.startswith("/out/PRID001/")
    assert is_within(joined, "/out/PRID001")
    assert path.encode().decode() == path


def test_a_path_should_be_too_long_from_4096_bytes_on() -> None:
    assert explain_long_path("/" + "x" * 4094) is None
    assert explain_long_path("/" + "é" * 2047) is None
    assert "4,096 bytes" in str(explain_long_path("/" + "x" * 4095))
    assert "4,097 bytes" in str(explain_long_path("/" + "é" * 2048))


@given(st.text(max_size=10))
def test_what_differs_in_case_or_form_alone_should_have_one_folded_form(path: str) -> None:
    forms = (path.swapcase().swapcase(), unicodedata.normalize("NFD", path), unicodedata.normalize("NFC", path))
    assert {folded_path(form) for form in (*forms, folded_path(path))} == {folded_path(path)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a", "a."),
        ("a", "a "),
        ("x.d/y", "x.d. ./y"),
        ("x.d/y", "X.D/Y .. "),
        ("a", "a.\u200b"),
        ("a", "a\u00a0"),
        ("a", "a\u2026"),
    ],
)
def test_dots_and_blanks_at_the_end_of_a_name_should_not_count_when_folded(one: str, other: str) -> None:
    assert folded_path(one) == folded_path(other)


def test_dots_and_blanks_elsewhere_should_count_when_folded() -> None:
    paths = ["a.b", "ab", " ab", ".ab", "a b", "a/b", "a/.b"]
    assert len({folded_path(path) for path in paths}) == len(paths)


@pytest.mark.parametrize("path", ["/", "/out", "/fs/pool/ä b"])
def test_ordinary_absolute_paths_should_be_safe(path: str) -> None:
    assert explain_unsafe_absolute_path(path) is None


@pytest.mark.parametrize("path", ["", "out", "//out", "/out/", "/out/../etc", "/a//b", "/a\nb", "/./a"])
def test_unsafe_absolute_paths_should_be_explained(path: str) -> None:
    assert explain_unsafe_absolute_path(path) is not None


def test_a_path_should_be_within_its_base_by_whole_components() -> None:
    assert is_within("/out/a", "/out")
    assert is_within("/out", "/out")
    assert is_within("/out", "/")
    assert not is_within("/output", "/out")
    assert not is_within("/", "/out")


@given(st.lists(st.sampled_from(["a", "..", ".", "", "ä", "/", "b.c", "...", " "]), max_size=6).map("/".join))
def test_no_joined_path_should_ever_lead_outside_of_its_base(path: str) -> None:
    """Whatever is not refused: resolved as the file system would resolve it, it is below, and comes back as it was."""
    for base in ("/out/PRID001", "/"):
        if explain_unsafe_relative_path(path) is None:
            joined = join_path(base, path)
            assert os.path.normpath(joined) == joined
            assert is_within(joined, base)
            assert joined != base
            assert path_below(joined, base) == path
        else:
            assert set(path.split("/")) & {"", ".", ".."}
