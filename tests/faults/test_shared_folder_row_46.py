"""Scorecard row 46: a folder shared by a group, where a second operator continues after the first one's killed run."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from apply_case import compile_plan, last_report
from cli import Cli
from conftest import MakeRestoreCase
from faulty_proxy import FaultyProxy
from needs import needs_root
from restore_case import RestoreCase
from stalled_run import big, stall, start_until_four_parts_are_staged

FIRST, SECOND, GROUP = 12345, 12346, 54321


def as_operator(user: int) -> list[str]:
    drop = ["/usr/bin/setpriv", f"--reuid={user}", f"--regid={user}", f"--groups={GROUP}"]
    return ["/bin/sh", "-c", 'umask 022; exec "$@"', "sh", *drop]


@pytest.fixture
def shared(make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy) -> Iterator[RestoreCase]:
    """A destination that the group may write to, in folders that everybody may enter."""
    case = make_restore_case(big(), endpoint_url=faulty_proxy.endpoint_url)
    case.destination().mkdir()
    os.chown(case.destination(), FIRST, GROUP)
    case.destination().chmod(0o2775)
    opened = {folder: folder.stat().st_mode for folder in [case.folder, *case.folder.parents][:-2]}
    for folder, mode in opened.items():
        folder.chmod(mode | 0o055)
    yield case
    for folder, mode in opened.items():
        folder.chmod(stat.S_IMODE(mode))


def kill_the_first(run_cli: Cli, case: RestoreCase, plan: Path, proxy: FaultyProxy) -> None:
    stall(proxy, part=4)
    process = start_until_four_parts_are_staged(run_cli, case, plan, under=as_operator(FIRST))
    process.kill()
    process.wait()
    proxy.clear()


@needs_root
@pytest.mark.parametrize("sticky", [0, stat.S_ISVTX], ids=["", "sticky"])
def test_a_second_operator_should_be_able_to_continue_row_46(
    run_cli: Cli, shared: RestoreCase, faulty_proxy: FaultyProxy, sticky: int
) -> None:
    # given
    shared.destination().chmod(0o2775 | sticky)
    plan = compile_plan(run_cli, shared)
    kill_the_first(run_cli, shared, plan, faulty_proxy)

    # when
    result = run_cli("apply", plan, under=as_operator(SECOND))

    # then
    assert result.exit_code == 0, result.stderr
    assert shared.unrestored() == []
    assert "Status: SUCCESS" in last_report(shared)
    restored = (shared.destination() / "big.raw").stat()
    assert (restored.st_uid, restored.st_gid) == (SECOND, GROUP)

    # and the first, who comes back, cleans up
    assert run_cli("apply", plan, under=as_operator(FIRST)).exit_code == 0
    assert not (shared.destination() / ".kraken-plan").exists()


@needs_root
def test_a_second_operator_who_cannot_should_be_refused_at_once_row_46(
    run_cli: Cli, shared: RestoreCase, faulty_proxy: FaultyProxy
) -> None:
    plan = compile_plan(run_cli, shared)
    kill_the_first(run_cli, shared, plan, faulty_proxy)
    staging = shared.destination() / ".kraken-plan"
    staging.chmod(0o755)

    result = run_cli("apply", plan, under=as_operator(SECOND))

    assert result.exit_code == 2
    assert f"{staging}: no permission to write there" in result.stderr
    assert f"it is {FIRST}'s, mode 755" in result.stderr
    assert "chmod g+rwxs" in result.stderr


@needs_root
def test_a_folder_of_the_first_operator_s_should_be_named_where_it_is_in_the_way_row_46(
    run_cli: Cli, shared: RestoreCase
) -> None:
    plan = compile_plan(run_cli, shared)
    (shared.destination() / "big.raw").write_bytes(b"corrupt")
    shared.destination().chmod(0o2755)

    result = run_cli("apply", plan, under=as_operator(SECOND))

    assert result.exit_code == 2
    assert f"{shared.destination()}: no permission to write there" in result.stderr
