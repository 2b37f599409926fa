"""What several runs reported is held against the disk: a success counts only where its file is in place."""

import logging
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from plan_samples import MD5, make_plan, planned_file, planned_raw_file

from applier.reports.confirm_results import confirm_results, find_out_of_place
from applier.reports.merge_results import RestoredFile
from schemas.results import FailureKind, FileResult, Outcome, RecordedFile, RecordedRun, RunHead

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def restored(folder: Path, path: str, size_bytes: int | None = 3) -> RestoredFile:
    return RestoredFile(str(folder), path, size_bytes)


def found(folder: Path, path: str, size_bytes: int | None = 3) -> str | None:
    return find_out_of_place([restored(folder, path, size_bytes)]).get(restored(folder, path, size_bytes))


def test_a_file_of_the_right_size_should_be_in_place(tmp_path: Path) -> None:
    (tmp_path / "s.d/deep").mkdir(parents=True)
    for path in ("a", "s.d/b", "s.d/deep/c"):
        (tmp_path / path).write_bytes(b"xyz")
        assert found(tmp_path, path) is None
        assert found(tmp_path, path, size_bytes=None) is None


def test_whatever_is_not_that_file_should_be_said(tmp_path: Path) -> None:
    # given
    (tmp_path / "short").write_bytes(b"xy")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("short")
    (tmp_path / "into").symlink_to("folder")
    (tmp_path / "folder/a").write_bytes(b"xyz")
    os.mkfifo(tmp_path / "fifo")

    # when / then
    assert found(tmp_path, "none") == found(tmp_path, "none/deep/er") == "there is no such file now"
    assert found(tmp_path, "short") == "it has 2 bytes now, expected 3"
    assert found(tmp_path, "folder", None) == "a folder is in its place now"
    assert found(tmp_path, "link", None) == "a symbolic link is in its place now"
    assert found(tmp_path, "fifo", None) == "a FIFO is in its place now"
    assert found(tmp_path, "into/a") == "a symbolic link stands in the way (into)"
    assert found(tmp_path, "short/a") == "a file stands in the way (short)"


def test_files_of_many_folders_should_each_be_looked_at(tmp_path: Path) -> None:
    files = [restored(tmp_path, f"{number % 50}.d/{number}") for number in range(500)]
    for file in files[::2]:
        (tmp_path / file.path_below).parent.mkdir(exist_ok=True)
        (tmp_path / file.path_below).write_bytes(b"xyz")
    assert sorted(find_out_of_place(files)) == sorted(files[1::2])


def test_what_cannot_be_looked_at_should_be_said_once_and_not_be_called_gone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    away = tmp_path / "unmounted"
    assert find_out_of_place([restored(away, "a"), restored(away, "b")]) == {}
    (message,) = caplog.messages
    assert message.startswith("2 restored files not looked at, the results are believed: the output location ")
    assert f"{away} does not exist: is its file system mounted?" in message

    caplog.clear()
    long = "x" * 300  # a name that no file system here takes
    assert find_out_of_place([restored(tmp_path, f"{long}/{name}") for name in "ab"]) == {}
    (message,) = caplog.messages
    assert "2 restored files cannot be looked at from here (File name too long, for example xxx" in message


@pytest.mark.parametrize("there", [True, False])
def test_a_plan_should_be_called_restored_only_with_its_files_in_place(tmp_path: Path, there: bool) -> None:  # noqa: FBT001
    # given
    file = planned_file("a.raw", size=3)
    plan = make_plan(planned_raw_file("a.raw", file))
    recorded = RecordedFile(
        raw_file_id="a.raw",
        absolute_dest_path=f"{tmp_path}/PRID001/a.raw",
        expected_etag=MD5,
        chunk_size_mb=5,
        result=FileResult(relative_path="a.raw", outcome=Outcome.DOWNLOADED, size_bytes=3),
    )
    head = RunHead(plan_digest="sha256:0", output_location=str(tmp_path), started_at=NOW)
    if there:
        (tmp_path / "PRID001").mkdir()
        (tmp_path / "PRID001/a.raw").write_bytes(b"xyz")

    # when
    result = confirm_results(plan, [RecordedRun(name="r", head=head, lines=(recorded,))], NOW)

    # then
    assert result.succeeded is there
    failures = [said.failure.kind for said in result.files() if said.failure]
    assert failures == ([] if there else [FailureKind.NOT_AS_RESTORED])
