"""Scorecard row 48: space enough, too few inodes."""

import pytest
from apply_case import compile_plan, left_staged
from cli import Cli
from conftest import MakeRestoreCase
from fault_case import many_files
from file_systems import mounted_tmpfs
from needs import needs_root
from restore_case import raw_file
from sample_data import made_up_bytes


@needs_root
@pytest.mark.parametrize("shape", ["files", "folders"])
def test_too_few_inodes_should_be_seen_before_the_first_byte_row_48(
    run_cli: Cli, make_restore_case: MakeRestoreCase, shape: str
) -> None:
    if shape == "files":
        sample = many_files(60)
    else:
        files = {f"many.d/{number}/x/y/f": (made_up_bytes(str(number), 100), 5) for number in range(15)}
        sample = raw_file("many.d", files)
    case = make_restore_case(sample)
    plan = compile_plan(run_cli, case)
    with mounted_tmpfs(case.output_location, "size=20m,nr_inodes=50"):
        result = run_cli("apply", plan)

        assert result.exit_code == 2, result.stderr
        assert "files and folders (inodes) needed, " in result.stderr
        assert str(case.destination()) in result.stderr
        assert list(case.output_location.iterdir()) == []


@needs_root
def test_just_enough_inodes_should_do_row_48(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    case = make_restore_case(many_files(30))
    plan = compile_plan(run_cli, case)
    with mounted_tmpfs(case.output_location, "size=20m,nr_inodes=45"):
        assert run_cli("apply", plan).exit_code == 0

        assert case.unrestored() == []
        assert run_cli("apply", plan).exit_code == 0  # nothing is missing: it needs none
        assert left_staged(case) == []
