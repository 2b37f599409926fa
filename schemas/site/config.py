"""Reads the settings that kraken-plan needs from AlphaKraken's site YAML: output location, S3, a section of its own.

`compile` takes its settings from there, `apply` can check a plan against it. All other keys are none of our business
and may hold anything.
"""

import errno
from dataclasses import dataclass, field, replace
from pathlib import Path

from schemas.errors import ConfigError
from schemas.regular_file import read_regular_file
from schemas.s3_location import explain_bad_endpoint_url, explain_bad_region
from schemas.site.misspelt import refuse_misspelt_section
from schemas.site.settings import SECTION, SiteSettings, normalize_output_location, parse_site_settings
from schemas.site.yaml_nodes import Mapping, entry_of, parse_yaml, plain_value, text_at, unread_keys, value_at
from schemas.text import human_size, printable

OUTPUT_LOCATION_KEY = "locations.output.absolute_path"
BACKUP_LOCATION_KEY = "locations.backup.absolute_path"
REGION_KEY = "backup.s3.region"
ENDPOINT_URL_KEY = "backup.s3.endpoint_url"
WEBHOOK_URL_KEY = "general.notifications.{}_alerts_webhook_url"

_MAX_BYTES = 1024 * 1024  # a site's settings have some kilobytes


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
    settings = parse_yaml(_read(config_path, name), name)
    config = SiteConfig(
        output_location=output_location or _find_output_location(settings, name),
        region=text_at(settings, REGION_KEY, name),
        endpoint_url=text_at(settings, ENDPOINT_URL_KEY, name),
        name=Path(config_path).name,
        settings=_parse_section(settings, name),
    )
    if config.region is not None and (reason := explain_bad_region(config.region)):
        raise ConfigError(f"{name}: {REGION_KEY}: {reason}")
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
    return read_site_text(config_path, WEBHOOK_URL_KEY.format(kind))


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
    return text_at(parse_yaml(_read(config_path, name), name), dotted_path, name)


def read_site_settings(config_path: str) -> SiteSettings:
    """Return what a site YAML says in the section `kraken_plan:`.

    Raises:
        ConfigError: the file cannot be read, or the section has a key that is unknown or a value of the wrong kind.
    """
    name = site_name(config_path)
    return _parse_section(parse_yaml(_read(config_path, name), name), name)


def read_allowed_locations(config_path: str) -> tuple[str, ...]:
    """Return the folders that a site YAML lets plans restore below.

    Raises:
        ConfigError: the file cannot be read, or a setting is wrong.
    """
    name = site_name(config_path)
    settings = parse_yaml(_read(config_path, name), name)
    further = _parse_section(settings, name).allowed_output_roots
    has_output = value_at(settings, "locations", name) and value_at(settings, "locations.output", name)
    return (_find_output_location(settings, name), *further) if has_output else further


def site_name(config_path: str) -> str:
    """Return what messages call a site YAML."""
    return f"site config {printable(config_path)}"


def _read(config_path: str, name: str) -> bytes:
    try:
        return read_regular_file(config_path, _MAX_BYTES)
    except FileNotFoundError:
        raise ConfigError(f"{name}: there is no such file") from None
    except IsADirectoryError:
        raise ConfigError(f"{name}: it is a folder, expected a YAML file") from None
    except (OSError, ValueError) as error:  # a path with a NUL
        if getattr(error, "errno", None) == errno.EFBIG:
            size = human_size(_MAX_BYTES)
            raise ConfigError(f"{name}: it has more than {size}, which no site's settings have") from None
        raise ConfigError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _find_output_location(settings: Mapping, name: str) -> str:
    output = value_at(settings, "locations.output", name)
    key = OUTPUT_LOCATION_KEY if isinstance(output, Mapping) else "locations.output"
    path = text_at(settings, key, name)
    if path is None:
        raise ConfigError(f"{name}: {OUTPUT_LOCATION_KEY} is missing: set it there, or give --output-root")
    return normalize_output_location(path, f"{name}: {key}")


def _parse_section(settings: Mapping, name: str) -> SiteSettings:
    section = entry_of(settings, SECTION, f"{name}: {SECTION}")
    refuse_misspelt_section(unread_keys(settings, section), name, is_there=section is not None)
    return parse_site_settings(plain_value(section, f"{name}: {SECTION}"), name)
