"""What kraken-plan needs from AlphaKraken's site YAML: the output location and where S3 is. The only yaml import.

`compile` takes its settings from it, `apply` may hold a plan against it. All other keys are none of our business and
may hold anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from schemas.errors import ConfigError
from schemas.paths import explain_unsafe_absolute_path
from schemas.s3_location import explain_bad_endpoint_url
from schemas.text import printable, writable

OUTPUT_LOCATION_KEY = "locations.output.absolute_path"
BACKUP_LOCATION_KEY = "locations.backup.absolute_path"
REGION_KEY = "backup.s3.region"
ENDPOINT_URL_KEY = "backup.s3.endpoint_url"


class _TolerantLoader(yaml.SafeLoader):
    """Takes what it cannot make sense of as nothing: unknown tags and malformed dates or numbers are others' keys."""


def _construct_or_nothing(loader: _TolerantLoader, node: yaml.Node) -> object:
    constructor = yaml.SafeLoader.yaml_constructors.get(node.tag)
    try:
        return constructor(loader, node) if constructor else None
    except ValueError:
        return None


for _tag in ("int", "float", "bool", "timestamp", "binary"):
    _TolerantLoader.add_constructor(f"tag:yaml.org,2002:{_tag}", _construct_or_nothing)
_TolerantLoader.add_constructor(None, _construct_or_nothing)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteConfig:
    """A site's settings.

    Args:
        output_location: absolute path of the folder that everything is restored below.
        region: AWS region; None leaves it to the AWS chain.
        endpoint_url: address of an S3-compatible server; None for AWS itself.
        name: the YAML's file name; None if there is none.
        backup_location: where the catalog's backup paths lie, if it is the backup that is restored; else None.
    """

    output_location: str
    region: str | None = None
    endpoint_url: str | None = None
    name: str | None = None
    backup_location: str | None = None


def load_site_config(config_path: str | None, output_root: str | None) -> SiteConfig:
    """Return the site's settings from its YAML, an output root given by hand going before the YAML's.

    Raises:
        ConfigError: neither was given, the YAML cannot be read, or a setting in it is missing or wrong.
    """
    if config_path is None and output_root is None:
        raise ConfigError(
            "where to restore to is not known: give the site's YAML (--config or KRAKEN_PLAN_CONFIG), or a folder "
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
        output_location: takes the place of the YAML's, which is then not looked at.

    Raises:
        ConfigError: the file cannot be read, or a setting in it is missing or wrong.
    """
    name = f"site config {printable(config_path)}"
    settings = _parse_yaml(_read(config_path, name), name)
    config = SiteConfig(
        output_location=output_location or _find_output_location(settings, name),
        region=_text_at(settings, REGION_KEY, name),
        endpoint_url=_text_at(settings, ENDPOINT_URL_KEY, name),
        name=Path(config_path).name,
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
            f"site config {printable(config_path)}: {BACKUP_LOCATION_KEY} is missing, and --to backup restores below it"
        )
    output_location = None if output_root is None else normalize_output_location(output_root, "--output-root")
    return replace(read_site_config(config_path, output_location or backup_location), backup_location=backup_location)


def read_backup_location(config_path: str) -> str | None:
    """Return the backup location in a site YAML; None if it has none.

    Raises:
        ConfigError: the file cannot be read, or the setting is wrong.
    """
    name = f"site config {printable(config_path)}"
    path = _text_at(_parse_yaml(_read(config_path, name), name), BACKUP_LOCATION_KEY, name)
    return None if path is None else normalize_output_location(path, f"{name}: {BACKUP_LOCATION_KEY}")


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


def _read(config_path: str, name: str) -> bytes:
    try:
        return Path(config_path).read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{name}: there is no such file") from None
    except IsADirectoryError:
        raise ConfigError(f"{name}: it is a folder, expected a YAML file") from None
    except OSError as error:
        raise ConfigError(f"{name} cannot be read: {error.strerror or error}") from None


def _parse_yaml(content: bytes, name: str) -> Mapping[object, object]:
    try:
        settings: object = yaml.load(content, _TolerantLoader)  # noqa: S506  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{name} is not YAML: {printable(error.problem or 'unreadable')}{where}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name} is not YAML: {printable(str(error), 200)}") from None
    except RecursionError:
        raise ConfigError(f"{name}: nested too deeply") from None
    if not isinstance(settings, Mapping):
        raise ConfigError(f"{name}: expected a mapping at the top, found {_kind(settings)}")
    return settings


def _find_output_location(settings: Mapping[object, object], name: str) -> str:
    output = _value_at(settings, "locations.output", name)
    key = OUTPUT_LOCATION_KEY if isinstance(output, Mapping) else "locations.output"
    path = _text_at(settings, key, name)
    if path is None:
        raise ConfigError(f"{name}: {OUTPUT_LOCATION_KEY} is missing: set it there, or give --output-root")
    return normalize_output_location(path, f"{name}: {key}")


def _text_at(settings: Mapping[object, object], dotted_path: str, name: str) -> str | None:
    """Return the text there; None if there is nothing."""
    value = _value_at(settings, dotted_path, name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ConfigError(f"{name}: {dotted_path}: expected text, found {_kind(value)}")
    return writable(value)


def _value_at(settings: Mapping[object, object], dotted_path: str, name: str) -> object:
    value: object = settings
    passed: list[str] = []
    for key in dotted_path.split("."):
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise ConfigError(f"{name}: {'.'.join(passed)}: expected a mapping, found {_kind(value)}")
        value = value.get(key)
        passed.append(key)
    return value


def _kind(value: object) -> str:
    return "nothing" if value is None else f"{type(value).__name__} {printable(repr(value), 60)}"
