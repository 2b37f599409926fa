"""Scorecard rows 53 and 62: numbers and shapes that Python cannot take, in results, settings, plans."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from apply_case import compile_plan, last_report, thermo
from cli import Cli
from conftest import MakeRestoreCase
from plan_samples import plan_document
from restore_case import RestoreCase


@pytest.fixture
def applied(run_cli: Cli, make_restore_case: MakeRestoreCase) -> tuple[RestoreCase, Path, Path]:
    """A plan of a.raw that was applied, and the results."""
    case = make_restore_case(thermo("a.raw", size_bytes=1000))
    plan, results = compile_plan(run_cli, case), run_cli.folder / "results.jsonl"
    assert run_cli("apply", plan, "--no-report", "--results", results).exit_code == 0
    return case, plan, results


def with_value(text: str, name: str, literal: str) -> str:
    """Results in which the first value of this name is another."""
    before, _, after = text.partition(f'"{name}": ')
    return f'{before}"{name}": {literal}{after[after.index(",") :]}'


@pytest.mark.parametrize(
    ("name", "literal"),
    [
        ("size_bytes", "9" * 400),
        ("size_bytes", "9" * 5000),
        ("duration_seconds", "1e999"),
        ("duration_seconds", "9" * 400),
        ("duration_seconds", "NaN"),
        ("relative_path", "[" * 900 + "]" * 900),
        ("relative_path", '"\\ud800"'),
        ("corrupt_copy", "-1"),
        ("started_at", '"9999999999-01-01T00:00:00Z"'),
        ("output_location", '"/a/../b"'),
    ],
)
def test_results_that_nobody_can_have_written_should_be_refused_in_one_line_row_53(
    run_cli: Cli, applied: tuple[RestoreCase, Path, Path], name: str, literal: str
) -> None:
    case, plan, results = applied
    results.write_text(with_value(results.read_text(encoding="utf-8"), name, literal), encoding="utf-8")
    for done in (run_cli("report", "--plan", plan, results), run_cli("select", plan, "--failed", results)):
        assert (done.exit_code, done.stdout) == (2, "")
        assert done.stderr.startswith(f"kraken-plan: error: {results}: line ")
        assert done.stderr.count("\n") == 1
    assert case.reports() == []


@pytest.mark.parametrize(
    "value",
    ["!!int " + "9" * 5000, "0x" + "f" * 5000, ".inf", "{[a]: 1}", "&a [*a]", "[*laughs, *laughs]", '"\\U00110000"'],
)
def test_settings_of_any_shape_should_be_ignored_or_refused_in_one_line_row_53(
    run_cli: Cli, make_restore_case: MakeRestoreCase, value: str
) -> None:
    # given values of any shape, aliases that multiply among them
    case = make_restore_case(thermo("a.raw", size_bytes=1000))
    settings = case.config_path.read_text(encoding="utf-8")
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 10))
    laughs = f"l0: &l0 ha\n{levels}laughs: &laughs [*l9]\n"

    def compiled(text: str) -> tuple[int, str]:
        case.config_path.write_text(laughs + text, encoding="utf-8")
        done = run_cli("compile", "a.raw", "--catalog", case.export_path, "--config", case.config_path, "-o", "p.json")
        return done.exit_code, done.stderr

    # when / then: where it is nobody's it does not matter, unless it is no YAML at all
    assert compiled(f"{settings}\nothers: {value}\n")[0] == (2 if "\\U" in value else 0)
    exit_code, said = compiled(f"locations: {{output: {value}}}\n")
    assert exit_code == 2
    assert said.startswith("kraken-plan: error: site config ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("number", ["9" * 400, str(2**64), "9" * 5000])
def test_a_number_of_a_later_plan_format_should_be_refused_in_one_line_row_53(run_cli: Cli, number: str) -> None:
    document = json.dumps({**plan_document(), "format_version": "1.9", "later": "NUMBER"})
    (run_cli.folder / "plan.json").write_text(document.replace('"NUMBER"', number))
    for command in ("validate", "seal"):
        done = run_cli("-q", command, "plan.json")
        assert done.exit_code == 2
        assert done.stderr.startswith("kraken-plan: error: plan.json: ")
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("cut", [0, 1, 30])
def test_results_of_two_runs_in_one_file_should_be_those_of_both_row_62(
    run_cli: Cli, applied: tuple[RestoreCase, Path, Path], cut: int
) -> None:
    """As `cat` puts them together, also where the first run was killed in the middle of a line."""
    case, plan, results = applied
    again = run_cli.folder / "again.jsonl"
    assert run_cli("apply", plan, "--no-report", "--results", again).exit_code == 0
    first = results.read_bytes()
    (run_cli.folder / "both.jsonl").write_bytes(first[: len(first) - cut] + again.read_bytes())

    done = run_cli("report", "--plan", plan, "both.jsonl")

    assert done.exit_code == 0, done.stderr
    assert "a.raw: OK - Skipped (already exists)" in last_report(case)


def twice_in_flow(output: Path) -> str:
    return f"locations: {{output: {output}, output: /other}}\n"


def twice_at_the_top(output: Path) -> str:
    return f"locations: {{output: {output}}}\nbackup: {{}}\nlocations: {{output: /other}}\n"


@pytest.mark.parametrize("settings", [twice_in_flow, twice_at_the_top])
def test_a_key_that_stands_twice_in_the_settings_should_be_named_row_62(
    run_cli: Cli, make_restore_case: MakeRestoreCase, settings: Callable[[Path], str]
) -> None:
    case = make_restore_case(thermo("a.raw", size_bytes=1000))
    case.config_path.write_text(settings(case.output_location))
    done = run_cli("compile", "a.raw", "--catalog", case.export_path, "--config", case.config_path, "-o", "plan.json")
    assert done.exit_code == 2
    assert "appears twice, in lines 1 and" in done.stderr
    assert not (run_cli.folder / "plan.json").exists()
