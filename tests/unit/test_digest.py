"""The digest as a property: what it is blind to, and that it is blind to nothing else."""

import copy
import json
import random

from hypothesis import given
from hypothesis import strategies as st
from plan_samples import JsonObject, plan_document, planned_file, planned_raw_file

from schemas.plan_text import plan_digest

UNDIGESTED = {"plan_digest", "created_at", "created_by", "compiled_from"}
DOCUMENT = plan_document(
    planned_raw_file("a.raw"), planned_raw_file("b.d", planned_file("b.d/x"), planned_file("b.d/y"))
)
Place = JsonObject | list[object]


def places(value: object) -> list[tuple[Place, str | int]]:
    """Every key and index of a document."""
    if isinstance(value, dict):
        return [(value, key) for key in value] + [found for inner in value.values() for found in places(inner)]
    if isinstance(value, list):
        return [(value, index) for index in range(len(value))] + [found for inner in value for found in places(inner)]
    return []


def shuffled(value: object, seed: int) -> object:
    """The same JSON with the keys of every object in another order."""
    if isinstance(value, dict):
        keys = list(value)
        random.Random(seed).shuffle(keys)  # noqa: S311  # to be repeatable is the point
        return {key: shuffled(value[key], seed) for key in keys}
    return [shuffled(inner, seed) for inner in value] if isinstance(value, list) else value


@given(st.integers())
def test_the_order_of_keys_should_not_matter(seed: int) -> None:
    other = shuffled(DOCUMENT, seed)
    assert isinstance(other, dict)
    assert plan_digest(other) == plan_digest(DOCUMENT)


@given(st.sampled_from(sorted(UNDIGESTED)), st.text() | st.none() | st.dictionaries(st.text(), st.text()))
def test_what_is_only_for_people_should_not_matter(name: str, value: object) -> None:
    assert plan_digest({**DOCUMENT, name: value}) == plan_digest(DOCUMENT)


@given(st.data())
def test_every_other_change_should_matter(data: st.DataObject) -> None:
    document = copy.deepcopy({name: value for name, value in DOCUMENT.items() if name not in UNDIGESTED})
    place, key = data.draw(st.sampled_from(places(document)))
    before = json.dumps(document, sort_keys=True)
    match data.draw(st.sampled_from(["replaced", "dropped", "added"])):
        case "replaced":
            value = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(st.characters(codec="utf-8"))
            place[key] = data.draw(value)  # type: ignore[index]  # a key of this place
        case "dropped":
            del place[key]  # type: ignore[arg-type]  # as above
        case _ if isinstance(place, dict):
            place["new"] = None
        case _:
            place.append(None)
    changed = json.dumps(document, sort_keys=True) != before
    assert (plan_digest(document) != plan_digest(DOCUMENT)) is changed
