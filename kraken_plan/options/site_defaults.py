"""Takes defaults for options from the site YAML: option > environment > site YAML > the program's own default.

Every command that has `--config` does. Which options there are is only known here; the YAML's reader takes any.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import click

from schemas.errors import ConfigError, WrongSystemError
from schemas.site.settings import SECTION, Setting, SiteSettings
from schemas.text import explain_unknown

CONFIG = "config"

# What a site cannot set for everybody, and why not.
_ELSEWHERE = {
    "config": "it is this file",
    "output_root": "set locations.output.absolute_path",
    "endpoint_url": "set backup.s3.endpoint_url",
    "region": "set backup.s3.region",
    "allow_output_root": f"set {SECTION}.allowed_output_roots",
    "require_approvals": f"set {SECTION}.approvals.required",
    "allowed_signers": f"set {SECTION}.approvals.allowed_signers",
    "revoked_keys": f"set {SECTION}.approvals.revoked_keys",
    "max_approval_age": f"set {SECTION}.approvals.max_age",
}
_OF_ONE_RUN = frozenset(
    {"approvals", "dry_run", "expect_digest", "html", "ids_column", "ids_file", "json", "output"}
    | {"plan", "restart", "results", "settings", "yes"}
)
# Commands that do the work of others, and heed what a site sets for these; and what an option means otherwise there.
_DOES_WHAT = {"restore": ("compile", "apply"), "verify": ("apply",)}
_MEANT_OTHERWISE = {"verify": frozenset({"jobs", "max_time", "report_dir"})}


def take_site_defaults(context: click.Context, _parameter: click.Parameter, config: str | None) -> str | None:
    """Take the defaults of a command from the site YAML, before its other options are looked at.

    Raises:
        ConfigError: the YAML cannot be read, or its section has something unknown or wrong.
    """
    if config is not None and not context.resilient_parsing:
        from schemas.site.config import read_site_settings, site_name  # noqa: PLC0415  # yaml, if there is a YAML

        context.default_map = site_defaults(context, read_site_settings(config), site_name(config))
    return config


def site_defaults(context: click.Context, settings: SiteSettings, name: str) -> dict[str, Any]:
    """Return the defaults of a command, by the names of its parameters.

    Args:
        context: of the command.
        settings: of the site.
        name: of the YAML, for messages.

    Raises:
        ConfigError: an option is unknown, cannot be set there, or its value is wrong.
    """
    command = context.info_name or ""
    own = settable_options(context.command)
    defaults: dict[str, Any] = {}
    for option, value, place in _settings_for(command, settings, f"{name}: {SECTION}"):
        if option in own:
            defaults[str(own[option].name)] = _checked(context, own[option], value, place)
    _refuse_unknown(context, settings, f"{name}: {SECTION}", own)
    return defaults


def _settings_for(command: str, settings: SiteSettings, place: str) -> Iterator[tuple[str, Setting, str]]:
    """Yield what is set for all commands, for those whose work this one does, and for this one, each with where."""
    for option, value in settings.options.items():
        yield option, value, f"{place}.options.{option}"
    for other in (*_DOES_WHAT.get(command, ()), command):
        for option, value in settings.commands.get(other, {}).items():
            if other == command or option not in _MEANT_OTHERWISE.get(command, ()):
                yield option, value, f"{place}.commands.{other}.{option}"


def settable_options(command: click.Command) -> dict[str, click.Option]:
    """Return the options of a command that a site can set, by the name that they have in its YAML."""
    options = (parameter for parameter in command.params if isinstance(parameter, click.Option))
    named = {max(option.opts, key=len).lstrip("-").replace("-", "_"): option for option in options}
    return {name: option for name, option in named.items() if name not in _ELSEWHERE and name not in _OF_ONE_RUN}


def _checked(context: click.Context, option: click.Option, value: Setting, place: str) -> object:
    """Return a value as click takes it; raise ConfigError if the option does not."""
    if any("\0" in text for text in ((value,) if isinstance(value, str) else value)):
        raise ConfigError(f"{place} has a NUL character, which neither a path nor any other value has")
    if isinstance(value, tuple) and not option.multiple:
        raise ConfigError(f"{place}: expected a single value, found a list")
    given = (value,) if option.multiple and isinstance(value, str) else value
    try:
        taken = option.process_value(context, given)
    except click.BadParameter as error:
        raise ConfigError(f"{place}: {error.message}") from None
    return taken if option.is_flag else given


def _refuse_unknown(context: click.Context, settings: SiteSettings, place: str, own: Collection[str]) -> None:
    """Raise ConfigError where the section names a command or an option that there is not."""
    if settings.options.keys() <= set(own) and settings.commands.keys() <= {context.info_name}:
        known: Mapping[str, Collection[str]] = {str(context.info_name): own}
    else:
        try:
            known = dict(_all_settable(context))
        except WrongSystemError:  # not all commands can be loaded, so nobody can say what they know
            return
    anywhere = {option for options in known.values() for option in options}
    for option in settings.options:
        _refuse_unless_known(option, anywhere, f"{place}.options.{option}")
    for command, options in settings.commands.items():
        if command not in known:
            what = "is not a command that reads the site YAML"
            raise ConfigError(f"{place}.commands.{command} {what}: {explain_unknown(command, known)}")
        for option in options:
            _refuse_unless_known(option, known[command], f"{place}.commands.{command}.{option}")


def _all_settable(context: click.Context) -> Iterator[tuple[str, Collection[str]]]:
    """Yield every command that reads the site YAML, with its options; loads them all."""
    group = context.find_root().command
    if isinstance(group, click.Group):
        commands = {name: group.get_command(context, name) for name in group.list_commands(context)}
        for name, command in commands.items():
            if command is not None and any(parameter.name == CONFIG for parameter in command.params):
                yield name, settable_options(command)


def _refuse_unless_known(option: str, known: Collection[str], place: str) -> None:
    if option in known:
        return
    if option in _ELSEWHERE:
        raise ConfigError(f"{place} cannot be set there: {_ELSEWHERE[option]}")
    if option in _OF_ONE_RUN:
        raise ConfigError(f"{place} cannot be set there: it is for a single run")
    raise ConfigError(f"{place} is not an option: {explain_unknown(option, known)}")
