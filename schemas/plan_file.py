"""Reads and writes plan files. Everything is checked here, before anything is touched.

Reading: UTF-8 -> JSON (no duplicate keys, no NaN) -> version -> schema -> rules -> digest -> `Plan`.
"""

import json
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

from schemas.errors import PlanError
from schemas.plan import Plan
from schemas.plan_document import (
    FORMAT_VERSION,
    FORMAT_VERSION_WITHOUT_NOTES,
    PlanDocument,
    document_from_plan,
    find_misplaced_files,
    plan_from_document,
)
from schemas.plan_rules import find_rule_issues
from schemas.plan_schema import find_schema_issues, schema_text
from schemas.plan_text import indented_json, plan_digest
from schemas.text import printable

logger = logging.getLogger(__name__)

_STATED_DIGEST = re.compile(rb'"plan_digest": ?"(sha256:[0-9a-f]{64})"')
_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_TOO_DEEP = "not a plan: brackets nested too deeply"


class _NotInAPlanError(ValueError):
    """JSON readers accept this, but a plan must not hold it. Args: the literal, and what is wrong with it."""


def read_plan(content: bytes, name: str) -> Plan:
    """Return the plan in a file's content; `plan_digest` is always filled in.

    Args:
        content: the whole file.
        name: how the user named it, for messages.

    Raises:
        PlanError: the content is not a usable plan; the message lists everything that is wrong.
    """
    return read_plan_text(decode_plan(content, name), name)


def decode_plan(content: bytes, name: str) -> str:
    """Return the text of a plan file.

    Raises:
        PlanError: it is not UTF-8.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PlanError(name, [f"not UTF-8: byte 0x{content[error.start]:02x} at offset {error.start}"]) from None


def read_plan_text(text: str, name: str, *, even_if_edited: bool = False) -> Plan:
    """Return the plan in a plan file's text, see `read_plan`.

    A large plan's text is half a gigabyte: it is freed as soon as it is parsed, if the caller keeps no reference to it.

    Args:
        text: of the whole file.
        name: how the user named it, for messages.
        even_if_edited: whether a wrong digest is only warned of, as whoever looks at a plan wants it; the plan has the
            digest that its content gives.
    """
    document = _parse_json(text, name)
    del text
    plan = _check(document, name)
    digest = _digest(document, name)
    stated = plan.plan_digest or digest
    if stated != digest:
        words = (
            f"the plan was changed after it was compiled: its plan_digest is {stated}, its content gives {digest}. "
            "If the change is intended, review it and run `kraken-plan seal`"
        )
        if not even_if_edited:
            raise PlanError(name, [words])
        logger.warning("%s: %s; apply refuses it as it is", name, words)
    return replace(plan, plan_digest=digest)


def serialize_plan(plan: Plan) -> Iterator[bytes]:
    """Yield the plan file of a plan, sealed with its digest, in pieces: a large plan's text is half a gigabyte."""
    return indented_json(_sealed(document_from_plan(replace(plan, plan_digest=None))))


def seal_plan(content: bytes, name: str) -> bytes:
    """Return a plan file with its digest renewed and all else as it is.

    Raises:
        PlanError: the content is not a usable plan, even apart from its digest.
    """
    document = _parse_json(decode_plan(content, name), name)
    _check(document, name)
    _digest(document, name)
    return b"".join(indented_json(_sealed(document)))


def find_stated_digest(content: bytes) -> str | None:
    """Return the digest that a plan file states, unchecked, for messages; None if it states none.

    Args:
        content: of the file, or its begin: what this program writes has the digest there.
    """
    match = _STATED_DIGEST.search(content)
    return None if match is None else match[1].decode()


def _sealed(document: Mapping[str, object]) -> Mapping[str, object]:
    head = {"format_version": document["format_version"], "plan_digest": plan_digest(document)}
    return {**head, **{key: value for key, value in document.items() if key not in head}}


def _digest(document: Mapping[str, object], name: str) -> str:
    try:
        return plan_digest(document)
    except ValueError as error:  # in a property that a later minor version added: the schema forbids it elsewhere
        raise PlanError(name, [f"it has no canonical form, and so no digest: {error}"]) from None


