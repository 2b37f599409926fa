"""Which raw files texts ask for, beside the ids that are known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.raw_file_ids import AskedText, ReadIds, possible_ids, possible_joined_ids, read_ids, split_at_commas

POOL = "/fs/pool/backup/test1/2026_11"


def read(texts: list[str], known: set[str], *, has_comments: bool = False) -> ReadIds:
    """What texts ask for; all that is known of it must have been looked up."""
    asked = [AskedText(text, has_comments) for text in texts]
    looked_up = known & possible_ids(asked).keys()
    looked_up |= known & possible_joined_ids(asked, looked_up).keys()
    found = read_ids(asked, looked_up)
    assert found == read_ids(asked, known)
    return found


@pytest.mark.parametrize(
    "raw_file_id",
    [
        "conc_0,5ng.raw",
        "with space (1).raw",
        " leading blank.raw",
        "-dash.raw",
        "a #1.raw",
        "#1, b.raw",
        "grün+ä.d",
        "- x.raw",
        "a/b",
        "line\u2028end\x85.raw",
        "$where",
    ],
)
@pytest.mark.parametrize("has_comments", [False, True])
def test_what_is_an_id_as_a_whole_should_be_that_id(raw_file_id: str, *, has_comments: bool) -> None:
    pieces = {"conc_0", "5ng.raw", "with", "space", "a", "b", "x.raw", "b.raw"}
    assert read([raw_file_id], {raw_file_id, *pieces}, has_comments=has_comments).raw_file_ids == (raw_file_id,)


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.sets(st.text(max_size=5)))
def test_every_id_should_be_within_reach(raw_file_id: str, others: set[str]) -> None:
    assert read([raw_file_id], {raw_file_id, *others}).raw_file_ids == (raw_file_id,)


@pytest.mark.parametrize(
    ("texts", "ids"),
    [
        ([], ()),
        (["", " ", ","], ()),
        (["a", "b"], ("a", "b")),
        (["a,b", "c"], ("a", "b", "c")),
        ([" a , b ", ",b,,a"], ("a", "b")),
        (["b a", "c\ta"], ("b", "a", "c")),
        (["a 1,b"], ("a 1", "b")),
        (["b,a 1 c"], ("b", "a", "1", "c")),
        ([" - a", "* b"], ("a", "b")),
    ],
)
def test_other_texts_should_be_split_at_commas_and_then_at_blanks(texts: list[str], ids: tuple[str, ...]) -> None:
    assert read(texts, {"a", "b", "c", "1"} | ({"a 1"} if "a 1,b" in texts else set())).raw_file_ids == ids


@pytest.mark.parametrize(
    ("line", "ids"),
    [("a # and one more, b", ("a",)), ("# a", ()), ("#a", ()), ("a#1", ("a#1",)), (" - a # c", ("a",))],
)
def test_comments_should_be_left_out_of_lines(line: str, ids: tuple[str, ...]) -> None:
    assert read([line], {"a", "b", "c"}, has_comments=True).raw_file_ids == ids


@pytest.mark.parametrize("separator", [",", ", "])
@pytest.mark.parametrize("known_halves", [set(), {"conc_0"}, {"5ng.raw"}])
def test_ids_with_commas_should_be_found_in_a_list_that_is_joined_by_commas(
    separator: str, known_halves: set[str]
) -> None:
    ids = ["a.raw", "conc_0,5ng.raw", "x,y,z.raw", "b c.raw"]
    found = read([separator.join(ids)], {*ids, *known_halves})
    assert found.raw_file_ids == tuple(ids)
    assert read([separator.join([*ids, "none"])], set(ids)).unknown == ("none",)


@pytest.mark.parametrize("line", ["a.raw,b #1.raw", "b #1.raw, a.raw", "/p/b #1.raw /p/a.raw"])
def test_a_comment_sign_in_a_known_id_should_be_no_comment(line: str) -> None:
    assert set(read([line], {"a.raw", "b #1.raw"}, has_comments=True).raw_file_ids) == {"a.raw", "b #1.raw"}


def test_paths_with_blanks_in_one_line_should_each_be_read() -> None:
    line = "/My Pool/a b.raw /My Pool/c,d.raw /p/e.raw"
    assert read([line], {"a b.raw", "c,d.raw", "e.raw"}).raw_file_ids == ("a b.raw", "c,d.raw", "e.raw")


def test_unknown_ids_should_stay_whole_unless_a_piece_of_them_is_known() -> None:
    found = read(["no such.raw", "x,y", "a 7", "bytes\udcff"], {"a"})
    assert found.raw_file_ids == ("no such.raw", "x", "y", "a", "7", "bytes\\udcff")
    assert found.unknown == ("no such.raw", "x", "y", "7", "bytes\\udcff")


@pytest.mark.parametrize(
    ("path", "raw_file_id"),
    [
        (f"{POOL}/x.raw", "x.raw"),
        (f"{POOL}/x.raw/", "x.raw"),
        (f"{POOL}/x.d/analysis.tdf", "x.d"),
        (f"{POOL}/x.d/1234.m/settings.xml", "x.d"),
        (f"{POOL}/s.wiff", "s.wiff"),
        (f"{POOL}/s.wiff2", "s.wiff"),
        (f"{POOL}/s.wiff.scan", "s.wiff"),
        (f"{POOL}/s.timeseries.data", "s.wiff"),
        ("/out/PRID001/s.wiff/s.wiff.scan", "s.wiff"),
        ("/My Pool, old/with space (1).raw", "with space (1).raw"),
        ("/My Pool/conc_0,5ng.raw", "conc_0,5ng.raw"),
        (r"\\samba-pool-0\backup\x.raw", "x.raw"),
        (r"D:\data\x.raw", "x.raw"),
        ("backup/x.raw", "x.raw"),
    ],
)
@pytest.mark.parametrize("bullet", ["", " - ", "- "])
def test_a_path_should_stand_for_its_raw_file(path: str, raw_file_id: str, bullet: str) -> None:
    known = {"x.raw", "x.d", "s.wiff", "with space (1).raw", "conc_0,5ng.raw"}
    found = read([bullet + path], known)
    assert found.raw_file_ids == (raw_file_id,)
    assert found.pasted == ((path, raw_file_id),)


@pytest.mark.parametrize("separator", [" ", ",", ", "])
@pytest.mark.parametrize("folder", [f"{POOL}/", r"D:\data" + "\\", "pool/"])
def test_several_paths_in_one_text_should_each_be_read_and_none_dropped(separator: str, folder: str) -> None:
    both = f"{folder}a.raw{separator}{folder}b.raw"
    assert read([both], {"a.raw", "b.raw"}).raw_file_ids == ("a.raw", "b.raw")
    one_unknown = read([both], {"b.raw"})
    assert "b.raw" in one_unknown.raw_file_ids
    assert one_unknown.unknown == (f"{folder}a.raw",)


def test_a_path_should_not_stand_for_a_raw_file_with_another_name() -> None:
    assert read([f"{POOL}/s.raw", f"{POOL}/x.raw.bak"], {"s.wiff", "x.raw", "s", "x"}).unknown == (
        f"{POOL}/s.raw",
        f"{POOL}/x.raw.bak",
    )


def test_names_of_projects_should_be_split_at_commas() -> None:
    assert split_at_commas(["a, b", "c c", "a,", ""]) == ["a", "b", "c c"]
