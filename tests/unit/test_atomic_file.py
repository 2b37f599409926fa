"""Files are written whole or not at all."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.atomic_file import write_atomically
from schemas.errors import ConfigError


def broken_pieces() -> Iterator[bytes]:
    yield b"new"
    raise OSError(28, "No space left on device")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_should_be_written_and_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    for content in (b"old", b"newer"):
        write_atomically(path, [content[:1], content[1:]])
        assert path.read_bytes() == content
    assert names(tmp_path) == ["plan.json"]


def test_the_group_should_be_able_to_read_it_if_the_umask_says_so(tmp_path: Path) -> None:
    umask = os.umask(0o027)
    try:
        write_atomically(tmp_path / "plan.json", [b"x"])
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "plan.json").stat().st_mode) == 0o640


def test_what_was_there_should_stay_if_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(b"old")
    with pytest.raises(ConfigError, match=r"cannot write .*No space left on device"):
        write_atomically(path, broken_pieces())
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["plan.json"]


def test_a_file_should_be_on_the_disk_before_it_gets_its_name_and_its_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    path = tmp_path / "plan.json"
    path.write_bytes(b"old")
    fsync = os.fsync
    synced: list[tuple[str, bytes]] = []

    def sync_and_note(descriptor: int) -> None:
        """Note what is synced, with all that has reached the kernel, and what stands under the final name then."""
        fsync(descriptor)
        place = Path(f"/proc/self/fd/{descriptor}")
        synced.append(("folder" if place.is_dir() else place.read_text(encoding="ascii"), path.read_bytes()))

    # when
    monkeypatch.setattr(os, "fsync", sync_and_note)
    write_atomically(path, [b"new", b"er"])

    # then
    assert synced == [("newer", b"old"), ("folder", b"newer")]


@pytest.mark.parametrize("error_number", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_what_was_there_should_stay_if_the_disk_does_not_take_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error_number: int
) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(b"old")

    def fail(_descriptor: int) -> None:
        raise OSError(error_number, os.strerror(error_number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ConfigError, match=os.strerror(error_number)):
        write_atomically(path, [b"new"])

    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["plan.json"]


def test_another_hard_link_should_keep_the_old_content(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_bytes(b"old")
    (tmp_path / "link.json").hardlink_to(tmp_path / "plan.json")
    write_atomically(tmp_path / "plan.json", [b"new"])
    assert (tmp_path / "link.json").read_bytes() == b"old"


def test_a_link_should_be_followed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "latest.json").symlink_to("folder/plan.json")
    write_atomically(tmp_path / "latest.json", [b"new"])
    assert (tmp_path / "latest.json").is_symlink()
    assert names(tmp_path / "folder") == ["plan.json"]


def test_a_place_that_cannot_be_written_should_be_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="it is a folder"):
        write_atomically(tmp_path, [b"x"])
    with pytest.raises(ConfigError, match=r"/none/plan\.json: No such file or directory"):
        write_atomically(tmp_path / "none" / "plan.json", [b"x"])
    with pytest.raises(ConfigError, match="it is not a regular file"):
        write_atomically(Path(os.devnull), [b"x"])
    with pytest.raises(ConfigError, match="File name too long"):
        write_atomically(tmp_path / ("x" * 256), [b"x"])
    assert names(tmp_path) == []


def test_a_name_of_255_bytes_should_be_written(tmp_path: Path) -> None:
    write_atomically(tmp_path / ("x" * 255), [b"x"])
    assert names(tmp_path) == ["x" * 255]


def test_the_root_should_be_refused_as_any_folder() -> None:
    with pytest.raises(ConfigError, match="it is a folder"):
        write_atomically(Path("/"), [b"x"])


def fail_for_folders(monkeypatch: pytest.MonkeyPatch, error_number: int, *, on_open: bool = False) -> None:
    """Have folders refuse to be synced, or to be opened."""
    fsync, open_file = os.fsync, os.open

    def sync(descriptor: int) -> None:
        if not on_open and stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(error_number, os.strerror(error_number))
        fsync(descriptor)

    def open_or_fail(path: Path, flags: int, mode: int = 0o777) -> int:
        if on_open and flags & os.O_DIRECTORY:
            raise OSError(error_number, os.strerror(error_number))
        return open_file(path, flags, mode)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "open", open_or_fail)


@pytest.mark.parametrize("error_number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.ENOTTY])
def test_a_folder_that_cannot_be_synced_should_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error_number: int
) -> None:
    fail_for_folders(monkeypatch, error_number)
    write_atomically(tmp_path / "plan.json", [b"new"])
    assert (tmp_path / "plan.json").read_bytes() == b"new"


def test_a_folder_that_can_be_written_to_but_not_read_should_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_for_folders(monkeypatch, errno.EACCES, on_open=True)
    write_atomically(tmp_path / "plan.json", [b"new"])
    assert (tmp_path / "plan.json").read_bytes() == b"new"


def test_a_disk_that_fails_on_the_folder_should_be_said_with_the_file_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_for_folders(monkeypatch, errno.EIO)
    words = (
        r"plan\.json is written, but might not outlast a power loss: its folder cannot be synced: Input/output error"
    )
    with pytest.raises(ConfigError, match=words):
        write_atomically(tmp_path / "plan.json", [b"new"])
    assert (tmp_path / "plan.json").read_bytes() == b"new"
    assert names(tmp_path) == ["plan.json"]
