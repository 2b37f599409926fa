"""Checks the environment variables that set options: names one that nothing reads, and one whose value is wrong.

Loads nothing but click, and no command beside the one that runs.
"""

import logging
from collections.abc import Collection, Iterator, Mapping

import click
from click.core import ParameterSource

from schemas.text import explain_unknown, printable

logger = logging.getLogger(__name__)

PREFIX = "KRAKEN_PLAN"
_NEAR = "did you mean "
# What several commands read under one name.
SHARED_VARIABLES = frozenset(
    {"KRAKEN_PLAN_CATALOG", "KRAKEN_PLAN_CONFIG", "KRAKEN_PLAN_OUTPUT_ROOT", "KRAKEN_PLAN_STATE_DIR"}
)


def warn_of_unread_variables(
    group: click.Context, name: str, command: click.Command, commands: Collection[str], environment: Mapping[str, str]
) -> None:
    """Warn of variables that look as if they set an option, and do not.

    Args:
        group: the context of the group of commands.
        name: of the command that runs; those of other commands are theirs to check.
        command: the same.
        commands: the names of all.
        environment: the variables.
    """
    own = f"{PREFIX}_{_upper(name)}"
    known = {*SHARED_VARIABLES, *_variables(group.command, PREFIX), *_variables(command, own)}
    others = tuple(f"{PREFIX}_{_upper(other)}_" for other in commands if other != name)
    for variable in sorted(environment):
        if variable.startswith(f"{PREFIX}_") and variable not in known and not variable.startswith(others):
            logger.warning("%s is set, but no option reads it: %s", printable(variable, 200), _explain(variable, known))


def name_the_variable(error: click.BadParameter) -> None:
    """Have an error about an option whose value a variable gave name the variable."""
    context, parameter = error.ctx, error.param
    if context is None or not isinstance(parameter, click.Option) or error.param_hint is not None:
        return
    if context.get_parameter_source(parameter.name or "") is ParameterSource.ENVIRONMENT:
        variable = next(_names_of(parameter, context.auto_envvar_prefix or PREFIX))
        error.param_hint = f"{variable} (environment variable of {max(parameter.opts, key=len)})"


def _explain(variable: str, known: Collection[str]) -> str:
    begin = f"{PREFIX}_"  # alike in all of them
    words = explain_unknown(variable.removeprefix(begin), [name.removeprefix(begin) for name in known])
    if not words.startswith(_NEAR):
        return "`kraken-plan COMMAND --help` names the options"
    return f"{_NEAR}{begin}{words.removeprefix(_NEAR)}"


def _variables(command: click.Command, prefix: str) -> Iterator[str]:
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            yield from _names_of(parameter, prefix)


def _names_of(option: click.Option, prefix: str) -> Iterator[str]:
    """Yield the names of the variables that an option reads, the one that counts first."""
    explicit = option.envvar
    yield from [explicit] if isinstance(explicit, str) else explicit or ()
    yield f"{prefix}_{_upper(option.name or '')}"


def _upper(name: str) -> str:
    return name.replace("-", "_").upper()
