"""Small files that are restored several at once: what becomes of each, and that nothing is left of those that fail."""

import errno
import os
import stat
import threading
from collections import Counter
from pathlib import Path

import pytest
from memory_store import CONTENT, MemoryStore, restore_files

from applier.disk import rename
from applier.disk.hashing import md5_lanes
from applier.s3.faults import S3Fault
from schemas.results import FailureKind, FileResult, Outcome

pytestmark = pytest.mark.skipif(md5_lanes() == 1, reason="nothing is compiled: small files are restored one by one")
NAMES = [f"{number:02}" for number in range(16)]  # with two threads, four together


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "P"
    path.mkdir()
    return path


def failures(results: list[FileResult]) -> dict[str, FailureKind]:
    return {result.relative_path: result.failure.kind for result in results if result.failure is not None}


def assert_the_others_are_right(folder: Path, *failed: str) -> None:
    """All files but these are there, right, and nothing else is."""
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == {
        name: CONTENT for name in NAMES if name not in failed
    }
    assert not [path for path in folder.rglob("*") if path.is_file() and path.parent != folder]


def test_all_should_be_synced_before_the_renames_and_the_folder_after(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[str] = []
    fsync, real_rename = os.fsync, rename.renameat2

    def watched_fsync(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        staged = Path(f"/proc/self/fd/{descriptor}").readlink().name
        log.append(f"sync {'the folder' if is_folder else staged}")
        fsync(descriptor)

    def watched_rename(source: str, destination: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        log.append(f"rename {source}")
        real_rename(source, destination, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(rename, "renameat2", watched_rename)
    store = MemoryStore()

    results = restore_files(tmp_path, store, NAMES, jobs=1)

    assert {result.outcome for result in results} == {Outcome.DOWNLOADED}
    assert [(result.size_bytes, result.retries) for result in results] == [(len(CONTENT), 0)] * 16
    assert_the_others_are_right(folder)
    assert Counter(store.requests) == {f"get {name} 0-21": 1 for name in NAMES}
    together = min(md5_lanes(), len(NAMES) // 2)
    (first_file, *_) = (
        place for place, line in enumerate(log) if line.removeprefix("sync ") in {*staged_in_order(log)}
    )
    groups = [log[at : at + 2 * together + 1] for at in range(first_file, len(log), 2 * together + 1)]
    for group in groups:
        names = staged_in_order(group)
        assert group == [*(f"sync {name}" for name in names), *(f"rename {name}" for name in names), "sync the folder"]
    assert len(groups) == len(NAMES) // together


def staged_in_order(log: list[str]) -> list[str]:
    return [line.removeprefix("rename ") for line in log if line.startswith("rename ")]


@pytest.mark.parametrize(
    ("body", "kind"), [(CONTENT[::-1], FailureKind.VERIFICATION), (CONTENT + b"more", FailureKind.NETWORK)]
)
def test_wrong_bytes_should_fail_one_file_after_the_usual_attempts(
    tmp_path: Path, folder: Path, body: bytes, kind: FailureKind
) -> None:
    store = MemoryStore(body=lambda key: body if key == "05" else None)

    results = restore_files(tmp_path, store, NAMES)

    assert failures(results) == {"05": kind}
    assert_the_others_are_right(folder, "05")


def test_a_fault_of_s3_should_be_one_files_and_not_be_asked_again(tmp_path: Path, folder: Path) -> None:
    def fail_one(key: str) -> None:
        if key == "05":
            raise S3Fault(FailureKind.NETWORK, "down", transient=True)

    store = MemoryStore(before_answer=fail_one)

    results = restore_files(tmp_path, store, NAMES, attempts=3)

    assert failures(results) == {"05": FailureKind.NETWORK}
    assert [result.retries for result in results if result.failure] == [2]
    assert Counter(store.requests)["get 05 0-21"] == 3
    assert_the_others_are_right(folder, "05")


def test_a_staged_file_that_cannot_be_removed_should_not_fail_the_others(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_one(key: str) -> None:
        if key == "05":
            raise S3Fault(FailureKind.NETWORK, "down", transient=True)

    def fail(_path: str, *, dir_fd: int | None = None) -> None:
        raise OSError(errno.EIO, f"Input/output error below {dir_fd}")

    monkeypatch.setattr(os, "unlink", fail)

    results = restore_files(tmp_path, MemoryStore(before_answer=fail_one), NAMES, jobs=1)

    assert failures(results) == {"05": FailureKind.NETWORK}
    assert {path.name for path in folder.iterdir() if path.is_file()} == {*NAMES} - {"05"}


def test_an_object_that_is_missing_or_other_than_planned_should_be_left_to_the_usual_check(
    tmp_path: Path, folder: Path
) -> None:
    def refuse_twice(key: str) -> None:
        if key == "05" and store.requests.count("get 05 0-21") <= 2:
            raise S3Fault(FailureKind.VERIFICATION, "412: its etag is another")

    store = MemoryStore(before_answer=refuse_twice)

    results = restore_files(tmp_path, store, NAMES)

    assert failures(results) == {}
    asked = [request for request in store.requests if "05" in request]
    assert asked == ["get 05 0-21", "get 05 0-21", "head 05", "get 05 0-21"]
    assert_the_others_are_right(folder)


@pytest.mark.parametrize(("theirs", "outcome"), [(CONTENT, Outcome.SKIPPED), (b"theirs", Outcome.HEALED)])
def test_a_file_that_appears_meanwhile_should_be_looked_at(
    tmp_path: Path, folder: Path, theirs: bytes, outcome: Outcome
) -> None:
    def appear(key: str) -> None:
        if key == "05" and not (folder / "05").exists():
            (folder / "05").write_bytes(theirs)

    results = restore_files(tmp_path, MemoryStore(before_answer=appear), NAMES)

    assert [result.outcome for result in results if result.relative_path == "05"] == [outcome]
    assert failures(results) == {}
    assert_the_others_are_right(folder)


def test_files_that_are_there_should_be_looked_at_and_the_others_restored(tmp_path: Path, folder: Path) -> None:
    (folder / "04").write_bytes(CONTENT)
    (folder / "05").write_bytes(CONTENT[::-1])

    results = restore_files(tmp_path, MemoryStore(), NAMES)

    outcomes = Counter(result.outcome for result in results)
    assert outcomes == {Outcome.DOWNLOADED: 14, Outcome.SKIPPED: 1, Outcome.HEALED: 1}
    assert_the_others_are_right(folder)


@pytest.mark.parametrize("call", ["pwrite", "fsync", "close"])
def test_a_full_disk_should_fail_the_files_that_it_hits(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    real, hits = getattr(os, call), threading.Semaphore(3)

    def fail(descriptor: int, *arguments: object) -> object:
        is_staged = Path(f"/proc/self/fd/{descriptor}").readlink().parent.name.startswith("run")
        answer = real(descriptor, *arguments)
        if is_staged and stat.S_ISREG(status.st_mode if (status := statuses.get(descriptor)) else 0):
            raise OSError(errno.ENOSPC, "No space left on device")
        return answer

    statuses: dict[int, os.stat_result] = {}
    create = os.open

    def watched_open(path: str, flags: int, *arguments: int, dir_fd: int | None = None) -> int:
        descriptor = create(path, flags, *arguments, dir_fd=dir_fd)
        if flags & os.O_EXCL and len(path) == 40 and hits.acquire(blocking=False):
            statuses[descriptor] = os.fstat(descriptor)
        else:
            statuses.pop(descriptor, None)
        return descriptor

    monkeypatch.setattr(os, "open", watched_open)
    monkeypatch.setattr(os, call, fail)

    results = restore_files(tmp_path, MemoryStore(), NAMES)

    monkeypatch.undo()
    failed = failures(results)
    assert list(failed.values()) == [FailureKind.DISK_FULL] * 3
    assert_the_others_are_right(folder, *failed)


def test_a_folder_that_cannot_be_synced_should_fail_all_that_were_renamed_into_it(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def fail_for_folders(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink() == folder and (folder / "00").exists():
            raise OSError(errno.EIO, "Input/output error")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail_for_folders)

    results = restore_files(tmp_path, MemoryStore(), NAMES, jobs=1)

    assert failures(results) == dict.fromkeys(NAMES, FailureKind.CANNOT_WRITE)
    assert {result.failure.detail for result in results if result.failure} == {
        "the folder cannot be synced: Input/output error"
    }


def test_a_run_that_is_stopped_should_bring_home_what_it_has_and_leave_nothing_staged(
    tmp_path: Path, folder: Path
) -> None:
    stop = threading.Event()

    def stop_at_the_third(key: str) -> None:
        if key == "02":
            stop.set()

    results = restore_files(tmp_path, MemoryStore(before_answer=stop_at_the_third), NAMES, stop=stop, jobs=1)

    assert failures(results) == dict.fromkeys(NAMES[2:], FailureKind.INTERRUPTED)
    assert_the_others_are_right(folder, *NAMES[2:])


def test_a_passing_fault_of_the_folder_should_fail_none(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_open = os.open
    faults: list[str] = []

    def fail_once(path: str, flags: int, *arguments: int, dir_fd: int | None = None) -> int:
        if path == folder.name and store.requests and not faults:
            faults.append(path)
            raise OSError(errno.ESTALE, "Stale file handle")
        return real_open(path, flags, *arguments, dir_fd=dir_fd)

    store = MemoryStore()
    monkeypatch.setattr(os, "open", fail_once)

    results = restore_files(tmp_path, store, NAMES, jobs=1)

    assert faults
    assert failures(results) == {}
    assert_the_others_are_right(folder)
