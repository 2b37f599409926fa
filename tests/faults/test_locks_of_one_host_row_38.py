"""Scorecard row 38: locks that hold on one host or mount only, and runs of one plan or of its parts at once."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from apply_case import compile_plan, left_staged
from cli import Cli
from conftest import MakeRestoreCase
from fault_case import many_files
from faulty_proxy import FaultyProxy
from needs import needs_root
from network_faults import Fault, Stall
from other_hosts import HOST_LOCAL_LOCKS, needs_namespaces, other_host
from stalled_run import (
    BIG_BYTES,
    PARTS,
    big,
    kill_with_four_parts_staged,
    stall,
    start_until_four_parts_are_staged,
)
from waiting import wait_for


def staged_files(output_location: Path) -> dict[int, bytes]:
    return {path.stat().st_ino: path.read_bytes() for path in output_location.rglob("run-*/*.part")}


def fetched_bytes(proxy: FaultyProxy) -> int:
    return sum(exchange.sent_bytes for exchange in proxy.requests("GET", "big.raw"))


@needs_namespaces
@pytest.mark.parametrize("ends", ["before", "after"])
def test_a_living_run_s_staged_file_should_never_be_published_by_another_host(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, ends: str
) -> None:
    """Row 38."""
    # given a run on another host that hangs in the middle of a file, writing to it
    case = make_restore_case(big(), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    stall(faulty_proxy, part=4)
    process = start_until_four_parts_are_staged(run_cli, case, plan, under=other_host(case.folder))
    theirs = staged_files(case.output_location)
    faulty_proxy.clear()

    # when
    if ends == "before":
        process.kill()
        process.wait()
    result = run_cli("apply", plan, under=HOST_LOCAL_LOCKS)

    # then the file is right, is not theirs, and theirs is as it was
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert (case.destination() / "big.raw").stat().st_ino not in theirs
    assert staged_files(case.output_location).keys() == theirs.keys()
    process.kill()


@needs_namespaces
def test_what_another_host_s_run_has_staged_should_not_be_fetched_again(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    """Row 38."""
    case = make_restore_case(big(), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    stall(faulty_proxy, part=4)
    process = start_until_four_parts_are_staged(run_cli, case, plan, under=other_host(case.folder))
    process.kill()
    process.wait()
    faulty_proxy.clear()
    before = fetched_bytes(faulty_proxy)

    assert run_cli("apply", plan).exit_code == 0

    assert case.unrestored() == []
    assert fetched_bytes(faulty_proxy) - before <= BIG_BYTES // PARTS


@needs_namespaces
def test_wrong_bytes_that_another_host_s_run_has_staged_should_cost_a_fetch(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    """Row 38."""
    case = make_restore_case(big(), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    stall(faulty_proxy, part=4)
    process = start_until_four_parts_are_staged(run_cli, case, plan, under=other_host(case.folder))
    process.kill()
    process.wait()
    faulty_proxy.clear()
    (staged,) = case.output_location.rglob("run-*/*.part")
    with staged.open("r+b") as file:
        file.write(b"never written back")

    assert run_cli("apply", plan).exit_code == 0

    assert case.unrestored() == []


@needs_namespaces
def test_parts_of_a_plan_on_several_hosts_should_not_disturb_each_other(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    """Row 38: a start must not delete what other runs have staged, small files among them."""
    # given
    case = make_restore_case(many_files(90), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    assert run_cli("split", plan, "-n", "3", "-o", case.folder / "parts").exit_code == 0
    parts = sorted((case.folder / "parts").glob("*.json"))
    faulty_proxy.add(Fault(action=Stall(seconds=2, after=10), key="many.d/0[0-9]5", method="GET"))

    # when
    hosts = [HOST_LOCAL_LOCKS, other_host(case.folder, 1), other_host(case.folder, 2)]
    runs = [run_cli.start("apply", part, "--jobs", "4", under=host) for part, host in zip(parts, hosts, strict=True)]
    results = [run_cli.finish(run) for run in runs]

    # then
    assert [result.exit_code for result in results] == [0, 0, 0], results
    assert case.unrestored() == []
    assert left_staged(case) == []


def test_a_second_run_on_the_host_should_know_a_living_one_without_its_lock(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    """Row 38."""
    case = make_restore_case(big(), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    stall(faulty_proxy, part=4)
    process = start_until_four_parts_are_staged(run_cli, case, plan, under=HOST_LOCAL_LOCKS)
    theirs = staged_files(case.output_location)
    faulty_proxy.clear()

    result = run_cli("apply", plan, under=HOST_LOCAL_LOCKS)

    assert result.exit_code == 0, result.stderr
    assert (case.destination() / "big.raw").stat().st_ino not in theirs
    assert staged_files(case.output_location) == theirs
    process.kill()


def test_what_a_killed_run_of_this_host_has_staged_should_be_resumed_and_nothing_left(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    """Row 38: the control, also without locks that work."""
    case = make_restore_case(big(), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    stall(faulty_proxy, part=4)
    kill_with_four_parts_staged(run_cli, case, plan)
    (inode,) = staged_files(case.output_location)
    faulty_proxy.clear()

    assert run_cli("apply", plan, under=HOST_LOCAL_LOCKS).exit_code == 0

    assert (case.destination() / "big.raw").stat().st_ino == inode
    assert case.unrestored() == []
    assert left_staged(case) == []


@contextmanager
def mounted_twice(folder: Path, one: Path, other: Path) -> Iterator[None]:
    """Mount a folder at two places by FUSE, where the lock of one is free to the other."""
    mounts = []
    try:
        for mount in (one, other):
            mount.mkdir()
            made = subprocess.run(
                ["/usr/bin/bindfs", str(folder), str(mount)], check=False, capture_output=True, text=True
            )
            if made.returncode != 0:
                pytest.skip(f"no FUSE here: {made.stderr}")
            mounts.append(mount)
        yield
    finally:
        for mount in mounts:
            subprocess.run(["/bin/umount", "--lazy", str(mount)], check=True)


@needs_root
@pytest.mark.skipif(not Path("/usr/bin/bindfs").exists(), reason="there is no bindfs")
def test_two_runs_through_two_mounts_of_one_folder_should_not_meet(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    """Row 38."""
    case = make_restore_case(big(), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    one, other = case.folder / "one", case.folder / "other"
    with mounted_twice(case.output_location, one, other):
        stall(faulty_proxy, part=4)
        process = start_until_four_parts_are_staged(run_cli, case, plan, "--output-root", one)
        theirs = staged_files(case.output_location)
        faulty_proxy.clear()

        result = run_cli("apply", plan, "--output-root", other)

        assert result.exit_code == 0, result.stderr
        assert case.unrestored() == []
        assert (case.destination() / "big.raw").stat().st_ino not in theirs
        wait_for(lambda: staged_files(case.output_location).keys() == theirs.keys(), "theirs alone")
        process.kill()
        process.wait()
