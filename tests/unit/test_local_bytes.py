import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from plan_samples import OUTPUT_LOCATION, planned_file, planned_raw_file
from sample_data import MIB, made_up_bytes

from applier.disk.file_identity import file_identity
from applier.disk.folders import OutputFolder
from applier.disk.local_bytes import LocalBytes, parts_of, prefix_of
from applier.s3.fetcher import Interrupted
from applier.target import Target

CONTENT = made_up_bytes("local", 3 * MIB + 5)
SEGMENT = (MIB, 3 * MIB)
TARGET = Target.of(planned_raw_file("f", project_id="P"), planned_file("f", size=None), OUTPUT_LOCATION)


@pytest.fixture
def local(tmp_path: Path) -> Path:
    path = tmp_path / "P" / "f"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def staged(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "staged", os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def prefix(output: OutputFolder, local: Path) -> LocalBytes:
    return LocalBytes(output=output, target=TARGET, identity=file_identity(local.stat()), ranges=[(0, len(CONTENT))])


def go_on() -> None:
    """Nobody asked the run to stop."""


def copied(staged: int) -> bytes:
    return os.pread(staged, len(CONTENT), 0)


@pytest.mark.parametrize("by_the_kernel", [True, False])
def test_a_range_should_be_copied_to_its_place(
    prefix: LocalBytes, staged: int, monkeypatch: pytest.MonkeyPatch, *, by_the_kernel: bool
) -> None:
    def unsupported(*_: int) -> int:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    if not by_the_kernel:
        monkeypatch.setattr(os, "copy_file_range", unsupported)

    assert prefix.copy(SEGMENT, staged, go_on)
    assert copied(staged) == bytes(MIB) + CONTENT[MIB : 3 * MIB]


def test_a_range_that_is_not_all_there_should_not_be_copied(prefix: LocalBytes, staged: int) -> None:
    assert prefix.copy((0, len(CONTENT)), staged, go_on)
    os.ftruncate(staged, 0)

    assert not prefix.copy((0, len(CONTENT) + 1), staged, go_on)
    assert copied(staged) == b""


@pytest.mark.parametrize("change", ["written to", "replaced", "link", "gone", "FIFO", "folder is a link"])
def test_no_other_file_than_the_one_judged_should_be_copied(
    prefix: LocalBytes, local: Path, staged: int, change: str
) -> None:
    match change:
        case "written to":
            local.write_bytes(CONTENT)
            os.utime(local, ns=(prefix.identity.modified_ns, prefix.identity.modified_ns))
        case "replaced":
            local.with_name("g").write_bytes(CONTENT)
            local.with_name("g").rename(local)
        case "link":
            local.rename(local.with_name("g"))
            local.symlink_to("g")
        case "gone":
            local.unlink()
        case "FIFO":
            local.unlink()
            os.mkfifo(local)
        case "folder is a link":
            local.parent.rename(local.parent.with_name("Q"))
            local.parent.symlink_to("Q")

    assert not prefix.copy(SEGMENT, staged, go_on)
    assert copied(staged) == b""


def test_a_file_that_becomes_shorter_while_it_is_copied_should_be_noticed(
    prefix: LocalBytes, local: Path, staged: int
) -> None:
    assert not prefix.copy(SEGMENT, staged, lambda: os.truncate(local, 2 * MIB))


def test_copying_should_be_interruptible(prefix: LocalBytes, staged: int) -> None:
    def interrupted() -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        prefix.copy(SEGMENT, staged, interrupted)


@pytest.mark.parametrize(
    ("size_bytes", "object_bytes", "worth"),
    [
        (8 * MIB + 1, 40 * MIB, True),
        (40 * MIB - 1, 40 * MIB, True),
        (8 * MIB, 40 * MIB, False),
        (40 * MIB, 40 * MIB, False),
        (41 * MIB, 40 * MIB, False),
    ],
)
def test_only_a_shorter_file_of_more_than_a_segment_should_be_worth_a_try(
    output: OutputFolder, local: Path, *, size_bytes: int, object_bytes: int, worth: bool
) -> None:
    os.truncate(local, size_bytes)

    prefix = prefix_of(output, TARGET, file_identity(local.stat()), object_bytes)

    assert (prefix is not None) == worth


def test_a_file_that_could_not_be_opened_should_not_be_worth_a_try(output: OutputFolder) -> None:
    assert prefix_of(output, TARGET, None, 40 * MIB) is None


def test_only_the_parts_that_are_right_should_be_copied(output: OutputFolder, local: Path, staged: int) -> None:
    copies = parts_of(output, TARGET, file_identity(local.stat()), [(0, MIB), (2 * MIB, 3 * MIB)])

    assert copies is not None
    assert copies.copy((0, MIB), staged, go_on)
    assert not copies.copy((MIB, 2 * MIB), staged, go_on)
    assert not copies.copy((MIB - 1, MIB + 1), staged, go_on)
    assert copies.copy((2 * MIB + 5, 3 * MIB), staged, go_on)
    assert copied(staged) == CONTENT[:MIB] + bytes(MIB + 5) + CONTENT[2 * MIB + 5 : 3 * MIB]


def test_a_file_without_a_right_part_or_with_another_name_should_not_be_copied(
    output: OutputFolder, local: Path
) -> None:
    assert parts_of(output, TARGET, file_identity(local.stat()), []) is None
    assert parts_of(output, TARGET, None, [(0, MIB)]) is None
    local.with_name("other name").hardlink_to(local)
    assert parts_of(output, TARGET, file_identity(local.stat()), [(0, MIB)]) is None
