"""Fills in what pages take from the program itself: the plan's schema, and the variables of the environment.

A page says `<!-- generated: plan schema -->` where a table goes. Links to Markdown files of the repository that are not
pages of this site lead to the files themselves.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click
from sphinx.application import Sphinx

from kraken_plan.command_group import cli
from schemas.plan_schema import schema_text

Schema = Mapping[str, Any]

_MARK = re.compile(r"<!-- generated: ([a-z ]+) -->")
_LINK_OUT = re.compile(r"\]\(((?:\.\./)+(?:CHANGELOG|(?:examples|tests)/[^)]*)\.md)\)")


def setup(app: Sphinx) -> dict[str, bool]:
    """Have Sphinx fill in every page that it reads."""
    app.connect("source-read", _fill_in)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _fill_in(_app: Sphinx, _page: str, source: list[str]) -> None:
    text = _LINK_OUT.sub(r"](path:\1)", source[0])
    source[0] = _MARK.sub(lambda mark: "\n".join(_TABLES[mark[1]]()), text)


def plan_schema() -> Iterator[str]:
    """Yield a section for each object of the plan's schema, with a table of its properties."""
    schema = json.loads(schema_text())
    objects = {
        "The plan": schema,
        "`compiled_from`": schema["properties"]["compiled_from"],
        "`s3`": schema["properties"]["s3"],
        "A raw file": schema["$defs"]["raw_file"],
        "A file": schema["$defs"]["file"],
    }
    for title, found in objects.items():
        yield from (f"## {title}", "", found["description"], "", "| property | type | meaning |", "|---|---|---|")
        for name, member in found["properties"].items():
            yield f"| `{name}` | {_type(member)}{_presence(name, found)} | {_meaning(member)} |"
        yield ""


def environment_variables() -> Iterator[str]:
    """Yield a table of the variables that have a name of their own, with the commands whose option they set."""
    commands: dict[str, list[str]] = {}
    options: dict[str, str] = {}
    with click.Context(cli, info_name="kraken-plan") as context:
        for name in cli.list_commands(context):
            command = cli.get_command(context, name)
            for option in command.params if command else ():
                if isinstance(option, click.Option) and isinstance(option.envvar, str) and option.show_envvar:
                    commands.setdefault(option.envvar, []).append(name)
                    options[option.envvar] = max(option.opts, key=len)
    yield from ("| variable | sets | of |", "|---|---|---|")
    for variable in sorted(commands):
        yield f"| `{variable}` | `{options[variable]}` | {', '.join(f'`{name}`' for name in commands[variable])} |"


def _presence(name: str, schema: Schema) -> str:
    """Say when an object need not have a property; nothing if it always must."""
    if name in schema.get("required", ()):
        return ""
    return ", optional with an error" if name in schema.get("else", {}).get("required", ()) else ", optional"


def _type(schema: Schema) -> str:
    found = schema.get("type", "object")
    return " or ".join(found) if isinstance(found, list) else str(found)


def _meaning(schema: Schema) -> str:
    words = str(schema.get("description", "")).replace("|", "\\|").replace("*", "\\*")
    if "pattern" in schema:
        pattern = schema["pattern"].replace("|", "\\|")
        words += f" Pattern: `{pattern}`"
    if "minimum" in schema and "maximum" in schema:
        words += f" {schema['minimum']:,} to {schema['maximum']:,}."
    return words


_TABLES: Mapping[str, Callable[[], Iterator[str]]] = {
    "plan schema": plan_schema,
    "environment variables": environment_variables,
}
