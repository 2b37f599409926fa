"""Reads the settings that kraken-plan needs from AlphaKraken's site YAML: output location, S3, a section of its own.

`compile` takes its settings from there, `apply` can check a plan against it. All other keys are none of our business
and may hold anything. The only yaml import.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from schemas.errors import ConfigError
from schemas.s3_location import explain_bad_endpoint_url
from schemas.site.settings import SECTION, Plain, SiteSettings, normalize_output_location, parse_site_settings
from schemas.text import human_size, printable, writable

OUTPUT_LOCATION_KEY = "locations.output.absolute_path"
BACKUP_LOCATION_KEY = "locations.backup.absolute_path"
REGION_KEY = "backup.s3.region"
ENDPOINT_URL_KEY = "backup.s3.endpoint_url"
WEBHOOK_URL_KEY = "general.notifications.{}_alerts_webhook_url"


_TAG = "tag:yaml.org,2002:"
_MAX_BYTES = 1024 * 1024  # a site's settings have some kilobytes
_MOST_VALUES = 1000  # in our section; aliases can multiply


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteConfig:
    """A site's settings.

    Args:
        output_location: absolute path of the folder that everything is restored below.
        region: AWS region; None leaves it to the AWS chain.
        endpoint_url: address of an S3-compatible server; None for AWS itself.
        name: the YAML's file name; None if there is none.
        backup_location: where the catalog's backup paths lie, if it is the backup that is restored; else None.
        settings: what the section `kraken_plan:` says.
    """

    output_location: str
    region: str | None = None
    endpoint_url: str | None = None
    name: str | None = None
    backup_location: str | None = None
    settings: SiteSettings = field(default_factory=SiteSettings)


def load_site_config(config_path: str | None, output_root: str | None) -> SiteConfig:
    """Return the site's settings from its YAML; an output root given by hand takes precedence over the YAML's.

    Raises:
        ConfigError: neither was given, the YAML cannot be read, or a setting in it is missing or wrong.
    """
    if config_path is None and output_root is None:
        raise ConfigError(
            "it is not known where to restore to: give the site's YAML (--config or KRAKEN_PLAN_CONFIG), or a folder "
            "(--output-root or KRAKEN_PLAN_OUTPUT_ROOT)"
        )
    output_location = None if output_root is None else normalize_output_location(output_root, "--output-root")
    if config_path is None:
        return SiteConfig(output_location=output_location or "/")
    return read_site_config(config_path, output_location)


def read_site_config(config_path: str, output_location: str | None = None) -> SiteConfig:
    """Return the settings in a site YAML.

    Args:
        config_path: the YAML file.
        output_location: replaces the YAML's, which is then not read.

    Raises:
        ConfigError: the file cannot be read, or a setting in it is missing or wrong.
    """
    name = site_name(config_path)
    settings = _parse_yaml(_read(config_path, name), name)
    config = SiteConfig(
        output_location=output_location or _find_output_location(settings, name),
        region=_text_at(settings, REGION_KEY, name),
        endpoint_url=_text_at(settings, ENDPOINT_URL_KEY, name),
        name=Path(config_path).name,
        settings=_parse_section(settings, name),
    )
    if config.endpoint_url is not None and (reason := explain_bad_endpoint_url(config.endpoint_url)):
        raise ConfigError(f"{name}: {ENDPOINT_URL_KEY}: {reason}")
    return config


def load_backup_config(config_path: str | None, output_root: str | None) -> SiteConfig:
    """Return the site's settings for a restore of its backup: below the YAML's backup location, or an output root.

    Raises:
        ConfigError: neither was given, the YAML cannot be read, or a setting in it is missing or wrong.
    """
    if config_path is None:
        site = load_site_config(None, output_root)
        return replace(site, backup_location=site.output_location)
    backup_location = read_backup_location(config_path)
    if backup_location is None:
        raise ConfigError(
            f"{site_name(config_path)}: {BACKUP_LOCATION_KEY} is missing, and --to backup restores below it"
        )
    output_location = None if output_root is None else normalize_output_location(output_root, "--output-root")
    return replace(read_site_config(config_path, output_location or backup_location), backup_location=backup_location)


def read_webhook_url(config_path: str, kind: str) -> str | None:
    """Return the address in a site YAML to which its alerts go; None if it has none.

    Args:
        config_path: the YAML file.
        kind: of the alerts, `ops` or `business`.

    Raises:
        ConfigError: the YAML cannot be read, or the setting is wrong.
    """
    name = site_name(config_path)
    return _text_at(_parse_yaml(_read(config_path, name), name), WEBHOOK_URL_KEY.format(kind), name)


def read_backup_location(config_path: str) -> str | None:
    """Return the backup location in a site YAML; None if it has none.

    Raises:
        ConfigError: the file cannot be read, or the setting is wrong.
    """
    path = read_site_text(config_path, BACKUP_LOCATION_KEY)
    return None if path is None else normalize_output_location(path, f"{site_name(config_path)}: {BACKUP_LOCATION_KEY}")


def read_site_text(config_path: str, dotted_path: str) -> str | None:
    """Return the text under a key of a site YAML, such as `backup.s3.region`; None if there is nothing.

    Raises:
        ConfigError: the file cannot be read, or something other than text stands there.
    """
    name = site_name(config_path)
    return _text_at(_parse_yaml(_read(config_path, name), name), dotted_path, name)


def read_site_settings(config_path: str) -> SiteSettings:
    """Return what a site YAML says in the section `kraken_plan:`.

    Raises:
        ConfigError: the file cannot be read, or the section has a key that is unknown or a value of the wrong kind.
    """
    name = site_name(config_path)
    return _parse_section(_parse_yaml(_read(config_path, name), name), name)


def site_name(config_path: str) -> str:
    """Return what messages call a site YAML."""
    return f"site config {printable(config_path)}"


def _read(config_path: str, name: str) -> bytes:
    try:
        with Path(config_path).open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"{name}: there is no such file") from None
    except IsADirectoryError:
        raise ConfigError(f"{name}: it is a folder, expected a YAML file") from None
    except (OSError, ValueError) as error:  # a path with a NUL
        raise ConfigError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > _MAX_BYTES:
        raise ConfigError(f"{name}: it has more than {human_size(_MAX_BYTES)}, which no site's settings have")
    return content


def _parse_yaml(content: bytes, name: str) -> yaml.MappingNode:
    """Return the YAML's top as a node: no value is constructed, so none that is not asked for can do any harm."""
    try:
        settings = yaml.compose(content, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{name} is not YAML: {printable(error.problem or 'unreadable')}{where}") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # a wrong encoding or escape
        raise ConfigError(f"{name} is not YAML: {printable(str(error), 200)}") from None
    except RecursionError:
        raise ConfigError(f"{name}: nested too deeply") from None
    if not isinstance(settings, yaml.MappingNode):
        raise ConfigError(f"{name}: expected a mapping at the top, found {_describe(settings)}")
    return settings


def _find_output_location(settings: yaml.MappingNode, name: str) -> str:
    output = _value_at(settings, "locations.output", name)
    key = OUTPUT_LOCATION_KEY if isinstance(output, yaml.MappingNode) else "locations.output"
    path = _text_at(settings, key, name)
    if path is None:
        raise ConfigError(f"{name}: {OUTPUT_LOCATION_KEY} is missing: set it there, or give --output-root")
    return normalize_output_location(path, f"{name}: {key}")


def _parse_section(settings: yaml.MappingNode, name: str) -> SiteSettings:
    section = _value_at(settings, SECTION, name)
    place, left = f"{name}: {SECTION}", iter(range(_MOST_VALUES))
    try:
        return parse_site_settings(None if section is None else _plain(section, place, left), name)
    except RecursionError:  # aliases can make a value part of itself
        raise ConfigError(f"{place}: nested too deeply") from None


def _plain(value: yaml.Node, place: str, left: Iterator[int]) -> Plain:
    """Return what a node holds, scalars as the text that stands there; `left` runs out where there is too much."""
    _count(place, left)
    match value:
        case yaml.SequenceNode():
            return tuple(_plain(one, place, left) for one in value.value)
        case yaml.MappingNode():
            keys = dict.fromkeys(_keys(value, place, left))
            entries = {key: _entry(value, key, f"{place}.{printable(key)}") for key in keys}
            return {key: _plain(found, f"{place}.{key}", left) for key, found in entries.items() if found is not None}
    return None if value.tag == f"{_TAG}null" else writable(str(value.value))


def _count(place: str, left: Iterator[int]) -> None:
    if next(left, None) is None:
        raise ConfigError(f"{place}: the section {SECTION} has more than {_MOST_VALUES:,} keys and values")


def _keys(mapping: yaml.MappingNode, place: str, left: Iterator[int]) -> Iterator[str]:
    """Yield the keys of a mapping and of those that are merged into it (`<<`)."""
    for key, value in mapping.value:
        _count(place, left)
        if key.tag == f"{_TAG}merge":
            merged = value.value if isinstance(value, yaml.SequenceNode) else [value]
            yield from (key for one in merged if isinstance(one, yaml.MappingNode) for key in _keys(one, place, left))
        elif key.tag == f"{_TAG}str":
            yield writable(key.value)
        else:
            raise ConfigError(f"{place}: expected text as key, found {_describe(key)}")


def _text_at(settings: yaml.MappingNode, dotted_path: str, name: str) -> str | None:
    """Return the text there; None if there is nothing."""
    value = _value_at(settings, dotted_path, name)
    if value is None or value.value == "":
        return None
    if not isinstance(value, yaml.ScalarNode) or value.tag != f"{_TAG}str":
        raise ConfigError(f"{name}: {dotted_path}: expected text, found {_describe(value)}")
    return writable(value.value)


def _value_at(settings: yaml.MappingNode, dotted_path: str, name: str) -> yaml.Node | None:
    """Return what stands there; None if it is nothing."""
    value: yaml.Node = settings
    passed: list[str] = []
    for key in dotted_path.split("."):
        if not isinstance(value, yaml.MappingNode):
            raise ConfigError(f"{name}: {'.'.join(passed)}: expected a mapping, found {_describe(value)}")
        passed.append(key)
        found = _entry(value, key, f"{name}: {'.'.join(passed)}")
        if found is None or found.tag == f"{_TAG}null":
            return None
        value = found
    return value


def _entry(mapping: yaml.MappingNode, key: str, place: str) -> yaml.Node | None:
    """Return the value of a key; where the mapping itself has none, that of a mapping that is merged into it (`<<`)."""
    to_search: list[yaml.Node] = [mapping]
    searched = set[int]()  # aliases can make a mapping part of itself
    while to_search:
        node = to_search.pop()
        if id(node) in searched:
            continue
        searched.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            to_search += reversed(node.value)
        elif isinstance(node, yaml.MappingNode):
            found = [(at, value) for at, value in node.value if at.tag == f"{_TAG}str" and at.value == key]
            if len(found) > 1:
                lines = " and ".join(str(at.start_mark.line + 1) for at, _ in found[:2])
                raise ConfigError(f"{place} appears twice, in lines {lines}: which one counts? Remove the other")
            if found:
                value: yaml.Node = found[0][1]
                return value
            to_search += reversed([value for at, value in node.value if at.tag == f"{_TAG}merge"])
    return None


def _describe(value: yaml.Node | None) -> str:
    match value:
        case yaml.MappingNode():
            return "a mapping"
        case yaml.SequenceNode():
            return "a list"
        case yaml.ScalarNode(tag=tag, value=text) if tag == f"{_TAG}str":
            return f"the text {printable(text, 60)!r}"
        case yaml.ScalarNode(tag=tag, value=text) if tag != f"{_TAG}null":
            kind = printable(tag.removeprefix(_TAG), 60)
            return f"{printable(text, 60)} ({kind}; in quotes it would be text)"
    return "nothing"
