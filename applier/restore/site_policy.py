"""Checks that a plan keeps to what this site's operator allows: where it writes to, and which S3 it reads from.

A plan is only a file: one that came from elsewhere, or was changed and sealed again, may name any folder and server.
Looks only at the plan and the site's YAML; `applier.disk.folders` makes sure that no link leads out of the folder.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.errors import ConfigError, PlanError
from schemas.paths import explain_unsafe_absolute_path, is_within
from schemas.plan import Plan
from schemas.text import printable

if TYPE_CHECKING:
    from schemas.site.config import SiteConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class SitePolicy:
    """What the command line allows.

    Args:
        config: path of the site's YAML; None if none was given.
        allowed_roots: absolute paths of further folders that plans may restore to, besides the YAML's output location.
        own_output: whether the operator named the output location on the command line.
        own_endpoint: whether the operator named the S3 server on the command line.
    """

    config: str | None
    allowed_roots: tuple[str, ...]
    own_output: bool
    own_endpoint: bool

    def trusted_folder(self, plan: Plan, name: str) -> str:
        """Return the folder that no link may lead out of: the allowed one that the plan's output location lies in.

        If the plan is not checked against anything, that is its output location itself.

        Args:
            plan: as it will be applied.
            name: how the user named it, for messages.

        Raises:
            PlanError: the plan names something that the site does not; the message says how to allow it.
            ConfigError: the YAML cannot be read.
        """
        site = self._site(plan)
        of_site = [site.output_location, *site.settings.allowed_output_roots] if site else []
        allowed = [] if self.own_output else [*self.allowed_roots, *of_site]
        trusted = [root for root in allowed or [plan.output_location] if is_within(plan.output_location, root)]
        if not trusted and (backup_location := self._backup_location()) is not None:
            trusted = [backup_location] if is_within(plan.output_location, backup_location) else []
        issues = [] if trusted else [_strange_output(plan, allowed)]
        if site is not None and not self.own_endpoint:
            issues += _strange_endpoint(plan, site)
        if issues:
            raise PlanError(name, issues)
        return max(trusted, key=len)

    def _site(self, plan: Plan) -> "SiteConfig | None":
        if self.config is None:
            return None
        from schemas.site.config import read_site_config  # noqa: PLC0415  # loads yaml, which most runs do not need

        return read_site_config(self.config, plan.output_location if self.own_output else None)

    def _backup_location(self) -> str | None:
        """Return where the site keeps its backup, which a plan of `compile --to backup` restores below."""
        if self.config is None:
            return None
        from schemas.site.config import read_backup_location  # noqa: PLC0415  # yaml, which most runs do not need

        return read_backup_location(self.config)


def absolute_roots(roots: Sequence[str]) -> tuple[str, ...]:
    """Return the folders of `--allow-output-root` as absolute paths.

    Raises:
        ConfigError: one of them cannot be an output location.
    """
    absolute = []
    for root in roots:
        path = os.path.abspath(root)  # noqa: PTH100  # resolve() would follow the operator's links
        if reason := "it is empty" if not root else explain_unsafe_absolute_path(path):
            raise ConfigError(f"--allow-output-root {printable(root)!r}: {reason}")
        absolute.append(path)
    return tuple(absolute)


def _strange_output(plan: Plan, allowed: Sequence[str]) -> str:
    return (
        f"it restores to the output_location {printable(plan.output_location)}, but this site allows only "
        f"{' and '.join(map(printable, allowed))}. If this is intended, allow that folder with --allow-output-root "
        "(for good: kraken_plan.allowed_output_roots in the site YAML), or restore elsewhere with --output-root DIR"
    )


def _strange_endpoint(plan: Plan, site: "SiteConfig") -> Iterator[str]:
    found, expected = (None if url is None else url.rstrip("/") for url in (plan.s3.endpoint_url, site.endpoint_url))
    if found != expected:
        yield (
            f"it reads from the s3.endpoint_url {_named(found)}, but the site config {printable(site.name or '')} says "
            f"{_named(expected)}. If this is intended, name the server with --endpoint-url"
        )


def _named(endpoint_url: str | None) -> str:
    return "null (AWS's own)" if endpoint_url is None else printable(endpoint_url)
