"""Scorecard row 45: the output location is moved, unmounted or replaced in mid-run."""

import subprocess

import pytest
from apply_case import compile_plan, thermo
from cli import Cli
from conftest import MakeRestoreCase
from fault_case import many_files
from faulty_proxy import FaultyProxy
from file_systems import mounted_tmpfs
from needs import needs_root
from network_faults import Fault, Stall
from waiting import wait_for


@pytest.mark.parametrize("way", ["moved", "replaced"])
@pytest.mark.parametrize("options", [(), ("--no-report",)], ids=["report", "no report"])
def test_an_output_location_that_goes_away_should_be_said_row_45(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, way: str, options: tuple[str, ...]
) -> None:
    # given
    case = make_restore_case(thermo("a.raw", size_bytes=1000), many_files(3), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    faulty_proxy.add(Fault(action=Stall(seconds=3, after=10), key="many.d", method="GET"))
    process = run_cli.start("apply", plan, "--jobs", "1", *options)
    wait_for((case.destination() / "a.raw").exists, "the first file")

    # when
    case.output_location.rename(case.folder / "moved")
    if way == "replaced":
        case.output_location.mkdir()
    result = run_cli.finish(process)

    # then
    assert result.exit_code == 1
    assert ("no longer there" if way == "moved" else "another folder stands where the output location was") in (
        result.stderr
    )
    assert result.stdout == ""
    assert way == "moved" or list(case.output_location.iterdir()) == []
    assert not list((case.folder / "moved").rglob("many.d/*"))


@needs_root
def test_a_file_system_that_is_unmounted_should_be_said_row_45(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    case = make_restore_case(thermo("a.raw", size_bytes=1000), many_files(3), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    faulty_proxy.add(Fault(action=Stall(seconds=3, after=10), key="many.d", method="GET"))
    with mounted_tmpfs(case.output_location, "size=20m"):
        process = run_cli.start("apply", plan, "--jobs", "1")
        wait_for((case.destination() / "a.raw").exists, "the first file")
        subprocess.run(["/bin/umount", "--lazy", case.output_location], check=True)
        try:
            result = run_cli.finish(process)
        finally:
            subprocess.run(["/bin/mount", "-t", "tmpfs", "tmpfs", case.output_location], check=True)

    assert result.exit_code == 1
    assert "another folder stands where the output location was" in result.stderr
    assert result.stdout == ""
    assert list(case.output_location.iterdir()) == []


@pytest.mark.parametrize(
    "options", [(), ("--no-report",), ("--report-dir", ".")], ids=["report", "no report", "report elsewhere"]
)
def test_an_output_location_that_goes_away_while_all_is_found_right_should_be_said_row_45(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, options: tuple[str, ...]
) -> None:
    case = make_restore_case(thermo("a.raw", size_bytes=1000), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    assert run_cli("apply", plan).exit_code == 0
    faulty_proxy.add(Fault(action=Stall(seconds=2, after=0), key="a.raw", method="HEAD"))
    process = run_cli.start("apply", plan, *options)
    heads = len(faulty_proxy.requests("HEAD", "a.raw"))
    wait_for(lambda: len(faulty_proxy.requests("HEAD", "a.raw")) > heads, "the look at S3")

    case.output_location.rename(case.folder / "moved")
    result = run_cli.finish(process)

    assert result.exit_code == 1
    assert "no longer there" in result.stderr
    assert all((run_cli.folder / path).exists() for path in result.stdout.splitlines())
