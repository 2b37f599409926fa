"""Scorecard row 34: files deleted, replaced or led elsewhere while a run is at work. Right or FAILURE, nothing outside.

Each run is caught while S3 keeps it waiting for a file.
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from apply_case import compile_plan, last_report, left_staged, thermo
from cli import Cli
from conftest import MakeRestoreCase
from faulty_proxy import FaultyProxy
from file_systems import picture
from network_faults import Answer, Fault, Stall
from restore_case import RestoreCase
from sample_data import MIB
from waiting import wait_for

if TYPE_CHECKING:
    import subprocess

DENIED = Answer(status=403, code="AccessDenied")


def corrupt_copies(case: RestoreCase) -> list[bytes]:
    return [path.read_bytes() for path in case.output_location.rglob("*.corrupted*")]


def caught(run_cli: Cli, case: RestoreCase, proxy: FaultyProxy, *options: str) -> "subprocess.Popen[str]":
    """A run that waits two seconds for its file's body."""
    plan = compile_plan(run_cli, case)
    proxy.add(Fault(action=Stall(seconds=2), key=case.raw_file_ids[0], method="GET", times=1))
    process = run_cli.start("apply", plan, *options)
    wait_for(lambda: proxy.requests("GET", case.raw_file_ids[0]), "the download")
    return process


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A tree beside the output location that must stay as it is."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "y").write_bytes(b"not ours")
    return folder


# --- the file


