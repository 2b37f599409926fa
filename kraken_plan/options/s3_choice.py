"""Chooses which S3 a plan names, and compares it with the one that the plan is applied with.

The plan names what an option says, else the site YAML, else the AWS chain as it is where the plan is compiled.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from schemas.errors import ConfigError
from schemas.plan import Plan
from schemas.s3_location import explain_bad_endpoint_url, explain_bad_region
from schemas.text import printable

if TYPE_CHECKING:
    from schemas.site.config import SiteConfig  # yaml, which apply mostly does not need

_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Options:
    """What the command line says of S3; None leaves it to the YAML and the AWS chain."""

    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None


def with_chosen_s3(site: "SiteConfig", options: S3Options, environment: Mapping[str, str]) -> "SiteConfig":
    """Return a site's settings with the S3 that its plans name.

    Where the endpoint is not the YAML's, the name of the settings, which stands in `compiled_from`, says whose it is.

    Args:
        site: as its YAML has it.
        options: these take precedence.
        environment: to tell which variable the AWS chain took the endpoint from.

    Raises:
        ConfigError: a region or an endpoint is malformed, or there is no such profile.
    """
    if options.region and (reason := explain_bad_region(options.region)):
        raise ConfigError(f"--region: {reason}")
    site = replace(site, region=options.region or site.region)
    if options.endpoint_url is not None:
        if reason := explain_bad_endpoint_url(options.endpoint_url):
            raise ConfigError(f"--endpoint-url: {reason}")
        return _with_endpoint(site, options.endpoint_url, "--endpoint-url")
    if site.endpoint_url is not None:
        return site
    endpoint_url, source = _find_in_chain(options.profile, environment)
    return site if endpoint_url is None else _with_endpoint(site, endpoint_url, source)


def explain_other_s3(plan: Plan, options: S3Options, environment: Mapping[str, str]) -> str | None:
    """Return in words that a plan is applied with another S3 than it names; None if it is not.

    Args:
        plan: as it was reviewed.
        options: these take precedence over the plan.
        environment: to tell which variable the AWS chain took its endpoint from.

    Raises:
        ConfigError: the AWS chain's endpoint is malformed, or there is no such profile.
    """
    named = plan.s3.endpoint_url
    used, source = options.endpoint_url, "--endpoint-url"
    if used is None and named is None:
        used, source = _find_in_chain(options.profile, environment)
    if used is None or used.rstrip("/") == (named or "").rstrip("/"):
        return None
    if explain_bad_endpoint_url(used) is not None:  # refused before S3 is asked; it may hold a password
        return None
    planned = "AWS itself (no s3.endpoint_url)" if named is None else printable(named)
    return f"S3 is {printable(used)} ({source}); the plan names {planned}"


def _find_in_chain(profile: str | None, environment: Mapping[str, str]) -> tuple[str | None, str]:
    """Return the AWS chain's endpoint, and what names it."""
    from applier.s3.aws_chain import find_named_endpoint  # noqa: PLC0415  # boto3 takes its time

    endpoint_url = find_named_endpoint(profile)
    return endpoint_url, next(
        (name for name in _VARIABLES if environment.get(name) == endpoint_url), "the AWS configuration"
    )


def _with_endpoint(site: "SiteConfig", endpoint_url: str, source: str) -> "SiteConfig":
    name = f"{site.name}, " if site.name else ""
    return replace(site, endpoint_url=endpoint_url, name=f"{name}S3 endpoint of {source}")
