"""Defines what options take as text and as seconds: never a text that names nothing, nor a number that is not one.

A variable that sets an option that can be repeated has a value a line, because names and patterns may have blanks;
folders are separated as in PATH.
"""

import math
from typing import NoReturn

import click

_NOTHING = ", \t\r\n"  # several names in one value are separated by commas


def take_text_strictly(command: click.Command) -> None:
    """Have the options of a command refuse a text that names nothing: a script's variable that is not set makes one.

    Without what it should name, a request would be for everything. An option whose default is empty takes it, too.

    An empty environment variable is none, and refused nowhere.
    """
    for parameter in command.params:
        if not isinstance(parameter, click.Option) or parameter.default == "":
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
    """Text that names something; a variable may have several, one a line."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """See `click.ParamType`."""
        text = super().convert(value, param, ctx)
        return text if text.strip(_NOTHING) else _refuse(text, param, ctx)

    def split_envvar_value(self, rv: str) -> list[str]:
        """See `click.ParamType`."""
        return [line for line in rv.split("\n") if line]


class _Path(click.Path):
    """A path that is not empty: that of the current folder is `.`."""

    def convert(  # type: ignore[override]  # click's own is not more precise
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> object:
        """See `click.ParamType`."""
        return super().convert(value or _refuse(value, param, ctx), param, ctx)


def _refuse(text: str, param: click.Parameter | None, ctx: click.Context | None) -> NoReturn:
    raise click.BadParameter(
        f"{text!r} holds no value: is a variable in your script unset? Give a value, or leave the option out",
        ctx,
        param,
    )
