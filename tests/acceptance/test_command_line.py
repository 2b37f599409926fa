"""`kraken-plan` itself: help, versions, variables, exit codes, and how errors are said."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from cli import PROGRAM, Cli
from plan_samples import catalog_document, make_plan, plan_bytes
from sample_data import write_export

from kraken_plan.command_group import COMMANDS
from schemas.version import __version__

VENDORS = ("boto3", "botocore", "pymongo", "bson", "yaml", "obstore", "jsonschema", "jsonschema_rs", "tqdm")


def seconds_to_run(code: str) -> float:
    """How long a run of the interpreter takes, in CPU time: other programs' load does not count."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_should_list_every_command_with_exit_codes_and_examples(run_cli: Cli) -> None:
    for option in ("--help", "-h"):
        result = run_cli(option)
        assert result.exit_code == 0
        assert all(f"\n  {name} " in result.stdout for name in COMMANDS)
        assert "Exit codes:\n    0        all well\n" in result.stdout
        assert "130/143" in result.stdout
        assert "kraken-plan compile" in result.stdout


@pytest.mark.parametrize("name", [*COMMANDS])
def test_every_commands_help_should_have_an_example(run_cli: Cli, name: str) -> None:
    result = run_cli(name, "--help")
    assert result.exit_code == 0
    assert f"Usage: kraken-plan {name}" in result.stdout
    assert f"  kraken-plan {name}" in result.stdout or f"Example: kraken-plan {name}" in result.stdout
    assert "--verbose" in result.stdout
    assert "--quiet" in result.stdout


def test_shared_settings_should_show_their_variable_in_the_help(run_cli: Cli) -> None:
    words = " ".join(run_cli("compile", "--help").stdout.split())
    for variable in ("KRAKEN_PLAN_CATALOG", "KRAKEN_PLAN_CONFIG", "KRAKEN_PLAN_OUTPUT_ROOT"):
        assert f"[env var: {variable}]" in words


