"""Defines the settings of a site: what its YAML says in the section `kraken_plan:`. Pure; `config` reads the YAML.

Options are only named here, as texts. The command line knows which there are and what values they take.
"""

import re
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

_KEYS = ("options", "commands", "allowed_output_roots", "approvals")
APPROVAL_KEYS = ("required", "allowed_signers", "revoked_keys", "max_age")
_MOST_APPROVALS = 20
_DURATION = re.compile(r"([0-9]{1,6})([smhd]?)", re.ASCII)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRule:
    """How a plan has to be approved before it is applied.

    Args:
        required: how many people have to; 0 if nobody.
        allowed_signers: path of the file that says which keys are whose, see ssh-keygen(1); empty if nobody has to.
        revoked_keys: path of the file of keys that count no more; None if there is none.
        max_age_seconds: how old an approval may be; None for any age.
        origin: who asks for it, for messages.
    """

    required: int
    allowed_signers: str
    revoked_keys: str | None = None
    max_age_seconds: int | None = None
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSettings:
    """A site's settings.

    Args:
        options: defaults for options of all commands that have them, by name: `max_bandwidth` for `--max-bandwidth`.
        commands: defaults for options of one command, by the command's name; these take precedence.
        allowed_output_roots: absolute paths of folders that plans may restore below, besides the output location.
        approvals: how a plan has to be approved; None if the site says nothing about it.
    """

    options: Mapping[str, Setting] = field(default_factory=dict)
    commands: Mapping[str, Mapping[str, Setting]] = field(default_factory=dict)
    allowed_output_roots: tuple[str, ...] = ()
    approvals: ApprovalRule | None = None


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
        approvals=_parse_approvals(section["approvals"], f"{place}.approvals")
        if isinstance(section, Mapping) and "approvals" in section
        else None,
    )


def parse_duration(text: str) -> int:
    """Return seconds.

    Raises:
        ValueError: it is not a duration.

    >>> parse_duration("48h"), parse_duration("90")
    (172800, 90)
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a duration: expected seconds, or a number with m, h or d, as in 48h")
    return int(found[1]) * _SECONDS[found[2]]


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


def _parse_approvals(value: Plain, place: str) -> ApprovalRule:
    """Return what is asked for; one that says half of it is refused, for nobody may take it for a demand."""
    if isinstance(value, Mapping) and (empty := next((key for key, text in value.items() if text is None), None)):
        raise ConfigError(f"{place}.{printable(empty, 60)} has no value: set it, or remove it")
    found = {
        key: parse_text(text, f"{place}.{key}") for key, text in parse_mapping(value, place, APPROVAL_KEYS).items()
    }
    if "required" not in found:
        raise ConfigError(f"{place}.required is missing: say how many people have to approve a plan (0 for nobody)")
    number, max_age = found["required"], found.get("max_age")
    if not number.isdecimal() or len(number) > len(str(_MOST_APPROVALS)) or int(number) > _MOST_APPROVALS:
        raise ConfigError(f"{place}.required: expected a number up to {_MOST_APPROVALS}, found {printable(number, 60)}")
    for key in ("allowed_signers", "revoked_keys"):
        if key in found and (not found[key].startswith("/") or "\0" in found[key]):
            raise ConfigError(f"{place}.{key}: expected an absolute path, found {printable(found[key])}")
    if int(number) and "allowed_signers" not in found:
        raise ConfigError(f"{place}.allowed_signers is missing: it names the file that says whose approval counts")
    try:
        max_age_seconds = None if max_age is None else parse_duration(max_age)
    except ValueError as error:
        raise ConfigError(f"{place}.max_age: {printable(str(error))}") from None
    return ApprovalRule(
        required=int(number),
        allowed_signers=found.get("allowed_signers", ""),
        revoked_keys=found.get("revoked_keys"),
        max_age_seconds=max_age_seconds,
        origin=place,
    )


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
