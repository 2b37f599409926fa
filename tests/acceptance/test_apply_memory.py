"""Memory is bounded, whatever the size of a file, of its parts, and however many of them come at once."""

import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from apply_case import compile_plan, thermo
from cli import Cli
from conftest import MakeRestoreCase
from sample_data import MIB

MOST_BYTES = 150_000_000


def peak_memory_bytes(process: subprocess.Popen[str]) -> int:
    """Wait for a process and return the most memory that it had at once.

    Not what `wait4` says: that counts what the parent had when it forked, too.
    """
    peak = 0
    while process.poll() is None:
        with suppress(OSError):
            for line in Path(f"/proc/{process.pid}/status").read_text(encoding="ascii").splitlines():
                if line.startswith("VmHWM:"):
                    peak = int(line.split()[1]) * 1024
        time.sleep(0.01)
    return peak


@pytest.mark.long
@pytest.mark.timeout(900)
def test_more_parts_than_jobs_should_be_restored_within_150_mb(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    # given files that keep all jobs busy, each of them larger than what is allowed
    names = ("one.raw", "two.raw", "three.raw", "four.raw")
    case = make_restore_case(*(thermo(name, size_bytes=200 * MIB) for name in names))
    plan = compile_plan(run_cli, case)

    # when
    process = run_cli.start("-q", "apply", plan)
    peak = peak_memory_bytes(process)

    # then
    result = run_cli.finish(process)
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert 30_000_000 < peak < MOST_BYTES
