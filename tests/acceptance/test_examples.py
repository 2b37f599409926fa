"""What examples/ shows is what the program does; `test_docs` holds the README and docs/ to it."""

import json
from pathlib import Path

from cli import Cli
from real_blocks import EXAMPLE_PLAN, ROOT

from schemas.plan_source import load_plan

EXAMPLES = ROOT / "examples"


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
