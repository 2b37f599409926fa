"""Destinations that cannot be used, or not any longer: full, read-only, missing, in the way."""

import os

from apply_case import compile_plan, thermo
from cli import Cli
from conftest import MakeRestoreCase
from file_systems import mounted_tmpfs
from needs import needs_root


@needs_root
def test_read_only_output_location_should_be_refused_before_anything_is_fetched(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo())
    plan = compile_plan(run_cli, case)
    with mounted_tmpfs(case.output_location, "ro"):
        result = run_cli("apply", plan)

    assert result.exit_code == 2
    assert f"{case.destination()}: the file system is read-only" in result.stderr


def test_missing_output_location_should_be_refused_and_never_made(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo())
    plan = compile_plan(run_cli, case)
    case.output_location.rmdir()

    result = run_cli("apply", plan)

    assert result.exit_code == 2
    assert f"the output location {case.output_location} does not exist" in result.stderr
    assert not case.output_location.exists()


def test_output_location_itself_may_be_a_link(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    case = make_restore_case(thermo())
    plan = compile_plan(run_cli, case)
    case.output_location.rename(case.folder / "pool")
    case.output_location.symlink_to(case.folder / "pool")

    assert run_cli("apply", plan).exit_code == 0
    assert case.unrestored() == []


def test_delivered_files_should_have_the_mode_of_the_umask(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    case = make_restore_case(thermo())
    plan = compile_plan(run_cli, case)
    before = os.umask(0o027)
    try:
        run_cli("apply", plan)
    finally:
        os.umask(before)

    assert (case.destination() / "sample.raw").stat().st_mode & 0o777 == 0o640
    assert case.reports()[0].stat().st_mode & 0o777 == 0o640
