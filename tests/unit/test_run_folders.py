import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ended_runs import ENDED_HERE

from applier.disk.folders import NotAFolderError, OutputFolder
from applier.disk.journal import StagedContent
from applier.disk.left_runs import find_left_staged
from applier.disk.run_folders import Stagings

CONTENT = StagedContent("d8e8fca2dc0f896fd7cb4cb0031ba249-5", 500, 2224281231)


def stagings(output: OutputFolder, run_id: str, *wanted: str) -> Stagings:
    return Stagings(output, run_id, lambda _: set(wanted))


def below(tmp_path: Path) -> list[str]:
    """What is below the destination; runs without their owners."""
    paths = (str(path.relative_to(tmp_path)) for path in (tmp_path / "PRID001").rglob("*"))
    return sorted(re.sub(r"run(-[0-9a-f]{12}){2}(-\d+){3}-", "run-", path) for path in paths)


def leave_behind(tmp_path: Path, run_id: str) -> None:
    """Let a run die that has staged two files to go on with, and one that nobody can go on with."""
    script = f"""
import os
from applier.disk.folders import open_output_location
from applier.disk.journal import StagedContent
from applier.disk.run_folders import Stagings
with open_output_location({str(tmp_path)!r}) as output:
    run = Stagings(output, {run_id!r}, lambda _: set())
    staging = run.below("PRID001")
    for name in ("wanted", "other"):
        descriptor, journal, _ = staging.create_resumable(name, StagedContent({CONTENT.etag!r}, 500, 2224281231))
        os.write(descriptor, b"staged")
        journal.landed((0, 6))
    staging.create("small")
    os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9


def test_a_run_that_ends_well_should_leave_nothing(tmp_path: Path, output: OutputFolder) -> None:
    run = stagings(output, "a")
    staging = run.below("PRID001")
    os.close(staging.create("x"))
    staging.remove("x")

    run.close()

    assert below(tmp_path) == []


@pytest.fixture
def keeps_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove no file that is open in this process, as SMB does."""
    unlink = os.unlink

    def unlink_if_closed(name: str, *, dir_fd: int | None = None) -> None:
        if dir_fd is not None:
            place = Path(f"/proc/self/fd/{dir_fd}").readlink() / name
            if place in {entry.resolve() for entry in Path("/proc/self/fd").iterdir()}:
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), name)
        unlink(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", unlink_if_closed)


@pytest.mark.usefixtures("keeps_open_files")
def test_locks_should_be_removed_where_open_files_are_not(tmp_path: Path, output: OutputFolder) -> None:
    leave_behind(tmp_path, "dead")

    run = stagings(output, "a", "wanted", "other")
    run.below("PRID001")
    run.close(lambda _: set())

    assert below(tmp_path) == []


def test_a_run_should_keep_what_the_next_can_resume(tmp_path: Path, output: OutputFolder) -> None:
    run = stagings(output, "a", "wanted")
    descriptor, journal, _ = run.below("PRID001").create_resumable("wanted", CONTENT)
    os.close(descriptor)
    journal.close()

    run.close()

    assert [Path(path).name for path in below(tmp_path) if "/run-a-0/" in path] == ["wanted.journal", "wanted.part"]


def test_what_was_staged_of_a_file_that_is_right_by_now_should_go(tmp_path: Path, output: OutputFolder) -> None:
    leave_behind(tmp_path, "dead")

    run = stagings(output, "a", "wanted", "other")
    run.below("PRID001")
    run.close(lambda _: {"other"})

    assert [Path(path).name for path in below(tmp_path) if "/run-a-0/" in path] == ["other.journal", "other.part"]


def test_a_journal_of_nothing_should_go(tmp_path: Path, output: OutputFolder) -> None:
    """A kill between a file's rename and the end of its journal leaves it."""
    leave_behind(tmp_path, "dead")
    for part in (tmp_path / "PRID001/.kraken-plan").glob("run-*-dead-0/*.part"):
        part.unlink()

    run = stagings(output, "a", "wanted", "other")
    run.below("PRID001")
    run.close()

    assert below(tmp_path) == []


def test_the_next_run_should_take_over_what_it_wants_and_delete_what_nobody_can_use(
    tmp_path: Path, output: OutputFolder
) -> None:
    # given
    leave_behind(tmp_path, "dead")

    # when
    run = stagings(output, "b", "wanted")
    staging = run.below("PRID001")
    descriptor, journal, state = staging.create_resumable("wanted", CONTENT)

    # then what it wants is its own, what another plan may want stays, the rest is gone
    assert os.read(descriptor, 100) == b"staged"
    assert state.landed == {(0, 6)}
    names = {Path(path).name for path in below(tmp_path) if "/run-dead-0/" in path}
    assert names == {"other.part", "other.journal"}
    os.close(descriptor)
    journal.close()
    staging.remove_resumable("wanted")
    run.close()

    # and a run that wants the rest leaves nothing
    last = stagings(output, "c", "other")
    last.below("PRID001").remove_resumable("other")
    last.close()
    assert below(tmp_path) == []


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_folders_that_nobody_uses_should_be_closed_beyond_a_few_and_come_back_with_what_they_keep(
    tmp_path: Path, output: OutputFolder
) -> None:
    # given a run that has kept something in a folder that it gave back
    run = stagings(output, "a", "wanted")
    before = open_files()
    descriptor, journal, _ = run.below("PRID001").create_resumable("wanted", CONTENT)
    os.write(descriptor, b"staged")
    os.close(descriptor)
    journal.close()
    run.give_back("PRID001")

    # when it uses many others by turns
    for number in range(20):
        with run.lent(f"P{number}"):
            assert open_files() - before <= 4

    # then
    descriptor, journal, _ = run.below("PRID001").create_resumable("wanted", CONTENT)
    assert os.read(descriptor, 100) == b"staged"
    os.close(descriptor)
    journal.close()
    run.give_back("PRID001")
    run.close(lambda _: set())
    assert below(tmp_path) == []
    assert open_files() == before


def test_what_is_in_use_should_never_be_closed(tmp_path: Path, output: OutputFolder) -> None:
    run = stagings(output, "a")
    lent = [run.below(f"P{number}") for number in range(10)]
    for number, staging in enumerate(lent):
        os.close(staging.create("small"))
        assert [path.name for path in (tmp_path / f"P{number}").rglob("small")] == ["small"]
        staging.remove("small")
    run.close()


def test_a_living_runs_folder_should_be_left_alone(tmp_path: Path, output: OutputFolder) -> None:
    first = stagings(output, "a")
    descriptor, journal, _ = first.below("PRID001").create_resumable("wanted", CONTENT)
    os.close(first.below("PRID001").create("small"))
    before = below(tmp_path)

    second = stagings(output, "b", "wanted")
    second.below("PRID001")
    second.close()

    assert below(tmp_path) == before
    os.close(descriptor)
    journal.close()
    first.below("PRID001").remove("small")
    first.close()


def test_what_dead_runs_left_should_be_found_without_being_touched_and_a_living_runs_not(
    tmp_path: Path, output: OutputFolder
) -> None:
    # given a dead run's files, of which those with a journal can be gone on with, and a living run's
    assert find_left_staged(output, "PRID001") == {}
    living = stagings(output, "living")
    os.close(living.below("PRID001").create("mine.part"))
    leave_behind(tmp_path, "dead")
    before = below(tmp_path)
    assert "PRID001/.kraken-plan/run-living-0/mine.part" in before

    # when / then
    left = find_left_staged(output, "PRID001")
    assert sorted(left) == ["other.part", "wanted.part"]
    assert all(taken >= len(b"staged") for taken in left.values())
    assert below(tmp_path) == before

    # and the lock is free again: the next run takes over
    run = stagings(output, "next", "wanted")
    run.below("PRID001")
    assert "PRID001/.kraken-plan/run-next-0/wanted.part" in below(tmp_path)
    living.close()
    run.close()


def test_a_lock_without_a_folder_should_be_cleaned_up(tmp_path: Path, output: OutputFolder) -> None:
    folder = tmp_path / "PRID001" / ".kraken-plan"
    folder.mkdir(parents=True)
    (folder / f"{ENDED_HERE.run_name('dead-0')}.lock").touch()

    run = stagings(output, "a")
    run.below("PRID001")
    run.close()

    assert below(tmp_path) == []


def test_a_staging_folder_that_is_a_link_should_be_refused(tmp_path: Path, output: OutputFolder) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "PRID001").mkdir()
    (tmp_path / "PRID001" / ".kraken-plan").symlink_to(tmp_path / "outside")

    with pytest.raises(NotAFolderError):
        stagings(output, "a").below("PRID001")
    assert list((tmp_path / "outside").iterdir()) == []
