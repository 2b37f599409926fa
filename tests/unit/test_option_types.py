"""What options take: no text that names nothing, as an unset variable makes it, and no number that is none."""

from collections.abc import Iterator

import click
import pytest

from kraken_plan.command_group import COMMANDS, cli

GROUP = click.Context(cli, info_name="kraken-plan", auto_envvar_prefix="KRAKEN_PLAN")


def command_named(name: str) -> click.Command:
    command = cli.get_command(GROUP, name)
    assert command is not None
    return command


def options_with_text(command: click.Command) -> Iterator[click.Option]:
    """Every option of a command that takes text or a path."""
    for parameter in command.params:
        is_text = isinstance(parameter.type, click.types.StringParamType | click.Path)
        if isinstance(parameter, click.Option) and is_text and not parameter.is_flag and parameter.default != "":
            yield parameter


@pytest.mark.parametrize("name", [*COMMANDS])
def test_an_empty_value_should_be_refused(name: str) -> None:
    for option in options_with_text(command_named(name)):
        with pytest.raises(click.BadParameter, match=r"^'' holds no value"):
            option.process_value(GROUP, ("",) if option.multiple else "")


def test_an_empty_variable_should_be_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRAKEN_PLAN_FIND_MATCH", "")
    monkeypatch.setenv("KRAKEN_PLAN_CATALOG", "")
    found = command_named("find").make_context("find", [], parent=GROUP).params
    assert (found["match"], found["catalog"]) == ((), None)


@pytest.mark.parametrize("name", [*COMMANDS])
def test_a_variable_should_have_a_value_a_line_or_folders_as_path_has_them(name: str) -> None:
    """A YAML block or a heredoc ends with a line end."""
    for option in options_with_text(command_named(name)):
        if isinstance(option.type, click.Path):
            assert [*option.type.split_envvar_value("/my a:/b")] == ["/my a", "/b"]
        else:
            assert option.type.split_envvar_value("my sample *.d\n\nb\n") == ["my sample *.d", "b"]


def test_a_pattern_with_blanks_should_stay_one_in_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRAKEN_PLAN_FIND_MATCH", "my sample *.d")
    find = command_named("find").make_context("find", [], parent=GROUP, auto_envvar_prefix="KRAKEN_PLAN_FIND")
    assert find.params["match"] == ("my sample *.d",)


@pytest.mark.parametrize("name", [*COMMANDS])
@pytest.mark.parametrize("text", ["nan", "-nan", "inf"])
def test_what_is_not_a_number_should_be_refused(name: str, text: str) -> None:
    for option in command_named(name).params:
        if isinstance(option.type, click.types.FloatParamType | click.types.IntParamType):
            with pytest.raises(click.BadParameter, match="is not "):
                option.process_value(GROUP, text)
