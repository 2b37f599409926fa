"""What the README and examples/ show is what the program does."""

import json
from pathlib import Path

from cli import Cli
from readme_blocks import EXAMPLE_PLAN, README, ROOT, with_real_blocks

from schemas.plan_source import load_plan

EXAMPLES = ROOT / "examples"


def test_readme_should_show_the_real_help_plan_and_report() -> None:
    text = README.read_text(encoding="utf-8")

    assert text.count("<!-- help: ") == 3
    assert text == with_real_blocks(text), "run `.venv/bin/python tests/worlds/readme_blocks.py`"


def test_readme_should_name_only_files_that_are_there() -> None:
    text = README.read_text(encoding="utf-8")
    linked = [part.split(")")[0] for part in text.split("](")[1:]]

    assert [link for link in linked if not link.startswith("https://") and not (ROOT / link).exists()] == []


def test_example_plan_should_be_what_compile_makes_of_the_example_catalog(run_cli: Cli, tmp_path: Path) -> None:
    # when
    result = run_cli(
        *("compile", "20250115_sample.d", "no_such_file", "-o", tmp_path / "plan.json"),
        *("--catalog", EXAMPLES / "raw_file.example.jsonl"),
        *("--config", EXAMPLES / "alphakraken.example.yaml"),
        environment={"AWS_ENDPOINT_URL": None},  # which would stand in the plan
    )

    # then
    assert result.exit_code == 1
    assert json.loads((tmp_path / "plan.json").read_bytes())["plan_digest"] == load_plan(str(EXAMPLE_PLAN)).plan_digest


def test_every_example_plan_should_be_valid(run_cli: Cli) -> None:
    plans = list((EXAMPLES / "plans").iterdir())

    assert plans
    for plan in plans:
        assert run_cli("validate", plan).exit_code == 0
