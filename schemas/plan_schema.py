"""Validates a document against plan.schema.json.

In two steps: `jsonschema-rs` accepts a valid document at once (a million files in a second); only a document that it
refuses goes to `jsonschema`, the documented validator, which says in words what is wrong.
"""

import functools
import json
import re
from collections.abc import Iterator
from importlib import resources
from typing import TYPE_CHECKING

from schemas.text import printable

if TYPE_CHECKING:
    import jsonschema_rs
    from jsonschema.exceptions import ValidationError

MAX_ISSUES = 100
# User and password of an address, and its query: that of a signed one is as good as a password.
_URL_SECRETS = re.compile(r"(?<=://)\S*@|(?<=\?)[^\s'\"]+")


def schema_text() -> str:
    """Return the plan's JSON Schema (2020-12) as it is published."""
    return resources.files("schemas").joinpath("plan.schema.json").read_text(encoding="utf-8")


def find_schema_issues(document: object) -> list[str]:
    """Return how a document breaks the schema, one line each, at most 100."""
    if _compiled().is_valid(document):
        return []
    return [_in_words(error) for _, error in zip(range(MAX_ISSUES), _explained(document), strict=False)]


@functools.cache
def _compiled() -> "jsonschema_rs.Draft202012Validator":
    import decimal  # noqa: F401, PLC0415  # jsonschema-rs would load it, and panic if Ctrl-C came then

    import jsonschema_rs  # noqa: PLC0415  # nothing but reading a plan needs it

    return jsonschema_rs.Draft202012Validator(json.loads(schema_text()))


def _explained(document: object) -> Iterator["ValidationError"]:
    import jsonschema  # noqa: PLC0415  # a third of a second that only a refused plan pays

    return jsonschema.Draft202012Validator(json.loads(schema_text())).iter_errors(document)


def _in_words(error: "ValidationError") -> str:
    place = "".join(f"[{step!r}]" if isinstance(step, str) else f"[{step}]" for step in error.absolute_path)
    place = re.sub(r"\['(\w+)'\]", r".\1", place).lstrip(".")
    message = f"{error.instance!r} is malformed" if error.validator == "pattern" else error.message
    message = _URL_SECRETS.sub("…", message)
    described = isinstance(error.schema, dict) and error.schema.get("description")
    if error.validator in {"required", "additionalProperties"} or not described:
        return f"{printable(place) or 'the plan'}: {printable(message, 300)}"
    return f"{printable(place)}: {printable(message, 300)} (expected: {described})"
