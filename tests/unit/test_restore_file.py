"""One file's way, with a small store of our own in memory: what cannot be provoked from outside, or not in time."""

import errno
import os
import stat
import threading
from pathlib import Path

import pytest
from memory_store import CONTENT, MemoryStore, restore_files
from sample_data import MIB, made_up_bytes

from applier.disk import rename
from applier.disk.part_hashing import SEGMENT_BYTES
from applier.restore.progress import Progress
from applier.s3.faults import S3Fault
from applier.s3.protocol import ObjectInfo
from schemas.results import FailureKind, FileResult, Outcome
from schemas.s3_location import ObjectLocation

BIG = made_up_bytes("big", 36 * MIB)


def restore(
    tmp_path: Path,
    store: MemoryStore,
    *,
    stop: threading.Event | None = None,
    attempts: int = 1,
    progress: Progress | None = None,
    jobs: int = 2,
) -> FileResult:
    """Restore `P/f` below tmp_path."""
    (result,) = restore_files(tmp_path, store, ["f"], stop=stop, attempts=attempts, progress=progress, jobs=jobs)
    return result


def transient(_key: str) -> None:
    raise S3Fault(FailureKind.NETWORK, "down", transient=True)


@pytest.fixture
def final(tmp_path: Path) -> Path:
    path = tmp_path / "P" / "f"
    path.parent.mkdir()
    return path


