"""Scorecard row 52: a small plan with very deep paths, as anybody may propose it, takes little memory."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from cli import Cli
from plan_samples import make_plan, plan_bytes, planned_file, planned_raw_file

from schemas.plan import PlannedFile

LITTLE_MEMORY = ("prlimit", f"--as={600_000_000}")


def deep_file(path: str) -> PlannedFile:
    """A file under a path that is too long for a key of S3."""
    return replace(planned_file(path), s3_key="k")


@pytest.mark.parametrize("command", [("validate",), ("show", "--files"), ("show", "--json"), ("split", "-n", "2")])
def test_a_plan_of_deep_paths_should_take_little_memory_row_52(run_cli: Cli, command: tuple[str, ...]) -> None:
    """Each path has 1,900 folders; a text of each of them, kept for all paths, would take a gigabyte."""
    files = (deep_file(f"{number}/{'a/' * 1900}f") for number in range(250))
    plan = run_cli.folder / "plan.json"
    plan.write_bytes(plan_bytes(make_plan(planned_raw_file("r.d", *files))))
    assert plan.stat().st_size < 4_000_000

    done = run_cli(command[0], plan, *command[1:], under=LITTLE_MEMORY)

    assert done.exit_code == 0, done.stderr


def test_deep_paths_in_each_others_way_should_be_refused_in_little_memory_row_52(run_cli: Cli, tmp_path: Path) -> None:
    """The same with conflicts, each file being a folder on the way of the next."""
    files = (deep_file("a/" * number + "a") for number in range(1900))
    (tmp_path / "plan.json").write_bytes(plan_bytes(make_plan(planned_raw_file("r.d", *files))))

    done = run_cli("validate", tmp_path / "plan.json", under=LITTLE_MEMORY)

    assert done.exit_code == 2
    assert "one would have to be a file and the folder of the other" in done.stderr
    assert "and 1880 more" in done.stderr


def test_deep_paths_in_the_catalog_should_be_compiled_in_little_memory_row_52(run_cli: Cli, tmp_path: Path) -> None:
    file_info = {f"{number}/{'a/' * 500}f": [3, "0" * 32, f"{'0' * 32}__5"] for number in range(2500)}
    document = {
        "_id": "r.d",
        "project_id": "P",
        "s3_upload_path": "s3://bucket",
        "file_info": file_info,
        "backup_status": "upload_done",
    }
    (tmp_path / "catalog.jsonl").write_text(json.dumps(document) + "\n")

    done = run_cli(
        *(
            "compile",
            "r.d",
            "--catalog",
            tmp_path / "catalog.jsonl",
            "--output-root",
            "/out",
            "-o",
            tmp_path / "p.json",
        ),
        under=LITTLE_MEMORY,
    )

    assert done.exit_code == 0, done.stderr
