import os
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ended_runs import EARLIER_BOOT, ENDED_HERE, OTHER_CONTAINER, OTHER_HOST
from needs import needs_root

from applier.disk.folders import OutputFolder
from applier.disk.journal import Journal, StagedContent
from applier.disk.left_runs import ABANDONED_AFTER_SECONDS, find_left_staged
from applier.disk.run_folders import Stagings
from applier.disk.run_owner import RunOwner

CONTENT = StagedContent("d8e8fca2dc0f896fd7cb4cb0031ba249-5", 500, 2224281231)
FOREIGN = [OTHER_HOST, OTHER_CONTAINER, EARLIER_BOOT]  # the last has just been written to, so that it is a clone's
LONG = ABANDONED_AFTER_SECONDS + 60


def leave(tmp_path: Path, owner: RunOwner) -> Path:
    """Leave what a run of this owner has staged: a file to resume, and a small one."""
    folder = tmp_path / "PRID001" / ".kraken-plan" / owner.run_name("other-0")
    folder.mkdir(parents=True)
    folder.with_name(f"{folder.name}.lock").touch()
    (folder / "wanted.part").write_bytes(b"staged")
    journal = Journal(os.open(folder / "wanted.journal", os.O_RDWR | os.O_CREAT))
    journal.start(CONTENT)
    journal.landed((0, 6))
    journal.close()
    (folder / "small").touch()
    return folder


def set_back(folder: Path, seconds: float) -> None:
    """Have nothing of a run changed for so long."""
    then = time.time() - seconds
    for path in [*folder.iterdir(), folder, folder.with_name(f"{folder.name}.lock")]:
        os.utime(path, (then, then))


@pytest.fixture
def run(output: OutputFolder) -> Iterator[Stagings]:
    stagings = Stagings(output, "mine", lambda _: {"wanted"})
    yield stagings
    stagings.close()


def not_stopped() -> None:
    """Goes on."""


@pytest.mark.parametrize(
    ("owner", "quiet_seconds"),
    [(owner, 0) for owner in FOREIGN]
    + [(owner, ABANDONED_AFTER_SECONDS - 3600) for owner in (OTHER_HOST, OTHER_CONTAINER)],
)
def test_what_another_run_may_still_write_to_should_be_left_as_it_is(
    tmp_path: Path, run: Stagings, owner: RunOwner, quiet_seconds: int
) -> None:
    folder = leave(tmp_path, owner)
    set_back(folder, quiet_seconds)

    run.below("PRID001")

    assert {path.name for path in folder.iterdir()} == {"wanted.part", "wanted.journal", "small"}
    assert find_left_staged(run._output, "PRID001") == {}  # noqa: SLF001


@pytest.mark.parametrize("owner", FOREIGN)
def test_what_another_run_has_staged_should_be_copied_into_a_file_of_our_own(
    tmp_path: Path, run: Stagings, owner: RunOwner
) -> None:
    # given
    theirs = leave(tmp_path, owner) / "wanted.part"
    staging = run.below("PRID001")

    # when
    descriptor, journal, state = staging.create_resumable("wanted", CONTENT)
    journal.close()
    source = staging.find_elsewhere("wanted", CONTENT)

    # then only what its journal vouches for is copied, and the file is another one
    assert state.landed == set()
    assert source is not None
    assert not source.copy((6, 12), descriptor, not_stopped)
    assert source.copy((0, 6), descriptor, not_stopped)
    assert os.pread(descriptor, 100, 0) == b"staged"
    assert os.fstat(descriptor).st_ino != theirs.stat().st_ino
    assert theirs.read_bytes() == b"staged"
    os.close(descriptor)


def test_a_staged_file_that_cannot_be_begun_should_leave_no_journal(run: Stagings) -> None:
    staging = run.below("PRID001")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            staging.create_resumable("new", CONTENT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    assert [name for name in os.listdir(staging.descriptor) if name.startswith("new")] == []  # noqa: PTH208


def test_nothing_should_be_copied_of_another_content_or_through_a_planted_link(tmp_path: Path, run: Stagings) -> None:
    folder = leave(tmp_path, OTHER_HOST)
    staging = run.below("PRID001")
    assert staging.find_elsewhere("wanted", StagedContent(CONTENT.etag, 100, CONTENT.size_bytes)) is None
    assert staging.find_elsewhere("unknown", CONTENT) is None
    source = staging.find_elsewhere("wanted", CONTENT)
    (tmp_path / "private").hardlink_to(folder / "wanted.part")
    own = staging.create("own")

    assert source is not None
    assert not source.copy((0, 6), own, not_stopped)
    os.close(own)
    staging.remove("own")


@pytest.mark.parametrize("owner", [OTHER_HOST, OTHER_CONTAINER])
def test_what_nobody_has_touched_for_long_should_be_deleted(tmp_path: Path, run: Stagings, owner: RunOwner) -> None:
    folder = leave(tmp_path, owner)
    set_back(folder, LONG)

    run.below("PRID001")

    assert not folder.exists()
    assert not folder.with_name(f"{folder.name}.lock").exists()


def test_one_file_that_was_written_lately_should_keep_a_whole_run(tmp_path: Path, run: Stagings) -> None:
    folder = leave(tmp_path, OTHER_HOST)
    set_back(folder, LONG)
    os.utime(folder / "wanted.part")

    run.below("PRID001")

    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize(("owner", "quiet_seconds"), [(ENDED_HERE, 0), (EARLIER_BOOT, 3 * 24 * 3600)])
def test_what_this_host_s_ended_runs_have_staged_should_be_moved(
    tmp_path: Path, run: Stagings, owner: RunOwner, quiet_seconds: int
) -> None:
    folder = leave(tmp_path, owner)
    set_back(folder, quiet_seconds)
    inode = (folder / "wanted.part").stat().st_ino
    if quiet_seconds and time.clock_gettime(time.CLOCK_BOOTTIME) > quiet_seconds:
        pytest.skip("this machine has been up for longer")

    descriptor, journal, state = run.below("PRID001").create_resumable("wanted", CONTENT)
    journal.close()

    assert os.fstat(descriptor).st_ino == inode
    assert state.landed == {(0, 6)}
    assert not folder.exists()
    os.close(descriptor)


@needs_root
def test_another_account_s_staged_files_should_not_be_moved(tmp_path: Path, run: Stagings) -> None:
    """It may still have them open, whatever became of its run."""
    folder = leave(tmp_path, ENDED_HERE)
    os.chown(folder / "wanted.part", 1000, 1000)

    run.below("PRID001")

    assert (folder / "wanted.part").stat().st_uid == 1000


def test_the_staging_folder_should_be_open_to_all_who_may_write_beside_it_and_a_run_s_own_to_nobody_else(
    tmp_path: Path, run: Stagings
) -> None:
    (tmp_path / "PRID001").mkdir()
    (tmp_path / "PRID001").chmod(0o3775)

    run.below("PRID001")

    base = tmp_path / "PRID001" / ".kraken-plan"
    assert base.stat().st_mode & 0o7777 == 0o2775
    assert [path.stat().st_mode & 0o777 for path in base.glob("run-*-mine-0")] == [0o700]
