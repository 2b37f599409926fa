"""Defaults for options out of the site YAML: which value counts, and what is said of a wrong one."""

from pathlib import Path
from typing import Any

import click
import pytest
from click.core import ParameterSource

from kraken_plan.apply_run import ApplyOptions
from kraken_plan.command_group import cli
from kraken_plan.commands.verify import _apply_options
from kraken_plan.options.site_defaults import _ELSEWHERE, _OF_ONE_RUN
from schemas.errors import ConfigError

SITE = "locations: {output: /out}\nkraken_plan:\n"


def parse(command: str, *arguments: str) -> click.Context:
    """What a command makes of its command line, without being run."""
    group = click.Context(cli, info_name="kraken-plan", auto_envvar_prefix="KRAKEN_PLAN")
    found = cli.get_command(group, command)
    assert found is not None
    return found.make_context(command, list(arguments), parent=group)


def write_site(tmp_path: Path, section: str) -> str:
    path = tmp_path / "alphakraken.test.yaml"
    path.write_text(SITE + "".join(f"  {line}\n" for line in section.splitlines()), encoding="utf-8")
    return str(path)


def refusal(tmp_path: Path, section: str) -> str:
    with pytest.raises(ConfigError) as refused:
        parse("apply", "plan.json", "--config", write_site(tmp_path, section))
    message = str(refused.value)
    assert "alphakraken.test.yaml: kraken_plan" in message
    assert message.isprintable()
    return message


def test_an_option_should_come_before_the_environment_before_the_yaml_before_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = write_site(tmp_path, "options: {jobs: 1, retries: 1, timeout: 1}\ncommands: {apply: {max_outage: 1}}")
    monkeypatch.setenv("KRAKEN_PLAN_CONFIG", site)
    monkeypatch.setenv("KRAKEN_PLAN_APPLY_JOBS", "2")
    monkeypatch.setenv("KRAKEN_PLAN_APPLY_RETRIES", "2")

    context = parse("apply", "plan.json", "--jobs", "3")

    found = {name: (context.params[name], context.get_parameter_source(name)) for name in ("jobs", "retries")}
    assert found == {"jobs": (3, ParameterSource.COMMANDLINE), "retries": (2, ParameterSource.ENVIRONMENT)}
    assert (context.params["timeout"], context.params["max_outage"]) == (1, 1)
    assert context.get_parameter_source("timeout") is ParameterSource.DEFAULT_MAP
    assert context.get_parameter_source("on_corrupt") is ParameterSource.DEFAULT


@pytest.mark.parametrize(
    ("written", "parameter", "value"),
    [
        ("max_bandwidth: 200M", "max_bandwidth", 200 * 1024**2),
        ("on_corrupt: quarantine", "on_corrupt", "quarantine"),
        ("recover_versions: yes", "recover_versions", True),
        ("recover_versions: false", "recover_versions", False),
        ("max_wait: 2h", "max_wait", 7200),
        ("state_dir: /var/lib/kraken", "state_dir", Path("/var/lib/kraken")),
        ("profile: 0o17", "profile", "0o17"),  # the text that stands there, not a number
        ("jobs:", "jobs", None),
        ("retries:", "retries", 7),
    ],
)
def test_a_value_should_be_read_as_on_the_command_line(
    tmp_path: Path, written: str, parameter: str, value: object
) -> None:
    context = parse("apply", "plan.json", "--config", write_site(tmp_path, f"options: {{{written}}}"))

    assert context.params[parameter] == value


def test_options_that_can_be_repeated_should_be_lists(tmp_path: Path) -> None:
    site = write_site(
        tmp_path, "options: {catalog: raw_file.jsonl, project: PRID001}\ncommands:\n  find: {match: [a, b]}"
    )

    found = parse("find", "--config", site).params

    assert (found["catalog"], found["project"], found["match"]) == ("raw_file.jsonl", ("PRID001",), ("a", "b"))
    assert parse("compile", "--config", site).params["match"] == ()


def test_what_one_command_is_given_should_come_before_what_all_are_given(tmp_path: Path) -> None:
    site = write_site(tmp_path, "options: {jobs: 5, on_corrupt: quarantine}\ncommands: {status: {jobs: 6}}")

    assert parse("status", "plan.json", "--config", site).params["jobs"] == 6
    restore = parse("restore", "--config", site).params
    assert (restore["jobs"], restore["on_corrupt"]) == (5, "quarantine")


