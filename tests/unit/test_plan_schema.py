"""The schema that is published: what it says of itself, and that both validators read it alike."""

import json

import jsonschema
import pytest
from plan_samples import make_plan, plan_bytes

from schemas.plan_schema import find_schema_issues, schema_text


def objects_in(schema: object) -> list[dict[str, object]]:
    if isinstance(schema, list):
        return [found for item in schema for found in objects_in(item)]
    if not isinstance(schema, dict):
        return []
    return [schema, *(found for value in schema.values() for found in objects_in(value))]


def test_schema_should_be_a_schema_that_accepts_a_plan() -> None:
    schema = json.loads(schema_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(json.loads(plan_bytes(make_plan())))


def test_schema_should_describe_every_property_and_allow_no_other() -> None:
    described = [found for found in objects_in(json.loads(schema_text())) if "additionalProperties" in found]
    assert len(described) >= 5
    for found in described:
        properties = found.get("properties", {})
        assert isinstance(properties, dict)
        assert found["additionalProperties"] is False or not properties
        for name, value in properties.items():
            assert "description" in value or "$ref" in value, name


@pytest.mark.parametrize(
    "pattern", [p["pattern"] for p in objects_in(json.loads(schema_text())) if isinstance(p.get("pattern"), str)]
)
def test_patterns_should_not_accept_a_newline_at_the_end(pattern: str) -> None:
    """With a plain `$`, jsonschema accepts one and jsonschema-rs does not."""
    assert not pattern.endswith("$")


@pytest.mark.parametrize(
    "endpoint_url",
    [
        "http://user:SECRETPW@127.0.0.1:9000",
        "http://user:a@SECRETPW@h",
        "http://SECRETPW@",
        "https://h/?X-Amz-Signature=SECRETPW",
        ["http://user:SECRETPW@h"],
        "ftp://user:'\"SECRETPW@h",
    ],
)
def test_a_secret_in_a_malformed_address_should_not_be_shown_row_37(endpoint_url: object) -> None:
    document = json.loads(plan_bytes(make_plan()))
    document["s3"]["endpoint_url"] = endpoint_url

    issues = find_schema_issues(document)

    assert issues
    assert "SECRETPW" not in "".join(issues)
