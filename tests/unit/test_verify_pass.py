"""What a pass of `verify` remembers, whatever becomes of its record; and whose turn it is."""

import hashlib
import os
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_samples import make_plan, planned_file, planned_raw_file

from applier.disk.folders import OutputFolder
from applier.reports.results_writer import ResultSink
from applier.restore.crew import Crew
from applier.restore.progress import Progress
from applier.verify.pass_record import Verified, open_pass
from applier.verify.sample import Candidate, choose_sample
from applier.verify.verify_plan import Extent, VerifyTools, verify_plan
from schemas.errors import ConfigError

NOW = datetime(2026, 11, 28, 2, 30, tzinfo=UTC)
RIGHT = Verified("2026-11-28 02:31:00 UTC", 100, 5)


def recorded(path: Path) -> Path:
    """A record of one file that is right and one that is wrong."""
    with open_pass(path, NOW) as record:
        record.note("a", RIGHT)
        record.note("b", RIGHT)
        record.note("b", None)
    return path


def test_a_record_should_be_resumed(tmp_path: Path) -> None:
    path = recorded(tmp_path / "verify" / "pass.jsonl")

    with open_pass(path, NOW + timedelta(days=1)) as record:
        assert record.head.began_at == "2026-11-28 02:30:00 UTC"
        assert record.verified("a") == RIGHT
        assert (record.was_read("b"), record.was_wrong("b"), record.verified("b")) == (True, True, None)
        assert (record.was_read("c"), record.was_wrong("c")) == (False, False)


@pytest.mark.parametrize("restart", [False, True])
def test_a_new_pass_should_only_know_what_was_wrong(tmp_path: Path, *, restart: bool) -> None:
    path = recorded(tmp_path / "pass.jsonl")
    with open_pass(path, NOW) as before:
        before.end()

    for day in (1, 2):  # the second time it is resumed
        with open_pass(path, NOW + timedelta(days=day), restart=restart and day == 1) as record:
            assert record.head.began_at == "2026-11-29 02:30:00 UTC"
            assert record.head.pass_id != before.head.pass_id
            assert not record.was_read("a")
            assert record.was_wrong("b") is not restart


@pytest.mark.parametrize(
    "damage", [b"", b"\xff\x00", b"{}\n", b"[]\n", b'{"pass_id": 1, "began_at": "x"}\n', b"[" * 99999]
)
def test_a_record_without_a_head_should_begin_anew(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "pass.jsonl"
    path.write_bytes(damage)

    with open_pass(path, NOW) as record:
        record.note("a", RIGHT)
    with open_pass(path, NOW) as again:
        assert again.head == record.head
        assert again.verified("a") == RIGHT


@pytest.mark.parametrize(
    "line",
    [
        b'{"path": "c", "at": "x", "size',
        b'{"path": "c", "at": "x", "size_bytes": "9", "modified_ns": 1}',
        b'{"path": "c"}',
        b"[]",
        b'{"path": "c", "at": "x", "size_bytes": 1, "modified_ns": ' + b"1" * 5000 + b"}",
        b"[" * 99999,
        b"\xff",
    ],
)
def test_a_damaged_line_should_cost_a_reading_and_nothing_else(tmp_path: Path, line: bytes) -> None:
    path = recorded(tmp_path / "pass.jsonl")
    path.write_bytes(path.read_bytes() + line + b"\n")

    with open_pass(path, NOW) as record:
        assert record.verified("a") == RIGHT
        assert not record.was_read("c")


def test_a_record_should_be_one_runs_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "pass.jsonl"
    with open_pass(path, NOW), pytest.raises(ConfigError, match="another run is verifying"), open_pass(path, NOW):
        pass
    with open_pass(path, NOW):
        pass


def test_a_record_that_cannot_be_kept_should_only_be_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    with open_pass(tmp_path / "file" / "pass.jsonl", NOW) as record:
        record.note("a", RIGHT)
        assert record.verified("a") == RIGHT
    assert "is not remembered" in caplog.text


def test_files_should_be_read_from_their_disk_and_not_from_memory(
    tmp_path: Path, output: OutputFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given two files, one of which was read earlier in this pass
    forgotten: list[tuple[int, int]] = []

    def note(descriptor: int, offset: int, length: int, advice: int) -> None:
        assert (offset, length, advice) == (0, 0, os.POSIX_FADV_DONTNEED)
        forgotten.append((os.fstat(descriptor).st_dev, os.fstat(descriptor).st_ino))

    monkeypatch.setattr(os, "posix_fadvise", note)
    files = []
    for name in ("earlier", "now"):
        (tmp_path / name).write_bytes(b"abc")
        files.append(planned_file(name, etag=hashlib.md5(b"abc").hexdigest()))
    status = (tmp_path / "earlier").stat()
    raw_file = replace(planned_raw_file("r", *files), destination_base=str(tmp_path))
    plan = replace(make_plan(raw_file), output_location=str(tmp_path))

    # when
    with open_pass(None, NOW) as record:
        record.note("earlier", Verified("2026-11-28 02:31:00 UTC", 3, status.st_mtime_ns))
        tools = VerifyTools(output=output, crew=Crew(1, threading.Event()), progress=Progress())
        result, ended = verify_plan(plan, tools, record, Extent(), ResultSink())

    # then
    assert (ended, result.succeeded) == (True, True)
    now = (tmp_path / "now").stat()
    assert forgotten == [(now.st_dev, now.st_ino)]


@given(
    sizes=st.lists(st.one_of(st.none(), st.integers(0, 10**9)), min_size=1, max_size=60),
    percent=st.integers(5, 100),
)
def test_samples_should_read_every_file_once_in_as_many_runs_as_the_share_asks_for(
    sizes: list[int | None], percent: int
) -> None:
    files = [Candidate(str(number), size) for number, size in enumerate(sizes)]
    total = sum(file.weight for file in files)
    read: list[str] = []
    runs = 0
    while len(read) < len(files):
        unread = [file for file in files if file.path not in read]
        chosen = choose_sample(unread, total, percent / 100, "a pass")
        assert chosen
        assert chosen.isdisjoint(read)
        read += chosen
        runs += 1
    assert sorted(read) == sorted(file.path for file in files)
    assert runs <= -(-100 // percent)


def test_passes_should_have_an_order_of_their_own() -> None:
    files = [Candidate(str(number), 100) for number in range(100)]
    first, second = (choose_sample(files, sum(file.weight for file in files), 0.1, name) for name in ("a", "b"))
    assert len(first) == len(second) == 10
    assert first != second
