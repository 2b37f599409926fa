"""Describes the run that begins for its results and reports: where, by whom, since when, and with which options."""

import os
import platform
import pwd
from collections.abc import Iterator
from datetime import UTC, datetime

import click
from click.core import ParameterSource

from kraken_plan.options.origins import without_login
from schemas.plan import Plan
from schemas.results import RunHead

_GIVEN = frozenset({ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT, ParameterSource.DEFAULT_MAP})


def begin_run(plan: Plan, approvals: tuple[str, ...] = ()) -> RunHead:
    """Return how a run over a plan begins, now.

    Args:
        plan: as it is applied.
        approvals: who has approved it, in words, where that was asked for.
    """
    return RunHead(
        plan_digest=plan.plan_digest or "",
        output_location=plan.output_location,
        started_at=datetime.now(UTC),
        host=platform.node(),
        user=_user_name(),
        options=tuple(given_options()),
        approvals=approvals,
    )


def given_options() -> Iterator[str]:
    """Yield what command line, environment and site YAML set, as `--jobs 16`; no password is among them."""
    context = click.get_current_context(silent=True)
    while context is not None:
        for parameter in context.command.params:
            name = parameter.name or ""
            is_given = name in context.params and context.get_parameter_source(name) in _GIVEN
            if isinstance(parameter, click.Option) and is_given:  # webhooks are secrets, and not among the params
                yield from _written(parameter, context.params.get(name))
        context = context.parent


def _written(option: click.Option, value: object) -> Iterator[str]:
    name = max(option.opts, key=len)
    if option.is_flag:
        if value:
            yield name
        return
    values = value if isinstance(value, tuple | list) else [value]
    for one in values:
        yield f"{name} {without_login(str(one))}"


def _user_name() -> str:
    """Return who runs this process; a container may have no name for its user."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
