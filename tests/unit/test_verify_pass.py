"""What a pass of `verify` remembers, whatever becomes of its record; and whose turn it is."""

import hashlib
import itertools
import json
import os
import threading
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_samples import make_plan, planned_file, planned_raw_file

from applier.disk.file_identity import FileIdentity, file_identity
from applier.disk.folders import OutputFolder
from applier.reports.results_writer import ResultSink
from applier.restore.crew import Crew
from applier.restore.progress import Progress
from applier.verify.pass_record import PassRecord, Verified, open_pass
from applier.verify.sample import Candidate, choose_sample
from applier.verify.verification_report import verification_status
from applier.verify.verify_plan import Extent, VerifyTools, verify_plan
from schemas.errors import ConfigError
from schemas.etag import MIB
from schemas.plan import Plan, PlannedFile
from schemas.results import Failure, FailureKind, FileResult
from schemas.tally import Fate, Tally

NOW = datetime(2026, 11, 28, 2, 30, tzinfo=UTC)
RIGHT = Verified("2026-11-28 02:31:00 UTC", 100, 5, 6, 7)


def line_of(at: str) -> bytes:
    """A record's line of a file that was verified then."""
    return json.dumps({"path": "c", **RIGHT._replace(at=at)._asdict()}).encode()


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


def test_a_pass_that_takes_several_runs_should_need_its_record(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")

    for path, said in ((None, "there is no state folder"), (tmp_path / "taken" / "pass.jsonl", "cannot be written")):
        with open_pass(path, NOW) as record:
            assert not record.is_kept
        with pytest.raises(ConfigError, match=rf"{said}, so every run .*\(--state-dir"), ExitStack() as opened:
            opened.enter_context(open_pass(path, NOW, must_be_kept=True))

    with open_pass(tmp_path / "pass.jsonl", NOW, must_be_kept=True) as record:
        assert record.is_kept


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
    "damage",
    [
        b"",
        b"\xff\x00",
        b"{}\n",
        b"[]\n",
        b'{"pass_id": 1, "began_at": "x"}\n',
        b"[" * 99999,
        b'{"pass_id": "1", "began_at": "2026-11-28\\n02:31:00 UTC"}\n',
    ],
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
        b'{"path": "c", "at": "2026-11-28 02:31:00 UTC", "size_bytes": 1, "modified_ns": 1}',  # of an older version
        line_of("2026-11-28 02:31:00 UTC\nStatus: SUCCESS"),
        line_of("2026-11-28\n02:31:00 UTC"),
        line_of("\x1b[2J"),
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
    assert "/file/pass.jsonl: the progress of this pass cannot be saved: File exists" in caplog.text


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
    plan = plan_of(tmp_path, *files)

    # when
    with open_pass(None, NOW) as record:
        record.note("earlier", Verified.of(file_identity(status), NOW))
        tools = VerifyTools(output=output, crew=Crew(1, threading.Event()), progress=Progress())
        result, ended = verify_plan(plan, tools, record, Extent(), ResultSink())

    # then
    assert (ended, result.succeeded) == (True, True)
    now = (tmp_path / "now").stat()
    assert forgotten == [(now.st_dev, now.st_ino)]


def plan_of(folder: Path, *files: PlannedFile) -> Plan:
    raw_file = replace(planned_raw_file("r", *files), destination_base=str(folder))
    return replace(make_plan(raw_file), output_location=str(folder))


def look(output: OutputFolder, plan: Plan, record: PassRecord, progress: Progress | None = None) -> FileResult:
    """Verify a plan of one file."""
    tools = VerifyTools(output=output, crew=Crew(1, threading.Event()), progress=progress or Progress())
    result, ended = verify_plan(plan, tools, record, Extent(), ResultSink())
    assert ended
    (file,) = result.files()
    return file


@pytest.mark.parametrize("moved", ["file", "folder"])
def test_a_file_that_was_moved_over_a_verified_one_should_be_read(
    tmp_path: Path, output: OutputFolder, moved: str
) -> None:
    # given a verified file, and another one of the same size and time in another folder
    for name, content in (("d", b"abc"), ("other", b"xyz")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_bytes(content)
        os.utime(tmp_path / name / "f", ns=(1, 1))
    plan = plan_of(tmp_path, planned_file("d/f", etag=hashlib.md5(b"abc").hexdigest()))
    with open_pass(tmp_path / "pass.jsonl", NOW) as record:
        assert look(output, plan, record).failure is None
        assert look(output, plan, record).remark == "earlier in this pass, at " + (record.verified("d/f") or RIGHT).at

        # when
        if moved == "file":
            (tmp_path / "other" / "f").rename(tmp_path / "d" / "f")
        else:
            (tmp_path / "d").rename(tmp_path / "old")
            (tmp_path / "other").rename(tmp_path / "d")

        # then
        failure = look(output, plan, record).failure
    assert failure is not None
    assert failure.detail.startswith("etag ")


def test_an_inode_number_should_only_count_where_it_is_reliable() -> None:
    found = FileIdentity(device=1, inode=7, links=1, size_bytes=100, modified_ns=5, changed_ns=6)
    assert RIGHT.is_untouched(found)
    assert not RIGHT.is_untouched(found._replace(inode=8))
    assert RIGHT._replace(inode=0).is_untouched(found)
    assert not RIGHT._replace(inode=0).is_untouched(found._replace(changed_ns=7))
    assert not RIGHT.is_untouched(None)


def test_inode_numbers_that_change_at_each_look_should_be_left_out(
    tmp_path: Path, output: OutputFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Renumbered:
        def __init__(self, status: os.stat_result) -> None:
            self._status, self.st_ino = status, next(numbers)

        def __getattr__(self, name: str) -> object:
            return getattr(self._status, name)

    (tmp_path / "f").write_bytes(b"abc")
    numbers, fstat = itertools.count(1000), os.fstat
    monkeypatch.setattr(os, "fstat", lambda descriptor: Renumbered(fstat(descriptor)))
    plan = plan_of(tmp_path, planned_file("f", etag=hashlib.md5(b"abc").hexdigest()))
    with open_pass(None, NOW) as record:
        assert look(output, plan, record).failure is None
        assert (record.verified("f") or RIGHT).inode == 0
        assert "earlier" in (look(output, plan, record).remark or "")


def test_a_file_that_was_wrong_should_stay_so_where_the_time_is_up_before_it_is_read_again(
    tmp_path: Path, output: OutputFolder
) -> None:
    (tmp_path / "wrong").write_bytes(b"abc")
    (tmp_path / "unread").write_bytes(b"abc")
    etag = hashlib.md5(b"abc").hexdigest()
    plan = plan_of(tmp_path, planned_file("unread", etag), planned_file("wrong", etag))
    tools = VerifyTools(output=output, crew=Crew(1, threading.Event()), progress=Progress())
    with open_pass(None, NOW) as record:
        record.note("wrong", None)

        result, _ = verify_plan(plan, tools, record, Extent(is_over=lambda: True), ResultSink())

    unread, wrong = result.files()
    assert unread.failure == Failure(FailureKind.NOT_ATTEMPTED)
    assert wrong.failure is not None
    assert wrong.failure.message.startswith("Not as planned: it was wrong when last read")


class Overwriting(Progress):
    """Overwrites a file's begin, which was read already, behind the back of its time of modification.

    Args:
        path: of the file.
        times: how often; after that, whatever is read is left alone.
    """

    def __init__(self, path: Path, times: int) -> None:
        self._path, self._left = path, times
        self.total = 0

    def bytes_verified(self, count: int) -> None:
        self.total += count
        if count < 0 or self._left == 0:
            return
        self._left -= 1
        before = self._path.stat()
        while self._path.stat().st_ctime_ns == before.st_ctime_ns:  # its clock ticks some hundred times a second
            with self._path.open("r+b") as file:
                file.write(b"overwritten")
            os.utime(self._path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    ("times", "words"), [(1, "etag "), (99, "it keeps changing: another program is writing to it, ")]
)
def test_a_file_that_changes_while_it_is_read_should_not_count_as_verified(
    tmp_path: Path, output: OutputFolder, times: int, words: str
) -> None:
    content = bytes(9 * MIB)
    (tmp_path / "f").write_bytes(content)
    parts = b"".join(hashlib.md5(part).digest() for part in (content[: 5 * MIB], content[5 * MIB :]))
    plan = plan_of(tmp_path, planned_file("f", f"{hashlib.md5(parts).hexdigest()}-2", len(content)))
    progress = Overwriting(tmp_path / "f", times)

    with open_pass(None, NOW) as record:
        failure = look(output, plan, record, progress).failure
        assert record.was_wrong("f")

    assert failure is not None
    assert failure.detail.startswith(words)
    assert progress.total == 0


def test_what_is_not_a_file_in_the_place_of_the_record_should_be_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.mkfifo(tmp_path / "pass.jsonl")
    with open_pass(tmp_path / "pass.jsonl", NOW) as record:
        record.note("a", RIGHT)
    assert "/pass.jsonl: the progress of this pass cannot be saved: it is not a regular file" in caplog.text


@pytest.mark.parametrize(
    ("fates", "status"),
    [
        ((Fate.ALREADY_RIGHT,), "SUCCESS"),
        ((Fate.ALREADY_RIGHT, Fate.NOT_ATTEMPTED), "INCOMPLETE"),
        ((Fate.ALREADY_RIGHT, Fate.UNRESOLVABLE), "PARTIAL FAILURE"),
        ((Fate.ALREADY_RIGHT, Fate.NOT_ATTEMPTED, Fate.UNRESOLVABLE), "PARTIAL FAILURE"),
        ((Fate.ALREADY_RIGHT, Fate.FAILED), "PARTIAL FAILURE"),
        ((Fate.UNRESOLVABLE,), "FAILURE"),
        ((Fate.FAILED,), "FAILURE"),
    ],
)
def test_a_status_should_be_in_the_words_of_the_report_of_apply(fates: tuple[Fate, ...], status: str) -> None:
    assert verification_status(Tally.of_entries((fate, 1) for fate in fates)) == status


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
