"""The checks can fail: restorers that are wrong in one point each are caught by what kraken-plan passes."""

import hashlib
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import naive_restorer
import pytest
from apply_case import compile_plan, last_report
from cli import Cli, CliResult
from conftest import MakeRestoreCase
from fault_case import assert_old_or_right, many_files, plant_old_files, whole_object
from faulty_proxy import FaultyProxy
from network_faults import Cut, Fault
from restore_case import RestoreCase

# Loaded by Python when it starts, if it is found: a disk that writes another byte than it was given.
BAD_DISK = """
import os
pwrite, left = os.pwrite, {times}

def bad_pwrite(descriptor, data, offset):
    global left
    if left and len(data) >= 100:
        left -= 1
        data = bytes([data[0] ^ 1]) + bytes(data[1:])
    return pwrite(descriptor, data, offset)

os.pwrite = bad_pwrite
"""

Restorer = Callable[[Cli, Path, Mapping[str, str]], CliResult]


def kraken_plan(run_cli: Cli, plan: Path, environment: Mapping[str, str]) -> CliResult:
    return run_cli("apply", plan, "--retries", "1", environment=environment)


def naive(flaw: str) -> Restorer:
    """A restorer that is wrong in this point."""

    def run(run_cli: Cli, plan: Path, environment: Mapping[str, str]) -> CliResult:
        done = subprocess.run(
            [sys.executable, naive_restorer.__file__, plan, flaw],
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            env={**run_cli.environment, **environment},
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return CliResult(exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr)

    return run


def bad_disk(folder: Path, times: int) -> dict[str, str]:
    """The environment of a process whose first writes are wrong."""
    (folder / "sitecustomize.py").write_text(BAD_DISK.format(times=times), encoding="ascii")
    # the first writes are those of restored files: results are kept nowhere
    return {"PYTHONPATH": str(folder), "KRAKEN_PLAN_STATE_DIR": "/dev/null/nowhere"}


def restore_under_fault(
    flaw: str, restorer: Restorer, run_cli: Cli, case: RestoreCase, proxy: FaultyProxy
) -> CliResult:
    """Let a restorer run under the fault that this flaw does not bear, over old files, and check what it left."""
    plan = compile_plan(run_cli, case)
    environment: dict[str, str] = {}
    match flaw:
        case "in place":
            proxy.add(Fault(action=Cut(after=500), key="many.d/001", method="GET"))
        case "trusts If-Match":
            etag = hashlib.md5(case.raw_files[0].contents["many.d/001"]).hexdigest()
            proxy.add(Fault(action=whole_object(bytes(1000), etag), key="many.d/001", method="GET"))
        case "no read-back":
            environment = bad_disk(case.folder, times=1000)
    before = plant_old_files(case)
    result = restorer(run_cli, plan, environment)
    assert_old_or_right(case, result.exit_code, before)
    return result


@pytest.mark.parametrize("flaw", naive_restorer.FLAWS)
def test_what_kraken_plan_passes_should_catch_a_restorer_that_is_wrong_in_one_point(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, flaw: str
) -> None:
    # given
    def case() -> RestoreCase:
        return make_restore_case(many_files(3), endpoint_url=faulty_proxy.endpoint_url)

    # when / then
    assert restore_under_fault(flaw, kraken_plan, run_cli, case(), faulty_proxy).exit_code == 1
    faulty_proxy.clear()
    with pytest.raises(AssertionError, match="neither the old nor the right bytes"):
        restore_under_fault(flaw, naive(flaw), run_cli, case(), faulty_proxy)


def test_the_naive_restorers_should_restore_where_nothing_is_wrong(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(many_files(3))
    plan = compile_plan(run_cli, case)

    for flaw in naive_restorer.FLAWS:
        plant_old_files(case)
        result = naive(flaw)(run_cli, plan, {})

        assert result.exit_code == 0, result.stderr
        assert case.unrestored() == []


def test_a_byte_that_the_disk_has_written_wrong_once_should_be_written_anew(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(many_files(3))
    plan = compile_plan(run_cli, case)

    result = run_cli("apply", plan, environment=bad_disk(case.folder, times=1))

    assert result.exit_code == 0, result.stderr
    assert "not verified as read back: etag mismatch: " in result.stderr
    assert case.unrestored() == []
    assert "Status: SUCCESS" in last_report(case)