def test_a_command_should_heed_what_is_set_for_those_whose_work_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Restore compiles and applies; verify --heal applies, and reads files with jobs of its own."""
    monkeypatch.delenv("KRAKEN_PLAN_APPLY_ON_CORRUPT", raising=False)
    for_apply = write_site(
        tmp_path,
        "options: {on_corrupt: replace, state_dir: /all}\n"
        "commands:\n  apply: {on_corrupt: quarantine, jobs: 7, retries: 3}\n  compile: {backed_up_only: true}\n"
        "  restore: {retries: 4}",
    )

    restore = parse("restore", "id", "--config", for_apply).params
    assert (restore["on_corrupt"], restore["jobs"], restore["retries"]) == ("quarantine", 7, 4)
    assert restore["backed_up_only"]
    heal = healing("--config", for_apply)
    assert (heal.on_corrupt, heal.jobs, heal.state_dir) == ("quarantine", 7, Path("/all"))
    assert parse("verify", "plan.json", "--config", for_apply).params["jobs"] == 4
    monkeypatch.setenv("KRAKEN_PLAN_APPLY_ON_CORRUPT", "replace")
    assert healing("--config", for_apply).on_corrupt == "replace"
    monkeypatch.setenv("KRAKEN_PLAN_VERIFY_ON_CORRUPT", "quarantine")
    assert healing("--config", for_apply).on_corrupt == "quarantine"


def test_what_is_set_for_verify_should_count_when_it_heals(tmp_path: Path) -> None:
    site = write_site(tmp_path, "commands: {verify: {on_corrupt: quarantine, heal: true, state_dir: /here, jobs: 2}}")

    heal = healing("--config", site)

    assert (heal.on_corrupt, heal.state_dir, heal.jobs) == ("quarantine", Path("/here"), None)
    assert parse("verify", "plan.json", "--config", site).params["heal"]
    assert healing("--config", site, "--on-corrupt", "replace").on_corrupt == "replace"


def healing(*arguments: str) -> ApplyOptions:
    """What verify --heal hands on to apply."""
    context = parse("verify", "plan.json", *arguments)
    return _apply_options(context, context.params)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("option: {jobs: 1}", "kraken_plan.option is not a setting: did you mean options?"),
        ("x: 1", "kraken_plan.x is not a setting: expected "),
        ("options: {max_bandwith: 1M}", "options.max_bandwith is not an option: did you mean max_bandwidth?"),
        ("options: {max-bandwidth: 1M}", "options.max-bandwidth is not an option: did you mean max_bandwidth?"),
        ("options: {tiers: Bulk}", "options.tiers is not an option: did you mean tier?"),
        ("commands: {aply: {jobs: 1}}", "commands.aply is not a command that reads the site YAML: did you mean apply?"),
        ("commands: {status: {on_corrupt: replace}}", "commands.status.on_corrupt is not an option: "),
        ("options: {jobs: many}", "options.jobs: 'many' is not a valid integer"),
        ("options: {jobs: 0}", "options.jobs: 0 is not in the range"),
        ("options: {recover_versions: perhaps}", "options.recover_versions: 'perhaps' is not a valid boolean"),
        ("options: {max_bandwidth: fast}", "options.max_bandwidth: "),
        ("options: {jobs: [1, 2]}", "options.jobs: expected a single value, found a list"),
        ("options: {jobs: {a: 1}}", "options.jobs: expected a single value, found a mapping"),
        ("options: [jobs]", "options: expected a mapping, found a list"),
        ("options: {1: 2}", "expected text as key, found 1 (int"),
        ("options: {jobs: 1, jobs: 2}", "options.jobs appears twice"),
        ("options: {output_root: /x}", "options.output_root cannot be set there: set locations.output.absolute_path"),
        ("options: {endpoint_url: http://h}", "options.endpoint_url cannot be set there: set backup.s3.endpoint_url"),
        (r'options: {state_dir: "a\0b"}', "options.state_dir has a NUL character"),
        (r'commands: {apply: {report_dir: "/a\0b"}}', "commands.apply.report_dir has a NUL character"),
        ("commands: {apply: {dry_run: true}}", "commands.apply.dry_run cannot be set there: it is for a single run"),
        ("allowed_output_roots: [mnt]", "allowed_output_roots is 'mnt': it is not absolute"),
    ],
)
def test_what_is_unknown_or_wrong_should_be_named_with_the_nearest_right_one(
    tmp_path: Path, section: str, words: str
) -> None:
    assert words in refusal(tmp_path, section)


@pytest.mark.parametrize(
    "section", ["options: &a {jobs: *a}", "options: &a [*a]", "options: &a {<<: *a, jobs: 1}", "options: [&a [*a], *a]"]
)
def test_aliases_that_lead_back_should_be_refused(tmp_path: Path, section: str) -> None:
    assert refusal(tmp_path, section)


def test_aliases_that_multiply_should_be_refused(tmp_path: Path) -> None:
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 10))
    site = tmp_path / "alphakraken.test.yaml"
    site.write_text(f"l0: &l0 ha\n{levels}{SITE}  options: {{jobs: *l9}}\n", encoding="utf-8")

    with pytest.raises(ConfigError, match="has more than 1,000 keys and values"):
        parse("apply", "plan.json", "--config", str(site))


def test_what_no_site_can_set_should_be_options_that_there_are() -> None:
    """Or a renamed option could be set for everybody unnoticed."""
    context = click.Context(cli)
    commands: list[Any] = [cli.get_command(context, name) for name in cli.list_commands(context)]
    options = [option for command in commands for parameter in command.params for option in parameter.opts]
    names = {option.removeprefix("--").replace("-", "_") for option in options}

    assert (set(_ELSEWHERE) | _OF_ONE_RUN) <= names