def _check(document: dict[str, Any], name: str) -> Plan:
    """Return the plan in a document, with everything checked but its digest."""
    known = _known_part(document, name)
    try:
        issues = find_schema_issues(known)
    except RecursionError:
        raise PlanError(name, [_TOO_DEEP]) from None
    if issues:
        raise PlanError(name, issues)
    accepted = cast("PlanDocument", known)
    plan = plan_from_document(accepted)
    if issues := find_rule_issues(plan) or find_misplaced_files(accepted):
        raise PlanError(name, issues)
    return plan


def _refuse_lone_surrogates(document: dict[str, Any], text: str, name: str) -> None:
    if not _SURROGATE_ESCAPE.search(text):  # UTF-8 itself cannot hold one
        return
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        surrogate = printable(error.object[error.start])
        raise PlanError(name, [f"a string contains the lone surrogate {surrogate}, which has no UTF-8 form"]) from None
    except RecursionError:
        raise PlanError(name, [_TOO_DEEP]) from None


def _parse_json(text: str, name: str) -> dict[str, Any]:
    try:
        document = json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_refuse, parse_float=_refuse)
    except json.JSONDecodeError as error:
        found = f"{error.msg} at line {error.lineno}, column {error.colno}" if text.strip() else "the file is empty"
        raise PlanError(name, [f"not a JSON document: {found}"]) from None
    except RecursionError:
        raise PlanError(name, [_TOO_DEEP]) from None
    except _NotInAPlanError as error:
        literal, reason = error.args
        line = text.count("\n", 0, max(text.find(literal), 0)) + 1
        raise PlanError(name, [f"line {line}: {printable(literal, 60)}: {reason}"]) from None
    except ValueError:  # int() of more than 4,300 digits
        raise PlanError(name, ["it contains a number of thousands of digits"]) from None
    if not isinstance(document, dict):
        raise PlanError(name, ["not a plan: expected a JSON object at the top"])
    _refuse_lone_surrogates(document, text, name)
    return document


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _NotInAPlanError(json.dumps(twice, ensure_ascii=False), "this key appears twice in one object")
    if (key := unique.get("s3_key")) is not None and key == unique.get("relative_path"):
        unique["relative_path"] = key  # one string for both, of the four that a file of a large plan takes in memory
    return unique


def _refuse(literal: str) -> Any:  # noqa: ANN401  # the signature that json asks for
    raise _NotInAPlanError(literal, "a plan contains only whole numbers")


def _known_part(document: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the document without what a later minor version added; one of our own version stays as it is."""
    version = document.get("format_version")
    match = _VERSION.fullmatch(version) if isinstance(version, str) else None
    if match is None:
        return document  # the schema says in words what is wrong
    if match[1] != FORMAT_VERSION.partition(".")[0]:
        raise PlanError(
            name,
            [
                (
                    f"format_version is {version}, this program reads {FORMAT_VERSION_WITHOUT_NOTES} and "
                    f"{FORMAT_VERSION}: use the version that wrote it"
                )
            ],
        )
    if version in {FORMAT_VERSION, FORMAT_VERSION_WITHOUT_NOTES}:
        return document
    unknown: set[str] = set()
    schema = json.loads(schema_text())
    known: dict[str, Any] = _without_unknown(document, schema, schema["$defs"], unknown)
    if unknown:
        logger.warning("%s has format_version %s; ignored: %s", name, version, ", ".join(sorted(unknown)))
    return known


def _without_unknown(value: Any, schema: Any, definitions: Any, unknown: set[str]) -> Any:  # noqa: ANN401  # any JSON
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    if isinstance(value, list) and "items" in schema:
        return [_without_unknown(item, schema["items"], definitions, unknown) for item in value]
    if not isinstance(value, dict) or "additionalProperties" not in schema:
        return value
    properties, additional = schema.get("properties", {}), schema["additionalProperties"]
    unknown.update(key for key in value if additional is False and key not in properties)
    return {
        key: _without_unknown(item, properties.get(key, additional), definitions, unknown)
        for key, item in value.items()
        if key in properties or additional is not False
    }
