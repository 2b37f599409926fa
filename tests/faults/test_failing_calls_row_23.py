"""Scorecard row 23: every N-th call of the file system fails, once and for ever.

SQLite's way: N grows until the run makes fewer calls than that. The program runs in this process, its commands as the
front door calls them, against the real S3 server and a real folder.
"""

import errno
import itertools
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from apply_case import compile_plan, left_staged
from apply_here import apply_here, prepare
from cli import Cli
from conftest import MakeRestoreCase
from embedded_s3 import EmbeddedS3
from failing_calls import FailingCall
from restore_case import RestoreCase, raw_file
from sample_data import made_up_bytes

CONTENTS = {
    "s.d/big.bin": made_up_bytes("big", 300_000),
    "s.d/deep/corrupt.bin": made_up_bytes("corrupt", 3000),
    "s.d/new/small.bin": made_up_bytes("new", 3000),  # restored together with the next
    "s.d/new/smaller.bin": made_up_bytes("newer", 2000),
    "s.d/right.bin": made_up_bytes("right", 3000),
}
CORRUPT = b"not what the plan says"
CALLS = ("open", "pwrite", "preadv", "fsync", "rename", "renameat2", "mkdir", "unlink", "write", "close", "fstat")
# In an ordinary run every so manieth call of those that there are many of.
STRIDES = {"open": 5, "unlink": 3, "close": 4}


@pytest.fixture
def case(
    make_restore_case: MakeRestoreCase, monkeypatch: pytest.MonkeyPatch, s3_server: EmbeddedS3, tmp_path: Path
) -> RestoreCase:
    """Five files, of which the big one has a journal and segments."""
    prepare(monkeypatch, s3_server, tmp_path)
    return make_restore_case(raw_file("s.d", {path: (content, 5) for path, content in CONTENTS.items()}))


def put_before(case: RestoreCase) -> None:
    """Lay out what is there before the run."""
    shutil.rmtree(case.output_location)
    (case.destination() / "s.d/deep").mkdir(parents=True)
    (case.destination() / "s.d/deep/corrupt.bin").write_bytes(CORRUPT)
    (case.destination() / "s.d/right.bin").write_bytes(CONTENTS["s.d/right.bin"])


def check_that_nothing_is_lost(case: RestoreCase, exit_code: int) -> None:
    """Each final file is the old or the right one; corrupt bytes may have been moved aside; 0 means all right."""
    for relative_path, content in CONTENTS.items():
        path = case.destination() / relative_path
        found = path.read_bytes() if path.exists() else None
        match relative_path:
            case "s.d/right.bin":
                assert found == content
            case "s.d/deep/corrupt.bin":
                moved = [copy.read_bytes() for copy in path.parent.glob("corrupt.bin.corrupted*")]
                assert found in {content, CORRUPT} or moved == [CORRUPT]
            case _:
                assert found in {None, content}
    assert exit_code in {0, 1, 2}
    if exit_code == 0:
        assert case.unrestored() == []
        assert len(case.reports()) == 1


def failing_calls(name: str, error_number: int, *, stride: int) -> Iterator[FailingCall]:
    """Every stride-th call, each once and for ever; to be ended by whoever sees that there are no more."""
    for nth in itertools.count(1, stride):
        for for_ever in (False, True):
            yield FailingCall(name=name, nth=nth, error_number=error_number, for_ever=for_ever)


def run_all(
    calls: Iterator[FailingCall],
    case: RestoreCase,
    run_cli: Cli,
    patch: pytest.MonkeyPatch,
    said: pytest.LogCaptureFixture,
    *options: str,
) -> int:
    """Run with each failing call and these options, then once more without; return how many there were."""
    plan = compile_plan(run_cli, case)
    for tried, call in enumerate(calls):
        put_before(case)
        said.clear()
        with call.injected(patch):
            exit_code = apply_here(plan, "--jobs", "1", *options)
        if not call.has_failed:
            return tried
        try:
            check_that_nothing_is_lost(case, exit_code)
            assert not [record for record in said.records if record.exc_info], said.text
            for report in case.reports():
                report.unlink()
            assert apply_here(plan, "--jobs", "1") == 0
            check_that_nothing_is_lost(case, 0)
            assert left_staged(case) == []
        except AssertionError as error:
            raise AssertionError(f"{call}: {error}\n{said.text}") from error
    raise AssertionError("the calls never end")


@pytest.mark.parametrize("name", CALLS)
def test_any_failing_call_should_leave_old_or_right_files_row_23(
    name: str,
    case: RestoreCase,
    run_cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    error_number = errno.ENOSPC if name in {"pwrite", "mkdir", "write"} else errno.EIO

    tried = run_all(failing_calls(name, error_number, stride=STRIDES.get(name, 1)), case, run_cli, monkeypatch, caplog)

    assert tried >= (2 if name == "rename" else 4)  # only what is healed is renamed over another file


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("error_number", [errno.EIO, errno.ENOSPC, errno.EDQUOT], ids=["EIO", "ENOSPC", "EDQUOT"])
@pytest.mark.parametrize("name", [*CALLS, "stat", "ftruncate", "posix_fallocate", "link", "listdir", "rmdir"])
def test_any_failing_call_should_leave_old_or_right_files_at_full_size_row_23(  # noqa: PLR0917  # fixtures
    name: str,
    error_number: int,
    case: RestoreCase,
    run_cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    calls = failing_calls(name, error_number, stride=1)
    quarantine = ("--on-corrupt", "quarantine") if name == "link" else ()  # the only one who links

    tried = run_all(calls, case, run_cli, monkeypatch, caplog, *quarantine)

    print(f"row 23: {tried} points of {name}, {os.strerror(error_number)}")
    assert tried >= 2
