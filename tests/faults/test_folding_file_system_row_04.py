"""Scorecard row 4, its last part: names equal but for case or Unicode form, on a file system that folds them."""

import pytest
from apply_case import compile_plan, last_report, left_staged, thermo
from cli import Cli
from conftest import MakeRestoreCase
from file_systems import mounted_folding, mounted_tmpfs
from needs import needs_root


@needs_root
@pytest.mark.parametrize(
    ("one", "other"), [("Sample.raw", "sample.RAW"), ("x.d/y", "X.D/Y"), ("x", "X/y")], ids=["name", "both", "folder"]
)
def test_names_that_are_one_file_there_should_be_refused_by_both_names_row_04(
    run_cli: Cli, make_restore_case: MakeRestoreCase, one: str, other: str
) -> None:
    case = make_restore_case(thermo(one, size_bytes=100), thermo(other, size_bytes=200), thermo("ok", size_bytes=10))
    plan = compile_plan(run_cli, case)
    with mounted_folding(case.output_location):
        result = run_cli("apply", plan)

        assert result.exit_code == 2, result.stderr
        assert f"\n  {one}: {one} and {other}: {other}\n" in result.stderr
        assert "with --output-root" in result.stderr
        assert list(case.output_location.iterdir()) == []


@needs_root
def test_all_others_should_be_restored_when_conflicts_are_to_be_skipped_row_04(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(
        thermo("Sample.raw", size_bytes=100), thermo("sample.RAW", size_bytes=200), thermo("ok", size_bytes=10)
    )
    plan = compile_plan(run_cli, case)
    with mounted_folding(case.output_location):
        result = run_cli("apply", plan, "--skip-conflicts")

        assert result.exit_code == 1, result.stderr
        assert case.unrestored() == ["PRID001/Sample.raw", "PRID001/sample.RAW"]
        report = last_report(case)
        assert "ok: OK - Downloaded and verified" in report
        for one, other in (("Sample.raw", "sample.RAW"), ("sample.RAW", "Sample.raw")):
            why = "the file system makes one file of both names"
            assert f"{one}: FAILURE - Conflicts with {other}: {other} ({why})\n" in report
        # and the names can be left out for good, as the refusal says
        refused = run_cli("apply", plan)
        assert refused.exit_code == 2
        assert "--exclude Sample.raw" in refused.stderr


@needs_root
def test_names_that_stay_apart_there_should_be_restored_and_healed_row_04(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    # given names that another file system might fold, and a corrupt file under another case
    case = make_restore_case(thermo("a", size_bytes=100), thermo("\uff41", size_bytes=200), thermo("B", size_bytes=300))
    plan = compile_plan(run_cli, case)
    with mounted_folding(case.output_location):
        case.destination().mkdir()
        (case.destination() / "b").write_bytes(b"corrupt")

        # when
        result = run_cli("apply", plan, "--on-corrupt", "quarantine")

        # then
        assert result.exit_code == 0, result.stderr
        assert case.unrestored() == []
        assert "B: OK - Self-healed" in last_report(case)
        assert (case.destination() / "B.corrupted").read_bytes() == b"corrupt"
        assert left_staged(case) == []


def test_names_that_only_look_alike_should_be_restored_where_they_are_two_row_04(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(
        *(thermo(name, size_bytes=100 + number) for number, name in enumerate(["é", "e\u0301", "É", "x/Y", "X/y"]))
    )

    result = run_cli("apply", compile_plan(run_cli, case))

    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert left_staged(case) == []


@needs_root
def test_a_full_file_system_should_be_left_as_it_was_row_04(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    """There is no room to try the names out."""
    names = [f"{stem}{number}" for number in range(8) for stem in "aA"]
    case = make_restore_case(*(thermo(name, size_bytes=100 + number) for number, name in enumerate(names)))
    plan = compile_plan(run_cli, case)
    with mounted_tmpfs(case.output_location, "size=2m,nr_inodes=20"):
        result = run_cli("apply", plan, "--skip-space-check")

        assert result.exit_code == 2, result.stderr
        assert "cannot be tried out: No space left on device\n" in result.stderr
        assert list(case.output_location.iterdir()) == []
