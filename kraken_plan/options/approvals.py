"""Tells where a plan's approvals are, whose count, and how many the site asks for: to approvers and to apply."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kraken_plan.options.plan_options import take_duration
from kraken_plan.variables import PREFIX
from schemas.errors import ApprovalError, ConfigError
from schemas.paths import is_within
from schemas.plan_source import STDIN
from schemas.site.settings import SECTION, ApprovalRule
from schemas.text import printable

if TYPE_CHECKING:
    from applier.approvals.approval import Approval

# What variables ask apply for, `kraken-plan approvals` heeds, too.
allowed_signers_option = click.option(
    "--allowed-signers",
    metavar="FILE",
    envvar=f"{PREFIX}_APPLY_ALLOWED_SIGNERS",
    type=click.Path(),
    help="Whose approval counts: keys and names of people, as ssh-keygen(1) describes it under ALLOWED SIGNERS.",
)
revoked_keys_option = click.option(
    "--revoked-keys",
    metavar="FILE",
    envvar=f"{PREFIX}_APPLY_REVOKED_KEYS",
    type=click.Path(),
    help="Keys that no longer count: a revocation list or public keys.",
)
max_approval_age_option = click.option(
    "--max-approval-age",
    metavar="TIME",
    envvar=f"{PREFIX}_APPLY_MAX_APPROVAL_AGE",
    callback=take_duration,
    help="Approvals that are older do not count: seconds, or a number with m, h or d.",
)
approvals_option = click.option(
    "--approvals", metavar="FILE", type=click.Path(), help="The file of approvals. [default: PLAN.approvals]"
)


def refuse_if_site_asks(config: str | None) -> None:
    """Refuse to make and apply a plan in one step where the site wants plans to be approved in between.

    Raises:
        ApprovalError: it does.
    """
    for rule in site_rules(config):
        raise ApprovalError(
            f"{rule.origin} asks for approvals of every plan, which one that is made and applied in one step cannot "
            "have: compile, approve and apply it"
        )


def site_rules(config: str | None) -> Iterator[ApprovalRule]:
    """Yield what the site asks for: its YAML on the command line, and those of the environment."""
    yield from (rule for path in _site_configs(config) if (rule := site_rule(path)) is not None and rule.required)


def _site_configs(config: str | None) -> Iterator[str]:
    """Yield the site YAMLs that are named, once each: no option takes back one that a variable names."""
    context = click.get_current_context(silent=True)
    own = (context.auto_envvar_prefix if context is not None else None) or PREFIX
    variables = dict.fromkeys(f"{prefix}_CONFIG" for prefix in (PREFIX, own, f"{PREFIX}_APPLY"))
    yield from dict.fromkeys(path for path in (config, *map(os.environ.get, variables)) if path)


def explain_other_root(approved_location: str, output_root: str | None, config: str | None) -> str:
    """Return in words that an approved plan is applied to another place; empty if it is not.

    Args:
        approved_location: the output location of the plan as it was approved.
        output_root: where it is applied to; None for where it says.
        config: the site YAML on the command line.

    Raises:
        ApprovalError: a site asks for approvals and does not allow that place: approvers have seen another one.
    """
    root = None if not output_root else os.path.abspath(output_root)  # noqa: PTH100  # no link is followed
    if root is None or root == approved_location:
        return ""
    from schemas.site.config import read_allowed_locations, site_name  # noqa: PLC0415  # yaml, if there is a YAML

    for path in _site_configs(config):
        rule = site_rule(path)
        if rule is None or not rule.required:
            continue
        allowed = read_allowed_locations(path)
        if not any(is_within(root, one) for one in allowed):
            raise ApprovalError(
                f"--output-root {printable(root)}: {rule.origin} asks for approvals, and those who approved the plan "
                f"have seen that it restores to {printable(approved_location)}. Compile one for {printable(root)} "
                f"and have it approved, or allow that folder in {site_name(path)} ({SECTION}.allowed_output_roots)"
            )
    return f"approved for {approved_location}, applied to {root}"


def site_rule(config: str | None) -> ApprovalRule | None:
    """Return what a site YAML says about approvals; None if there is none, or it says nothing."""
    if config is None:
        return None
    from schemas.site.config import read_site_settings  # noqa: PLC0415  # yaml, if there is a YAML

    return read_site_settings(config).approvals


def load_approvals(plan: str, named: str | None) -> "tuple[Approval, ...]":
    """Return the approvals of a plan, unchecked.

    Raises:
        ApprovalError: they cannot be read.
        ConfigError: nothing says where they are.
    """
    from applier.approvals.approvals_file import read_approvals  # noqa: PLC0415  # most runs ask for none

    return read_approvals(approvals_path(plan, named))


def approvals_path(plan: str, named: str | None) -> Path:
    """Return where the approvals of a plan are.

    Raises:
        ConfigError: the plan has no path.
    """
    if named is None and plan == STDIN:
        raise ConfigError(f"the plan comes from stdin: say where its approvals are, with {_how_to_name_them()}")
    from applier.approvals.approvals_file import ENDING  # noqa: PLC0415  # most runs ask for none

    return Path(named or f"{plan}{ENDING}")


def _how_to_name_them() -> str:
    """Return the option for it, or where a command has none, the variable of apply, whose settings it takes."""
    context = click.get_current_context(silent=True)
    if context is None or any(parameter.name == "approvals" for parameter in context.command.params):
        return "--approvals FILE"
    return f"the variable {PREFIX}_APPLY_APPROVALS, or give the plan as a file that has them beside it"
