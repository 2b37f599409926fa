import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from applier.disk.journal import Journal, StagedContent, StagedState, read_journal

CONTENT = StagedContent("d8e8fca2dc0f896fd7cb4cb0031ba249-5", 500, 2224281231)


@pytest.fixture
def text(tmp_path: Path) -> str:
    journal = Journal(os.open(tmp_path / "journal", os.O_RDWR | os.O_CREAT))
    journal.start(CONTENT)
    journal.landed((0, 10))
    journal.landed((10, 20))
    journal.part_done(1, b"0123456789abcdef")
    journal.close()
    return (tmp_path / "journal").read_text(encoding="ascii")


def test_journal_should_give_back_what_was_noted(text: str) -> None:
    assert read_journal(text, CONTENT) == StagedState({(0, 10), (10, 20)}, {1: b"0123456789abcdef"})


@pytest.mark.parametrize(
    "other",
    [
        StagedContent("d8e8fca2dc0f896fd7cb4cb0031ba249-6", 500, 2224281231),
        StagedContent("d8e8fca2dc0f896fd7cb4cb0031ba249-5", 100, 2224281231),
        StagedContent("d8e8fca2dc0f896fd7cb4cb0031ba249-5", 500, 2224281232),
    ],
)
def test_journal_of_another_content_should_be_of_no_use(text: str, other: StagedContent) -> None:
    assert read_journal(text, other) is None


def test_journal_should_tell_that_local_bytes_may_be_staged(tmp_path: Path) -> None:
    journal = Journal(os.open(tmp_path / "journal", os.O_RDWR | os.O_CREAT))
    journal.start(CONTENT)
    journal.local_bytes_follow()
    journal.landed((0, 10))
    journal.close()

    state = read_journal((tmp_path / "journal").read_text(encoding="ascii"), CONTENT)

    assert state == StagedState({(0, 10)}, local_bytes=True)


def test_journal_cut_anywhere_should_be_read_as_far_as_it_makes_sense(text: str) -> None:
    whole = read_journal(text, CONTENT)
    assert whole is not None
    head = text.index("\n")
    for length in range(len(text)):
        state = read_journal(text[:length], CONTENT)
        if length < head:
            assert state is None
        else:
            assert state is not None
            assert state.landed <= whole.landed
            assert state.part_digests.items() <= whole.part_digests.items()


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "null",
        "{",
        "[" * 100_000,
        '{"landed": 5}',
        '{"landed": [1e999, 5]}',
        '{"landed": [0, 1e999]}',
        '{"landed": [NaN, 5]}',
        '{"landed": [5, 0]}',
        '{"landed": [-5, 5]}',
        '{"landed": [0, 5.5]}',
        '{"landed": [0, 1, 2]}',
        '{"landed": [0, 2224281232]}',
        '{"landed": [0, ' + "9" * 5000 + "]}",
        '{"landed": {"0": 1}}',
        '{"part": "x", "md5": ""}',
        '{"part": 0, "md5": "zz"}',
        '{"part": 0, "md5": "00"}',
        '{"part": Infinity, "md5": "00000000000000000000000000000000"}',
        '{"part": -1, "md5": "00000000000000000000000000000000"}',
        '{"part": 10000, "md5": "00000000000000000000000000000000"}',
        '{"part": 1.0, "md5": "00000000000000000000000000000000"}',
        '{"part": 0, "md5": ["00000000000000000000000000000000"]}',
        '{"local_bytes": "yes"}',
    ],
)
def test_journal_should_pass_over_a_line_that_makes_no_sense(text: str, line: str) -> None:
    head, rest = text.split("\n", 1)

    assert read_journal(f"{head}\n{line}\n{rest}", CONTENT) == read_journal(text, CONTENT)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda below: (
        st.lists(below, max_size=4)
        | st.dictionaries(st.sampled_from(["landed", "part", "md5", "local_bytes", "etag", "x"]), below, max_size=4)
    ),
    max_leaves=8,
)


@given(lines=st.lists(JSON.map(json.dumps) | st.text(max_size=80), max_size=8))
def test_whatever_a_journal_holds_should_be_read_as_ranges_and_digests_of_the_file(lines: list[str]) -> None:
    head = json.dumps({"etag": CONTENT.etag, "chunk_size_mb": 500, "size_bytes": CONTENT.size_bytes})

    state = read_journal("\n".join([head, *lines]), CONTENT)

    assert state is not None
    for start, end in state.landed:
        assert type(start) is type(end) is int
        assert 0 <= start < end <= CONTENT.size_bytes
    for index, digest in state.part_digests.items():
        assert type(index) is int
        assert len(digest) == 16


@given(text=st.text() | JSON.map(json.dumps))
def test_whatever_stands_in_a_journal_s_place_should_be_of_no_use(text: str) -> None:
    assert read_journal(text, CONTENT) is None
