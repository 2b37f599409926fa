import errno
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from plan_samples import OUTPUT_LOCATION, planned_file, planned_raw_file

from applier.disk.file_identity import file_identity
from applier.disk.folders import OutputFolder
from applier.disk.publish import ReplacedMeanwhileError, SeenBefore, UnsyncedError, publish, set_aside
from applier.disk.run_folders import Stagings
from applier.disk.staging import Staging
from applier.disk.verified_files import VerifiedFiles
from applier.target import Target

TARGET = Target.of(planned_raw_file("a.d", project_id="P"), planned_file("a.d/f"), OUTPUT_LOCATION)


@pytest.fixture
def staging(output: OutputFolder) -> Iterator[Staging]:
    with ExitStack() as opened:
        stagings = Stagings(output, "run", lambda _: set())
        opened.callback(stagings.close)
        staging = stagings.below("P")
        descriptor = staging.create("staged")
        os.write(descriptor, b"verified")
        os.close(descriptor)
        yield staging


@pytest.fixture
def final(tmp_path: Path) -> Path:
    path = tmp_path / "P" / "a.d" / "f"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"corrupt")
    return path


def test_publish_should_make_folders_and_rename(tmp_path: Path, output: OutputFolder, staging: Staging) -> None:
    assert (
        publish(
            staging,
            "staged",
            output,
            TARGET,
            SeenBefore(identity=None, keep=True),
            verified_files=VerifiedFiles(output),
        )
        is None
    )
    assert (tmp_path / "P" / "a.d" / "f").read_bytes() == b"verified"


def test_publish_should_keep_the_corrupt_file_when_asked(output: OutputFolder, staging: Staging, final: Path) -> None:
    final.with_name("f.corrupted").write_bytes(b"an older one")

    assert (
        publish(
            staging,
            "staged",
            output,
            TARGET,
            SeenBefore(identity=file_identity(final.stat()), keep=True),
            verified_files=VerifiedFiles(output),
        )
        == "f.corrupted.1"
    )

    assert final.read_bytes() == b"verified"
    assert final.with_name("f.corrupted").read_bytes() == b"an older one"
    assert final.with_name("f.corrupted.1").read_bytes() == b"corrupt"


def test_quarantine_should_do_without_hard_links(
    output: OutputFolder, staging: Staging, final: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a file system that has none (SMB, FAT)
    def no_links(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    final.with_name("f.corrupted").write_bytes(b"an older one")

    # when
    kept = publish(
        staging,
        "staged",
        output,
        TARGET,
        SeenBefore(identity=file_identity(final.stat()), keep=True),
        verified_files=VerifiedFiles(output),
    )

    # then
    assert kept == "f.corrupted.1"
    assert final.read_bytes() == b"verified"
    assert final.with_name("f.corrupted").read_bytes() == b"an older one"
    assert final.with_name("f.corrupted.1").read_bytes() == b"corrupt"


def test_publish_should_say_that_a_folder_could_not_be_synced(
    output: OutputFolder, staging: Staging, final: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def failing(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", failing)

    with pytest.raises(UnsyncedError, match="the folder cannot be synced: Input/output error"):
        publish(
            staging,
            "staged",
            output,
            TARGET,
            SeenBefore(identity=file_identity(final.stat())),
            verified_files=VerifiedFiles(output),
        )
    assert final.read_bytes() == b"verified"


def test_set_aside_should_move_the_corrupt_file_and_overwrite_nothing(output: OutputFolder, final: Path) -> None:
    final.with_name("f.corrupted").write_bytes(b"an older one")

    assert (
        set_aside(
            output, TARGET, SeenBefore(identity=file_identity(final.stat())), verified_files=VerifiedFiles(output)
        )
        == "f.corrupted.1"
    )

    assert not final.exists()
    assert final.with_name("f.corrupted").read_bytes() == b"an older one"
    assert final.with_name("f.corrupted.1").read_bytes() == b"corrupt"


def test_set_aside_should_leave_a_file_that_another_run_has_healed(output: OutputFolder, final: Path) -> None:
    corrupt = final.with_name("was here")
    final.rename(corrupt)
    final.write_bytes(b"healed by another run")

    assert (
        set_aside(
            output, TARGET, SeenBefore(identity=file_identity(corrupt.stat())), verified_files=VerifiedFiles(output)
        )
        is None
    )
    assert final.read_bytes() == b"healed by another run"


def test_publish_should_not_replace_what_was_not_judged(output: OutputFolder, staging: Staging, final: Path) -> None:
    before = file_identity(final.stat())
    final.write_bytes(b"written into")

    for judged in (None, before):
        with pytest.raises(ReplacedMeanwhileError):
            publish(
                staging, "staged", output, TARGET, SeenBefore(identity=judged), verified_files=VerifiedFiles(output)
            )

    assert final.read_bytes() == b"written into"


def test_corrupt_bytes_should_not_get_a_name_that_the_plan_has_a_file_for(output: OutputFolder, final: Path) -> None:
    planned_paths = frozenset({"P/a.d/f.corrupted", "P/a.d/f.corrupted.1"})

    kept = set_aside(
        output,
        TARGET,
        SeenBefore(identity=file_identity(final.stat()), planned_paths=planned_paths),
        verified_files=VerifiedFiles(output),
    )

    assert kept == "f.corrupted.2"
