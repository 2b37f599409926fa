"""Environment variables that set options: a wrong name gets the nearest right one, a bad value its variable."""

import importlib
import logging

import click
import pytest

from kraken_plan.command_group import COMMANDS, cli
from kraken_plan.variables import SHARED_VARIABLES, name_the_variable, warn_of_unread_variables


def command_named(name: str) -> click.Command:
    entry = COMMANDS[name]
    command: click.Command = getattr(importlib.import_module(entry.module), entry.attribute)
    return command


def warnings_of(caplog: pytest.LogCaptureFixture, *variables: str, name: str = "apply") -> list[str]:
    caplog.set_level(logging.WARNING)
    context = click.Context(cli, auto_envvar_prefix="KRAKEN_PLAN")
    warn_of_unread_variables(context, name, command_named(name), COMMANDS, dict.fromkeys(variables, "1"))
    return [record.getMessage() for record in caplog.records]


def test_every_variable_that_several_commands_share_should_be_known() -> None:
    named = {
        variable
        for name in COMMANDS
        for option in command_named(name).params
        if option.envvar is not None
        for variable in ([option.envvar] if isinstance(option.envvar, str) else option.envvar)
        if not variable.startswith("KRAKEN_PLAN_APPLY_")  # those of apply, which others heed
    }
    assert named == SHARED_VARIABLES


def test_a_variable_that_nothing_reads_should_be_named_with_the_nearest(caplog: pytest.LogCaptureFixture) -> None:
    assert warnings_of(caplog, "KRAKEN_PLAN_APPLY_JOB", "KRAKEN_PLAN_CATALOGUE", "KRAKEN_PLAN_ZZ\n") == [
        "KRAKEN_PLAN_APPLY_JOB is set, but no option reads it: did you mean KRAKEN_PLAN_APPLY_JOBS?",
        "KRAKEN_PLAN_CATALOGUE is set, but no option reads it: did you mean KRAKEN_PLAN_CATALOG?",
        "KRAKEN_PLAN_ZZ\\n is set, but no option reads it: `kraken-plan COMMAND --help` names the options",
    ]


def test_variables_that_are_read_and_those_of_others_should_not_be_named(caplog: pytest.LogCaptureFixture) -> None:
    read = ("KRAKEN_PLAN_APPLY_JOBS", "KRAKEN_PLAN_CONFIG", "KRAKEN_PLAN_DEBUG", "KRAKEN_PLAN_STATUS_JOBS", "OTHER")
    assert warnings_of(caplog, *read) == []


@pytest.mark.parametrize(
    ("variable", "option"), [("KRAKEN_PLAN_APPLY_JOBS", "--jobs"), ("KRAKEN_PLAN_APPLY_TIMEOUT", "--timeout")]
)
def test_a_bad_value_should_be_named_by_its_variable(
    variable: str, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "many")
    with pytest.raises(click.BadParameter) as raised:
        command_named("apply").make_context("apply", ["plan.json"], auto_envvar_prefix="KRAKEN_PLAN_APPLY")
    name_the_variable(raised.value)
    assert raised.value.format_message().startswith(
        f"Invalid value for {variable} (environment variable of {option}): 'many'"
    )
    with pytest.raises(click.BadParameter) as by_hand:
        command_named("apply").make_context("apply", ["plan.json", option, "x"], auto_envvar_prefix="KRAKEN_PLAN_APPLY")
    name_the_variable(by_hand.value)
    assert f"Invalid value for '{option}'" in by_hand.value.format_message()
