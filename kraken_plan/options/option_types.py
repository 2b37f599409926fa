"""Defines what options take as text and as seconds: never an empty text, nor a number that is not one.

A variable that sets an option that can be repeated has a value a line, because names and patterns may have blanks;
folders are separated as in PATH.
"""

import math
from typing import NoReturn

import click


def take_text_strictly(command: click.Command) -> None:
    """Have the options of a command refuse an empty text: a script's variable that is not set makes one.

    An empty environment variable is none, and refused nowhere.
    """
    for parameter in command.params:
        if not isinstance(parameter, click.Option):
            continue
        if parameter.type is click.STRING:
            parameter.type = _Text()
        elif type(parameter.type) is click.Path:
            parameter.type = _Path(path_type=parameter.type.type)


class Seconds(click.FloatRange):
    """A number within bounds; `nan`, which no comparison finds outside of them, is not one."""

    def convert(self, value: float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """See `click.ParamType`."""
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is not a number of seconds.", param, ctx)
        return seconds


class _Text(click.types.StringParamType):
    """Text that is not empty; a variable may have several, one a line."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """See `click.ParamType`."""
        return super().convert(value, param, ctx) or _refuse_empty(param, ctx)

    def split_envvar_value(self, rv: str) -> list[str]:
        """See `click.ParamType`."""
        return [line for line in rv.split("\n") if line]


class _Path(click.Path):
    """A path that is not empty: that of the current folder is `.`."""

    def convert(  # type: ignore[override]  # click's own is not more precise
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> object:
        """See `click.ParamType`."""
        return super().convert(value or _refuse_empty(param, ctx), param, ctx)


def _refuse_empty(param: click.Parameter | None, ctx: click.Context | None) -> NoReturn:
    raise click.BadParameter(
        "empty: expected a value. Is a variable of your script not set? Otherwise leave the option out", ctx, param
    )
