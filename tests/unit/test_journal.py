import os
from pathlib import Path

import pytest

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
    "line", ["[]", "null", '{"landed": 5}', '{"part": "x", "md5": ""}', '{"part": 0, "md5": "zz"}', "{"]
)
def test_journal_should_pass_over_a_line_that_makes_no_sense(text: str, line: str) -> None:
    head, rest = text.split("\n", 1)

    assert read_journal(f"{head}\n{line}\n{rest}", CONTENT) == read_journal(text, CONTENT)