def test_bytes_should_be_synced_before_the_rename_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a file system that is watched
    log: list[str] = []
    fsync, real_rename = os.fsync, rename.renameat2

    def watched_fsync(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        log.append(f"fsync {kind} {Path(f'/proc/self/fd/{descriptor}').readlink().name[:5]}")
        fsync(descriptor)

    def watched_rename(source: str, destination: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        log.append(f"rename to {destination}")
        real_rename(source, destination, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(rename, "renameat2", watched_rename)

    # when
    assert restore(tmp_path, MemoryStore()).outcome is Outcome.DOWNLOADED

    # then
    at = log.index("rename to f")
    assert log[at - 1].startswith("fsync file ")
    assert log[at + 1] == "fsync folder P"


def test_a_body_that_is_longer_than_the_range_should_not_pass(tmp_path: Path) -> None:
    result = restore(tmp_path, MemoryStore(body=lambda _key: CONTENT + b"more"))

    assert result.outcome is Outcome.FAILED
    assert not (tmp_path / "P" / "f").exists()


def test_a_transient_fault_should_be_retried_as_often_as_asked_for(tmp_path: Path) -> None:
    store = MemoryStore(before_answer=transient)

    result = restore(tmp_path, store, attempts=4)

    assert result.failure is not None
    assert result.failure.kind is FailureKind.NETWORK
    assert store.requests.count("get f 0-21") == 4


@pytest.mark.parametrize("fails", [True, False])
def test_an_interrupted_healing_should_leave_the_local_file(tmp_path: Path, final: Path, *, fails: bool) -> None:
    # given a run that is to stop while a corrupt file is being fetched anew
    final.write_bytes(b"x" * len(CONTENT))
    stop = threading.Event()

    def interrupted(key: str) -> None:
        stop.set()
        if fails:
            transient(key)

    # when
    result = restore(tmp_path, MemoryStore(before_answer=interrupted), stop=stop, attempts=3)

    # then
    assert result.failure is not None
    assert result.failure.kind is FailureKind.INTERRUPTED
    assert final.read_bytes() == b"x" * len(CONTENT)


def test_hashing_the_local_file_should_be_interruptible(tmp_path: Path, final: Path) -> None:
    final.write_bytes(CONTENT)
    stop = threading.Event()
    store = MemoryStore()
    head = store.head

    class StoppingStore(MemoryStore):
        def head(self, location: ObjectLocation) -> ObjectInfo:
            stop.set()
            return head(location)

    result = restore(tmp_path, StoppingStore(), stop=stop)

    assert result.failure is not None
    assert result.failure.kind is FailureKind.INTERRUPTED


@pytest.mark.parametrize(("number", "healed"), [(5, True), (24, False), (12, False)])
def test_a_file_that_cannot_be_read_should_not_be_moved_aside(
    tmp_path: Path, final: Path, monkeypatch: pytest.MonkeyPatch, number: int, *, healed: bool
) -> None:
    # given a good file whose bytes cannot be read (EIO), or not just now (EMFILE, ENOMEM)
    final.write_bytes(CONTENT)
    preadv = os.preadv

    def failing(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        if Path(f"/proc/self/fd/{descriptor}").readlink() == final:
            raise OSError(number, os.strerror(number))
        return preadv(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", failing)

    # when S3 is down, and when it is not
    down = restore(tmp_path, MemoryStore(before_answer=transient))
    up = restore(tmp_path, MemoryStore())

    # then
    assert down.outcome is Outcome.FAILED
    assert up.outcome is (Outcome.HEALED if healed else Outcome.FAILED)
    assert [path.name for path in final.parent.iterdir()] == ["f"]
    assert final.read_bytes() == CONTENT


class Counted(Progress):
    total = 0

    def bytes_verified(self, count: int) -> None:
        self.total += count


def test_verified_bytes_of_a_failed_file_should_be_taken_back_from_the_progress(tmp_path: Path) -> None:
    # given a first body with a flipped bit
    bodies = iter([b"y" + CONTENT[1:], CONTENT])
    progress = Counted()

    # when
    result = restore(tmp_path, MemoryStore(body=lambda _key: next(bodies)), progress=progress)

    # then
    assert result.outcome is Outcome.DOWNLOADED
    assert progress.total == len(CONTENT)


def test_local_bytes_that_turned_out_wrong_should_be_taken_back_from_the_progress(tmp_path: Path, final: Path) -> None:
    final.write_bytes(b"y" + BIG[1:-1])
    progress = Counted()

    result = restore(tmp_path, MemoryStore(content=BIG), progress=progress)

    assert result.outcome is Outcome.HEALED
    assert progress.total == len(BIG)


def test_a_file_that_keeps_changing_while_it_is_read_should_fail_and_stay(tmp_path: Path, final: Path) -> None:
    class Touching(Progress):
        def bytes_verified(self, count: int) -> None:
            before = final.stat().st_ctime_ns
            while count > 0 and final.stat().st_ctime_ns == before:
                os.utime(final, ns=(1, 1))

    final.write_bytes(BIG)
    store = MemoryStore(content=BIG)

    result = restore(tmp_path, store, progress=Touching())

    assert result.failure is not None
    assert result.failure.message.startswith("Cannot write: it keeps changing: another program is writing to it")
    assert final.read_bytes() == BIG
    assert not [request for request in store.requests if request.startswith("get ")]


@pytest.mark.parametrize("shows", ["when copied", "when read back"])
def test_a_truncated_file_that_cannot_be_read_should_cost_a_fetch_and_no_failure(
    tmp_path: Path, final: Path, monkeypatch: pytest.MonkeyPatch, shows: str
) -> None:
    # given a bad block; where copying shares blocks, it shows when the copy is read back
    final.write_bytes(BIG[:-1])
    preadv = os.preadv
    store = MemoryStore(content=BIG)

    def bad_block(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def shared_bad_block(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        copied = f"get f 0-{8 * MIB}" not in store.requests
        return bad_block() if copied and offset == 0 else preadv(descriptor, buffers, offset)

    if shows == "when copied":
        monkeypatch.setattr(os, "copy_file_range", bad_block)
        monkeypatch.setattr(os, "pread", bad_block)
    else:
        monkeypatch.setattr(os, "preadv", shared_bad_block)

    # when
    result = restore(tmp_path, store)

    # then
    assert result.outcome is Outcome.HEALED
    assert final.read_bytes() == BIG
    assert store.requests.count(f"get f 0-{8 * MIB}") == 1


def test_few_segments_of_a_part_should_be_fetched_at_once_so_that_the_first_ones_land_early(
    tmp_path: Path, final: Path
) -> None:
    # given an object of one part with twelve segments, and an S3 that lets nobody have any until six are asked for
    content = made_up_bytes("long", 12 * SEGMENT_BYTES)
    most = threading.Barrier(6)
    under_way, peak, lock = [0], [0], threading.Lock()

    def meet(_key: str) -> None:
        with lock:
            under_way[0] += 1
            peak[0] = max(peak[0], under_way[0])
        most.wait(timeout=20)
        with lock:
            under_way[0] -= 1

    # when there are jobs for all
    result = restore(tmp_path, MemoryStore(content=content, before_answer=meet), jobs=16)

    # then
    assert result.outcome is Outcome.DOWNLOADED, result
    assert final.read_bytes() == content
    assert peak == [6]


def test_segments_should_not_be_fetched_any_more_once_one_has_failed(tmp_path: Path, final: Path) -> None:
    # given
    content = made_up_bytes("long", 12 * SEGMENT_BYTES)
    store = MemoryStore(content=content)

    def fail_the_third(_key: str) -> None:
        if sum(request.startswith("get") for request in store.requests) == 3:
            raise S3Fault(FailureKind.ACCESS_DENIED, "not this one")

    store.before_answer = fail_the_third

    # when
    result = restore(tmp_path, store, jobs=2)

    # then
    assert result.failure is not None
    assert result.failure.kind is FailureKind.ACCESS_DENIED
    assert sum(request.startswith("get") for request in store.requests) <= 4
    assert not final.exists()
