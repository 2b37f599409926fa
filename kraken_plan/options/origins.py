"""Tells where each setting of a command comes from: the command line, the environment, the site YAML, or nowhere."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import click
from click.core import ParameterSource

from kraken_plan.options.site_defaults import settable_options

_LOGIN = re.compile(r"(?s)(?!s3:)([A-Za-z0-9+.-]+://).*@")


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingOrigin:
    """A setting.

    Args:
        command: the command that it is of.
        option: as it is written on the command line.
        value: in text, without a password; empty if it is not set.
        origin: in words.
        is_default: whether nobody has set it.
    """

    command: str
    option: str
    value: str
    origin: str
    is_default: bool


def find_origins(context: click.Context, command: str, arguments: Sequence[str]) -> Iterator[SettingOrigin]:
    """Yield the settings that a command would have here, without running it.

    Args:
        context: of the command that asks.
        command: whose settings to look at.
        arguments: its command line.

    Raises:
        click.ClickException: the environment has a value that an option does not take.
    """
    root = context.find_root()
    found = root.command.get_command(root, command) if isinstance(root.command, click.Group) else None
    if found is None:
        return
    made = found.make_context(command, list(arguments), parent=root)
    for option in settable_options(found).values():
        name = str(option.name)
        source = made.get_parameter_source(name) or ParameterSource.DEFAULT
        yield SettingOrigin(
            command=command,
            option=max(option.opts, key=len),
            value=_shown(made.params.get(name)) if option.expose_value else "",
            origin=_origin(source, option, made),
            is_default=source is ParameterSource.DEFAULT,
        )


def _origin(source: ParameterSource, option: click.Option, made: click.Context) -> str:
    match source:
        case ParameterSource.ENVIRONMENT:
            own = [option.envvar] if isinstance(option.envvar, str) else list(option.envvar or ())
            return " or ".join(own) or f"{made.auto_envvar_prefix}_{str(option.name).upper()}"
        case ParameterSource.DEFAULT_MAP:
            return "the site YAML"
        case ParameterSource.DEFAULT:
            return "default"
    return "the command line"


def _shown(value: object) -> str:
    if value is None:
        return ""
    texts = value if isinstance(value, tuple | list) else (value,)
    return ", ".join(without_login(str(text)) for text in texts)


def without_login(text: str) -> str:
    """Return a setting without the user and the password that it has if it is a URI.

    >>> without_login("mongodb://user:password@host/krakendb")
    'mongodb://…@host/krakendb'
    """
    return _LOGIN.sub(r"\1…@", text)
