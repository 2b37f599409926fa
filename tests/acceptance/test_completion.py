"""Completion in a shell, and `help`: in a real bash, and as zsh and fish ask for it."""

import subprocess

import pytest
from cli import PROGRAM, Cli

from kraken_plan.command_group import COMMANDS

# Completes the last of the words, and prints what bash would offer.
_ASK = """
eval "$(kraken-plan completion bash)"
compopt() { echo "offer $2"; }
ask() { COMP_WORDS=(kraken-plan "$@"); COMP_CWORD=$#; COMPREPLY=(); _kraken_plan_completion kraken-plan; \
echo "${COMPREPLY[*]}"; }
"""


def offered_by_bash(run_cli: Cli, *lines: str) -> list[str]:
    """What bash offers for the last word of each line."""
    done = subprocess.run(
        ["/bin/bash", "--norc", "-c", _ASK + "\n".join(f"ask {line}" for line in lines)],
        capture_output=True,
        encoding="utf-8",
        cwd=run_cli.folder,
        env={**run_cli.environment, "PATH": f"{PROGRAM.parent}:/usr/bin:/bin"},
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_bash_should_complete_commands_options_choices_and_files(run_cli: Cli) -> None:
    offered = offered_by_bash(run_cli, '""', "comp", "help st", "apply --on-c", "apply --on-corrupt q")
    assert offered == [" ".join(COMMANDS), "compile completion", "status", "--on-corrupt", "quarantine"]

    paths = offered_by_bash(
        run_cli, "apply pl", "diff a b", "report r", "compile --config al", "apply --output-root ou"
    )
    files, folders = "offer default", "offer dirnames"
    assert [line for line in paths if line] == [files, files, files, files, folders]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_should_be_offered_the_same(run_cli: Cli, shell: str) -> None:
    assert "kraken-plan" in run_cli("completion", shell).stdout

    asking = {"_KRAKEN_PLAN_COMPLETE": f"{shell}_complete", "COMP_WORDS": "kraken-plan comp"}
    asking["COMP_CWORD"] = "1" if shell == "zsh" else "comp"
    result = run_cli(environment=asking)

    assert result.exit_code == 0
    assert {"compile", "completion"} <= set(result.stdout.replace(",", "\n").replace("\t", "\n").split("\n"))
    assert "Make a plan from the catalog." in result.stdout


def test_help_should_show_the_help_of_the_command_named(run_cli: Cli) -> None:
    for name in ([], ["apply"], ["help"]):
        shown = run_cli("help", *name)
        assert (shown.exit_code, shown.stdout) == (0, run_cli(*name, "--help").stdout)

    refused = run_cli("help", "aply")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "No such command 'aply'" in refused.stderr


def test_the_short_option_should_show_the_version(run_cli: Cli) -> None:
    assert run_cli("-V").stdout == run_cli("--version").stdout != ""


def test_completing_should_load_no_command_that_is_not_named(run_cli: Cli) -> None:
    """Each Tab is a run of the program."""
    asking = {"_KRAKEN_PLAN_COMPLETE": "bash_complete", "COMP_WORDS": "kraken-plan ", "COMP_CWORD": "1"}
    result = run_cli(environment={**asking, "PYTHONPROFILEIMPORTTIME": "1"})

    assert result.exit_code == 0
    assert "kraken_plan.options.completion" in result.stderr
    assert "kraken_plan.commands" not in result.stderr
