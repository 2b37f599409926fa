"""Defines the settings of a site: what its YAML says in the section `kraken_plan:`. Pure; `config` reads the YAML.

Options are only named here, as texts. The command line knows which there are and what values they take.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from schemas.errors import ConfigError
from schemas.paths import explain_unsafe_absolute_path
from schemas.text import explain_unknown, printable

SECTION = "kraken_plan"

# What a YAML node holds, with every scalar as the text that stands there: `no` is not False, nor 0o17 a number.
Plain: TypeAlias = "str | tuple[Plain, ...] | Mapping[str, Plain] | None"
Setting: TypeAlias = str | tuple[str, ...]

_KEYS = ("options", "commands", "allowed_output_roots")


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSettings:
    """A site's settings.

    Args:
        options: defaults for options of all commands that have them, by name: `max_bandwidth` for `--max-bandwidth`.
        commands: defaults for options of one command, by the command's name; these take precedence.
        allowed_output_roots: absolute paths of folders that plans may restore below, besides the output location.
    """

    options: Mapping[str, Setting] = field(default_factory=dict)
    commands: Mapping[str, Mapping[str, Setting]] = field(default_factory=dict)
    allowed_output_roots: tuple[str, ...] = ()


def parse_site_settings(section: Plain, name: str) -> SiteSettings:
    """Return the settings in a site YAML's section.

    Args:
        section: what stands there.
        name: of the YAML, for messages.

    Raises:
        ConfigError: a key is unknown, or a value is of the wrong kind.
    """
    place = f"{name}: {SECTION}"
    keys = parse_mapping(section, place, _KEYS)
    commands = parse_mapping(keys.get("commands"), f"{place}.commands")
    return SiteSettings(
        options=_parse_options(keys.get("options"), f"{place}.options"),
        commands={
            command: _parse_options(options, f"{place}.commands.{printable(command)}")
            for command, options in commands.items()
        },
        allowed_output_roots=tuple(
            normalize_output_location(root, f"{place}.allowed_output_roots")
            for root in _parse_texts(keys.get("allowed_output_roots"), f"{place}.allowed_output_roots")
        ),
    )


def parse_mapping(value: Plain, place: str, known: Collection[str] | None = None) -> Mapping[str, Plain]:
    """Return a mapping without the keys that have no value.

    Args:
        value: what stands there.
        place: where, for messages.
        known: the keys that there may be; None for any.

    Raises:
        ConfigError: it is something else, or has an unknown key.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigError(f"{place}: expected a mapping, found {_describe(value)}")
    for key in value:
        if known is not None and key not in known:
            raise ConfigError(f"{place}.{printable(key, 60)} is not a setting: {explain_unknown(key, known)}")
    return {key: found for key, found in value.items() if found is not None}


def parse_text(value: Plain, place: str) -> str:
    """Return the text that stands there.

    Raises:
        ConfigError: it is something else.
    """
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{place}: expected a single value, found {_describe(value)}")
    return value


def normalize_output_location(path: str, name: str) -> str:
    """Return the path without doubled and trailing slashes.

    Raises:
        ConfigError: it is relative or unsafe; the message calls it by the name.
    """
    absolute = "/" if path.startswith("/") else ""
    normalized = absolute + "/".join(component for component in path.split("/") if component)
    if reason := explain_unsafe_absolute_path(normalized):
        raise ConfigError(f"{name} is {printable(path)!r}: {reason} (expected an absolute path without ..)")
    return normalized


def _parse_options(value: Plain, place: str) -> Mapping[str, Setting]:
    return {
        option: tuple(parse_text(one, f"{place}.{option}") for one in found)
        if isinstance(found, tuple)
        else parse_text(found, f"{place}.{printable(option)}")
        for option, found in parse_mapping(value, place).items()
    }


def _parse_texts(value: Plain, place: str) -> tuple[str, ...]:
    if isinstance(value, tuple):
        return tuple(parse_text(one, place) for one in value)
    return () if value is None else (parse_text(value, place),)


def _describe(value: Plain) -> str:
    match value:
        case str() if value:
            return f"the text {printable(value, 60)!r}"
        case Mapping():
            return "a mapping"
        case tuple():
            return "a list"
    return "nothing"