@pytest.mark.parametrize("way", ["renamed over it", "written anew", "written into it"])
def test_a_file_that_another_run_has_healed_meanwhile_should_be_left_in_place_row_34(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, way: str
) -> None:
    # given a healing that hangs
    case = make_restore_case(thermo(size_bytes=1000), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    path, good = case.destination() / "sample.raw", case.raw_files[0].contents["sample.raw"]
    path.parent.mkdir()
    path.write_bytes(b"wrong")
    faulty_proxy.add(
        Fault(action=Stall(seconds=60), key="sample.raw", method="GET", times=1),
        Fault(action=DENIED, key="sample.raw", method="GET"),
    )
    process = run_cli.start("apply", plan, "--timeout", "2")
    wait_for(lambda: faulty_proxy.requests("GET", "sample.raw"), "the healing")

    # when the right bytes come from elsewhere, before it fails
    match way:
        case "renamed over it":
            (case.folder / "healed").write_bytes(good)
            (case.folder / "healed").rename(path)
        case "written anew":  # which may give it the inode of the wrong one
            path.unlink()
            path.write_bytes(good)
        case "written into it":
            path.write_bytes(good)
    run_cli.finish(process)

    # then
    assert {exchange.status for exchange in faulty_proxy.requests("GET", "sample.raw")} >= {403}
    assert path.read_bytes() == good
    assert good not in corrupt_copies(case)
    assert left_staged(case) == []


def test_quarantine_should_keep_what_was_written_there_during_the_download_row_34(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given a file that is absent when its download begins
    case = make_restore_case(thermo(size_bytes=1000), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    faulty_proxy.add(Fault(action=Stall(seconds=2), key="sample.raw", method="GET", times=1))
    process = run_cli.start("apply", plan, "--on-corrupt", "quarantine")
    wait_for(lambda: faulty_proxy.requests("GET", "sample.raw"), "the download")

    # when
    case.destination().mkdir(exist_ok=True)
    (case.destination() / "sample.raw").write_bytes(b"foreign")
    result = run_cli.finish(process)

    # then
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert (case.destination() / "sample.raw.corrupted").read_bytes() == b"foreign"


@pytest.mark.parametrize("before", [None, b"wrong"], ids=["absent", "wrong"])
def test_a_file_that_is_deleted_or_comes_and_goes_should_be_restored_row_34(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, before: bytes | None
) -> None:
    # given
    case = make_restore_case(thermo("x.d/y", size_bytes=1000), endpoint_url=faulty_proxy.endpoint_url)
    folder = case.destination() / "x.d"
    if before is not None:
        folder.mkdir(parents=True)
        (folder / "y").write_bytes(before)
    process = caught(run_cli, case, faulty_proxy)

    # when
    shutil.rmtree(folder, ignore_errors=True)
    result = run_cli.finish(process)

    # then
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert left_staged(case) == []


# --- folders


def test_a_folder_swapped_for_a_link_should_fail_its_files_and_write_nothing_outside_row_34(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, outside: Path
) -> None:
    # given a wrong file that is being healed
    case = make_restore_case(
        thermo("x.d/y", size_bytes=1000), thermo("z", size_bytes=10), endpoint_url=faulty_proxy.endpoint_url
    )
    folder = case.destination() / "x.d"
    folder.mkdir(parents=True)
    (folder / "y").write_bytes(b"wrong")
    process = caught(run_cli, case, faulty_proxy)
    before = picture(outside)

    # when
    folder.rename(case.folder / "moved")
    folder.symlink_to(outside)
    result = run_cli.finish(process)

    # then
    assert result.exit_code == 1
    assert "x.d/y: FAILURE - Cannot write: a symbolic link stands in the way (x.d)\n" in last_report(case)
    assert "z: OK" in last_report(case)
    assert picture(outside) == before
    assert [path.read_bytes() for path in (case.folder / "moved").iterdir()] == [b"wrong"]
    assert left_staged(case) == []


@pytest.mark.parametrize("way", ["deleted", "deleted with a journal", "swapped for a link", "emptied"])
def test_a_staging_folder_that_vanishes_should_cost_the_file_at_most_row_34(
    run_cli: Cli,
    make_restore_case: MakeRestoreCase,
    faulty_proxy: FaultyProxy,
    outside: Path,
    way: str,
) -> None:
    # given
    size_bytes = 34 * MIB if way.endswith("journal") else 1000
    case = make_restore_case(thermo("big.raw", size_bytes=size_bytes), endpoint_url=faulty_proxy.endpoint_url)
    process = caught(run_cli, case, faulty_proxy)
    staging = case.destination() / ".kraken-plan"
    before = picture(outside)

    # when
    match way:
        case "deleted" | "deleted with a journal":
            shutil.rmtree(staging)
        case "swapped for a link":
            staging.rename(case.folder / "moved")
            staging.symlink_to(outside)
        case "emptied":
            for path in staging.rglob("run-*/*"):
                path.unlink()
    result = run_cli.finish(process)

    # then
    assert result.exit_code in {0, 1}, result.stderr
    assert (case.unrestored() == []) == (result.exit_code == 0 or way == "swapped for a link")
    assert picture(outside) == before
    assert "unforeseen" not in result.stderr

    # and once it is a folder again, the next run ends well and leaves nothing
    if staging.is_symlink():
        staging.unlink()
    assert run_cli("apply", case.folder / "plan.json").exit_code == 0
    assert case.unrestored() == []
    assert left_staged(case) == []


def test_a_destination_swapped_for_a_link_should_not_lead_anything_out_row_34(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, outside: Path
) -> None:
    # given
    case = make_restore_case(thermo("a.raw", size_bytes=1000), endpoint_url=faulty_proxy.endpoint_url)
    process = caught(run_cli, case, faulty_proxy)
    before = picture(outside)

    # when
    case.destination().rename(case.folder / "moved")
    case.destination().symlink_to(outside)
    result = run_cli.finish(process)

    # then neither file nor report is written there
    assert result.exit_code == 1
    assert "a.raw: FAILURE - Cannot write: a symbolic link stands in the way (PRID001)\n" in result.stderr
    assert "the report cannot be written: a symbolic link stands in the way (PRID001)\n" in result.stderr
    assert picture(outside) == before


@pytest.mark.parametrize("removed", ["the folder", "the file"])
def test_a_staged_file_that_another_program_removes_should_be_named_and_reported_row_34(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, removed: str
) -> None:
    # given
    case = make_restore_case(thermo(size_bytes=MIB), endpoint_url=faulty_proxy.endpoint_url)
    process = caught(run_cli, case, faulty_proxy)
    staging = case.destination() / ".kraken-plan"
    wait_for(lambda: staged_files(staging), "the staged file")

    # when
    if removed == "the folder":
        shutil.rmtree(staging)
    else:
        for path in staged_files(staging):
            path.unlink()
    result = run_cli.finish(process)

    # then
    assert result.exit_code == 1
    assert "sample.raw: FAILURE - Cannot write: another program has removed the staged file\n" in last_report(case)
    assert "keeps changing" not in result.stderr
    assert len(faulty_proxy.requests("GET", "sample.raw")) == 1
    assert run_cli("apply", case.folder / "plan.json").exit_code == 0
    assert case.unrestored() == []
    assert left_staged(case) == []


def staged_files(staging: Path) -> list[Path]:
    return [path for path in staging.glob("run-*/*") if path.name != "report"]
