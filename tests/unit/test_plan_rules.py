"""Conflicts between planned files: all of them, in an order that does not change from run to run."""

import tracemalloc
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_samples import MD5, OTHER_MD5, make_plan, planned_file, planned_raw_file

from schemas.plan import Plan
from schemas.plan_rules import explain_conflict, find_conflicts

PATHS = ["a", "b", "a/b", "a/c", "a/b/c", "a/b/c/d", "a.b", "a/b-c/d", "d/e"]
claims = st.tuples(st.sampled_from(PATHS), st.sampled_from([MD5, OTHER_MD5]))


def plan_of(files: list[tuple[str, str]]) -> Plan:
    return make_plan(
        *(planned_raw_file(str(number), planned_file(path, etag)) for number, (path, etag) in enumerate(files))
    )


def names(plan: Plan) -> list[tuple[str, str]]:
    return [(claim.raw_file.raw_file_id, other.raw_file.raw_file_id) for claim, other in find_conflicts(plan)]


def clash(one: tuple[str, str], other: tuple[str, str]) -> bool:
    (path, etag), (other_path, other_etag) = one, other
    if path == other_path:
        return etag != other_etag
    return path.startswith(f"{other_path}/") or other_path.startswith(f"{path}/")


@given(st.lists(claims, min_size=1, max_size=8))
def test_conflicts_should_be_those_that_a_look_at_every_pair_finds(files: list[tuple[str, str]]) -> None:
    numbers = range(len(files))
    in_conflict = {str(one) for one, other in product(numbers, numbers) if clash(files[one], files[other])}
    found = names(plan_of(files))
    assert {claim for claim, _ in found} == in_conflict
    assert all(clash(files[int(claim)], files[int(other)]) for claim, other in found)


def test_conflicts_should_come_once_each_in_the_plans_order() -> None:
    files = [("a", MD5), ("a", MD5), ("b", MD5), ("a", OTHER_MD5), ("b/x", MD5), ("b/y", MD5)]
    assert names(plan_of(files)) == [("0", "3"), ("1", "3"), ("2", "4"), ("3", "0"), ("4", "2"), ("5", "2")]


@pytest.mark.parametrize(("sizes", "conflicting"), [((3, 3), 0), ((3, None), 0), ((None, 3), 0), ((3, 5), 2)])
def test_one_etag_with_two_sizes_should_be_a_conflict(sizes: tuple[int | None, int | None], conflicting: int) -> None:
    """The file can have one size only: the other entry could not be verified."""
    plan = make_plan(
        *(planned_raw_file(str(number), planned_file("a", size=size)) for number, size in enumerate(sizes))
    )

    found = find_conflicts(plan)

    assert len(found) == conflicting
    for claim, other in found:
        sizes_in_words = f"{claim.file.expected_size} and {other.file.expected_size} bytes"
        assert explain_conflict(claim, other) == (
            f"one destination and etag, but {sizes_in_words}, in chunks of 5 and 5 MB"
        )


@pytest.mark.parametrize("last", ["f", "0/a/a"])
def test_memory_should_be_in_proportion_to_the_paths_however_deep_they_are(last: str) -> None:
    """A million folders on 250 paths of 4,000 bytes: one that is kept for each takes a gigabyte."""
    paths = [f"{number}/{'a/' * 1900}f" for number in range(250)]
    plan = plan_of([(path, MD5) for path in [*paths, last]])
    tracemalloc.start()
    try:
        conflicts = find_conflicts(plan)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(conflicts) == (0 if last == "f" else 2)
    assert peak < 10 * sum(map(len, paths))
