"""Scorecard row 39: two planned names that are one file for the file system."""

from apply_case import compile_plan, last_report, left_staged, thermo
from cli import Cli
from conftest import MakeRestoreCase
from file_systems import bind_mounted
from needs import needs_root
from restore_case import RestoreCase, raw_file
from sample_data import made_up_bytes

SAYS = "for the file system the two are one file"


def two_destinations(make_restore_case: MakeRestoreCase) -> RestoreCase:
    """Files of other bytes but one name in two destinations, and a file that has nothing to do with them."""
    case = make_restore_case(
        raw_file("one", {"f": (made_up_bytes("one", 1000), 5)}, project_id="PRID001"),
        raw_file("two", {"f": (made_up_bytes("two", 1000), 5)}, project_id="PRID002"),
        thermo(size_bytes=500),
    )
    for project_id in ("PRID001", "PRID002"):
        case.destination(project_id).mkdir()
    return case


@needs_root
def test_both_names_of_one_file_should_fail_and_stay_failed_row_39(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    # given a folder that is mounted a second time inside the output location
    case = two_destinations(make_restore_case)
    plan = compile_plan(run_cli, case)
    results = case.folder / "results.jsonl"
    with bind_mounted(case.destination("PRID001"), case.destination("PRID002")):
        # when
        first = run_cli("apply", plan, "--results", results)
        held = (case.destination() / "f").read_bytes()
        again = run_cli("apply", plan)

        # then
        assert first.exit_code == 1, first.stderr
        assert ", 3 files: 1 downloaded, 0 skipped, 0 healed, 2 failed\n" in first.stderr
        reports = "".join(report.read_text() for report in case.reports())
        assert f"f: FAILURE - Conflicts with PRID002/f: {SAYS}" in reports
        assert f"f: FAILURE - Conflicts with PRID001/f: {SAYS}" in reports
        assert "sample.raw: OK - Downloaded" in reports
        assert results.read_text().count("Conflicts with") == 2
        assert left_staged(case) == []

        # and run by run the same bytes stand there
        assert again.exit_code == 2
        assert "PRID001/f and PRID002/f are one file for the file system" in again.stderr
        assert (case.destination() / "f").read_bytes() == held


@needs_root
def test_a_corrupt_file_with_two_names_should_be_left_as_it_is_row_39(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = two_destinations(make_restore_case)
    plan = compile_plan(run_cli, case)
    (case.destination() / "f").write_bytes(b"neither")
    with bind_mounted(case.destination("PRID001"), case.destination("PRID002")):
        result = run_cli("apply", plan)

        assert result.exit_code == 2, result.stderr
        assert [path.read_bytes() for path in case.destination().iterdir()] == [b"neither"]


@needs_root
def test_a_folder_mounted_within_a_destination_should_cost_its_files_alone_row_39(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    """No rename leads from the staging folder into another mount, even of the same file system."""
    files = {f"s.d/{folder}/f": (made_up_bytes(folder, 1000), 5) for folder in ("a", "b")}
    case = make_restore_case(raw_file("s.d", files))
    plan = compile_plan(run_cli, case)
    one, other = (case.destination() / "s.d" / folder for folder in ("a", "b"))
    one.mkdir(parents=True)
    other.mkdir()
    with bind_mounted(one, other):
        result = run_cli("apply", plan, "--jobs", "1")

        assert result.exit_code == 1, result.stderr
        assert (one / "f").read_bytes() == case.raw_files[0].contents["s.d/a/f"]
        assert [path.name for path in one.iterdir()] == ["f"]
        assert "s.d/b/f: FAILURE" in last_report(case)


def test_hard_links_to_one_file_should_be_two_files_row_39(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    """Of the same content both are right; else one is healed and the other keeps its bytes."""
    content = made_up_bytes("same", 1000)
    files = {"s.d/a": (content, 5), "s.d/b": (content, 5), "s.d/c": (made_up_bytes("c", 1000), 5)}
    case = make_restore_case(raw_file("s.d", files))
    plan = compile_plan(run_cli, case)
    folder = case.destination() / "s.d"
    folder.mkdir(parents=True)
    (folder / "a").write_bytes(content)
    (folder / "b").hardlink_to(folder / "a")
    (folder / "c").hardlink_to(folder / "a")

    result = run_cli("apply", plan)

    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert (folder / "a").stat().st_ino == (folder / "b").stat().st_ino
    assert last_report(case).count("OK - Skipped") == 2
