"""Scorecard rows 61 and 62: packages of others with our names, readers that have seen enough."""

import subprocess
import sys
from pathlib import Path

import pytest
from cli import PROGRAM, Cli
from plan_samples import make_plan, plan_bytes, planned_file, planned_raw_file

OUR_NAMES = ("planner", "applier", "schemas")


@pytest.fixture
def plan_path(run_cli: Cli) -> Path:
    path = run_cli.folder / "plan.json"
    path.write_bytes(plan_bytes(make_plan()))
    return path


def write_package(folder: Path, name: str) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text("raise RuntimeError('another package was loaded')\n")


@pytest.mark.parametrize("name", OUR_NAMES)
@pytest.mark.parametrize("path", ["other", "", "/usr/lib:"])
def test_a_package_of_others_on_pythonpath_should_not_be_in_the_way_row_61(
    run_cli: Cli, plan_path: Path, name: str, path: str
) -> None:
    """In an entry of PYTHONPATH, or in the current folder, which an empty entry means."""
    write_package(run_cli.folder / (path if path == "other" else ""), name)

    result = run_cli("validate", plan_path, environment={"PYTHONPATH": path or ":"})

    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""


@pytest.mark.parametrize("name", OUR_NAMES)
def test_a_package_of_others_in_the_current_folder_should_not_be_in_the_way_of_the_module_row_61(
    run_cli: Cli, plan_path: Path, name: str
) -> None:
    write_package(run_cli.folder, name)

    done = subprocess.run(
        [sys.executable, "-m", "kraken_plan", "validate", plan_path],
        capture_output=True,
        encoding="utf-8",
        cwd=run_cli.folder,
        env=dict(run_cli.environment),
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_a_package_of_others_that_is_loaded_already_should_be_named_in_one_line_row_61(
    run_cli: Cli, plan_path: Path
) -> None:
    other = run_cli.folder / "other"
    (other / "schemas").mkdir(parents=True)
    (other / "schemas" / "__init__.py").touch()
    (other / "sitecustomize.py").write_text("import schemas\n")

    result = run_cli("validate", plan_path, environment={"PYTHONPATH": str(other)})

    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert f"{other}/schemas" in line
    assert "PYTHONPATH" in line


@pytest.mark.parametrize("command", [["show", "plan.json", "--files"], ["show", "plan.json", "--json"], ["schema"]])
def test_a_reader_that_has_seen_enough_should_end_it_as_it_ends_cat_row_62(run_cli: Cli, command: list[str]) -> None:
    files = (planned_file(f"many.d/{number}") for number in range(5000))
    (run_cli.folder / "plan.json").write_bytes(plan_bytes(make_plan(planned_raw_file("many.d", *files))))
    script = 'set -o pipefail; "$@" | head -n 1 > /dev/null'

    codes = []
    for _ in range(5):
        done = subprocess.run(
            ["/bin/bash", "-c", script, "bash", PROGRAM, *command],
            capture_output=True,
            encoding="utf-8",
            cwd=run_cli.folder,
            env=dict(run_cli.environment),
            check=False,
        )
        assert done.stderr == ""
        codes.append(done.returncode)

    assert set(codes) <= {0, 141}
