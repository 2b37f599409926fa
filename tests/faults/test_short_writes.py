"""The kernel may write less than it is asked to: files, journal and report must be whole all the same."""

import os
import re
import shutil
from pathlib import Path

import pytest
from apply_case import compile_plan, last_report, left_staged
from apply_here import apply_here, prepare
from cli import Cli
from conftest import MakeRestoreCase
from embedded_s3 import EmbeddedS3
from restore_case import RestoreCase, raw_file
from sample_data import made_up_bytes
from short_writes import short_writes

from applier.disk.folders import write_all

SIZES = {"s.d/big.bin": 300_000, "s.d/small.bin": 3000, "s.d/healed.bin": 3000, "s.d/empty.bin": 0}


@pytest.fixture
def case(
    make_restore_case: MakeRestoreCase, monkeypatch: pytest.MonkeyPatch, s3_server: EmbeddedS3, tmp_path: Path
) -> RestoreCase:
    """Four files, of which the big one has a journal and is fetched in segments."""
    prepare(monkeypatch, s3_server, tmp_path)
    return make_restore_case(raw_file("s.d", {name: (made_up_bytes(name, size), 5) for name, size in SIZES.items()}))


def put_before(case: RestoreCase) -> None:
    """Lay out what is there before a run: other bytes under the name of one file."""
    shutil.rmtree(case.output_location)
    (case.destination() / "s.d").mkdir(parents=True)
    (case.destination() / "s.d/healed.bin").write_bytes(b"not what the plan says")


def without_times(report: str) -> str:
    return re.sub(r"(?m)^(Timestamp|Begin|End): .*$| in \d+\.\d+s", "", report)


@pytest.mark.parametrize("most_bytes", [7, 1000])
def test_short_writes_should_lose_nothing_of_files_and_report(
    case: RestoreCase, run_cli: Cli, monkeypatch: pytest.MonkeyPatch, most_bytes: int
) -> None:
    # given the report of a run whose writes are whole
    plan = compile_plan(run_cli, case)
    put_before(case)
    assert apply_here(plan) == 0
    expected = without_times(last_report(case))
    put_before(case)

    # when
    with short_writes(monkeypatch, most_bytes) as cut:
        exit_code = apply_here(plan)

    # then
    assert cut
    assert exit_code == 0
    assert case.unrestored() == []
    assert left_staged(case) == []
    assert without_times(last_report(case)) == expected
    assert "healed.bin: OK - Self-healed" in expected


def test_a_kernel_that_takes_nothing_should_not_be_asked_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pwrite", lambda *_: 0)

    with pytest.raises(OSError, match="nothing more can be written"):
        write_all(0, memoryview(b"content"), 0)