def test_help_should_import_nothing_but_click_and_the_contract() -> None:
    code = (
        "import sys, kraken_plan.entry_point; kraken_plan.entry_point.cli.main(['--help'], standalone_mode=False); "
        f"loaded = [name for name in {VENDORS} if name in sys.modules]; "
        "rooms = sorted(name for name in sys.modules if name.split('.')[0] in {'planner', 'applier', 'schemas'}); "
        "sys.exit(repr((loaded, rooms)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False)
    assert done.stderr.strip() == repr(([], ["schemas", "schemas.errors", "schemas.text", "schemas.version"]))


def test_help_should_be_nearly_as_fast_as_importing_click() -> None:
    show_help = "import kraken_plan.entry_point; kraken_plan.entry_point.cli.main(['--help'], standalone_mode=False)"
    rounds = [(seconds_to_run(show_help), seconds_to_run("import click")) for _ in range(12)]
    help_seconds, click_seconds = (min(times) for times in zip(*rounds, strict=True))
    assert help_seconds < 1.5 * click_seconds


def test_version_should_be_the_programs(run_cli: Cli) -> None:
    result = run_cli("--version")
    assert (result.exit_code, result.stdout) == (0, f"kraken-plan {__version__}\n")


@pytest.mark.parametrize("arguments", [[], ["no-such-command"], ["--no-such-option"], ["validate"]])
def test_a_wrong_command_line_should_be_refused(run_cli: Cli, arguments: list[str]) -> None:
    result = run_cli(*arguments)
    assert result.exit_code == 2
    assert "Usage: kraken-plan" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("nothing", ["", " ", ","])
@pytest.mark.parametrize(
    ("command", "options"),
    [
        (["compile", "a", "--catalog", "c.jsonl"], ["project", "instrument", "match", "default-project", "ids-column"]),
        (["find", "--since", "2020-01-01", "--catalog", "c.jsonl"], ["project", "instrument", "match"]),
        (["restore", "a", "--yes", "--catalog", "c.jsonl"], ["project", "instrument", "match", "default-project"]),
        (["select", "plan.json", "--include", "*"], ["project", "raw-file", "include", "exclude", "failed"]),
    ],
)
def test_an_option_that_names_nothing_should_be_refused_and_not_widen_the_request(
    run_cli: Cli, command: list[str], options: list[str], nothing: str
) -> None:
    """As where a shell variable in it is unset."""
    (run_cli.folder / "plan.json").write_bytes(plan_bytes(make_plan()))
    write_export(run_cli.folder / "c.jsonl", [catalog_document("a")])
    for option in options:
        result = run_cli(*command, f"--{option}", nothing, environment={"KRAKEN_PLAN_OUTPUT_ROOT": "/out"})
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"Invalid value for '--{option}': {nothing!r} holds no value" in result.stderr


def test_what_is_misspelt_should_get_the_nearest_right_one(run_cli: Cli) -> None:
    assert "No such command 'aply': did you mean apply?" in run_cli("aply", "plan.json").stderr
    environment = {"KRAKEN_PLAN_VALIDATE_DEBUGG": "1", "KRAKEN_PLAN_DEBUG": "perhaps"}
    refused = run_cli("validate", "plan.json", environment=environment)
    assert refused.exit_code == 2
    assert "Invalid value for KRAKEN_PLAN_DEBUG (environment variable of --debug): 'perhaps'" in refused.stderr
    warned = run_cli("validate", "plan.json", environment={"KRAKEN_PLAN_VALIDATE_DEBUGG": "1"})
    assert "no option reads it: did you mean KRAKEN_PLAN_VALIDATE_DEBUG?" in warned.stderr


def test_an_error_should_be_one_line_on_stderr(run_cli: Cli) -> None:
    result = run_cli("validate", "none\n\x1b[31m.json")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == "kraken-plan: error: none\\n\\x1b[31m.json: there is no such plan file\n"


def test_verbosity_should_be_set_by_a_variable_and_add_up(run_cli: Cli) -> None:
    (run_cli.folder / "catalog.jsonl").write_text('{"_id": "a"}\n')
    arguments = ["compile", "a", "--catalog", "catalog.jsonl", "--output-root", "/out"]
    assert "INFO" in run_cli(*arguments, environment={"KRAKEN_PLAN_VERBOSE": "1"}).stderr
    assert "INFO" in run_cli("-v", *arguments).stderr
    assert "INFO" not in run_cli("-v", *arguments, "-q").stderr


def test_a_reader_that_has_seen_enough_should_end_it_quietly(run_cli: Cli) -> None:
    """As in `kraken-plan schema | head -1`."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [PROGRAM, "schema"], stdout=writer, stderr=subprocess.PIPE, encoding="utf-8", cwd=run_cli.folder, check=False
    )
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode == 141  # as of `cat`, so that `pipefail` treats it alike


@pytest.mark.parametrize("arguments", [["validate", "none.json"], ["validate", "--no-such-option"]])
def test_a_refusal_should_be_told_by_its_exit_code_where_stderr_cannot_be_written(
    run_cli: Cli, arguments: list[str]
) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([PROGRAM, *arguments], stderr=full, cwd=run_cli.folder, check=False)
    assert done.returncode == 2


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_should_not_show_a_traceback(run_cli: Cli, closed: str) -> None:
    (run_cli.folder / "plan.json").write_bytes(plan_bytes(make_plan()))
    write_export(run_cli.folder / "catalog.jsonl", [catalog_document("a")])
    compile_to_stdout = f"{PROGRAM} compile a none --catalog catalog.jsonl --output-root /out"
    exit_codes = []
    for command in (f"{PROGRAM} validate plan.json", f"{PROGRAM} validate -", compile_to_stdout):
        done = subprocess.run(
            ["/bin/sh", "-c", f"{command} {closed}"],
            capture_output=True,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
            cwd=run_cli.folder,
            check=False,
        )
        assert "Traceback" not in done.stderr
        exit_codes.append(done.returncode)
    assert exit_codes == [0, 2, 2 if ">&-" in closed.replace("2>&-", "") else 1]


def test_the_program_should_run_as_a_module(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kraken_plan", "--version"],
        capture_output=True,
        encoding="utf-8",
        cwd=tmp_path,
        check=True,
    )
    assert done.stdout == f"kraken-plan {__version__}\n"
