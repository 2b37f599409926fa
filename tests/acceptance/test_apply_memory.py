"""Memory is bounded, whatever the size of a file, of its parts, and however many of them come at once."""

import pytest
from apply_case import compile_plan, thermo
from cli import Cli
from conftest import MakeRestoreCase
from peak_memory import peak_memory_bytes
from sample_data import MIB

MOST_BYTES = 150_000_000


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
