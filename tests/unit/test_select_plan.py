"""Selecting as a property: exactly the entries that are asked for, in the plan's order."""

from dataclasses import replace
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_samples import make_plan, plan_bytes, planned_file, planned_raw_file, unresolved_raw_file

from applier.reports.merge_results import merge_results
from planner.select_plan import Selection, check_projects, read_raw_files, select_failed, select_from_plan
from schemas.errors import ConfigError
from schemas.plan import Plan, UnresolvedFile
from schemas.plan_file import read_plan

PLAN = make_plan(
    planned_raw_file("a.d", planned_file("a.d/analysis.tdf"), planned_file("a.d/sub/x.xml")),
    planned_raw_file("b.raw", project_id="PRID002"),
    planned_raw_file(
        "c.d", planned_file("c.d/analysis.tdf"), UnresolvedFile(relative_path="c.d/[1].bin", error="no etag")
    ),
    unresolved_raw_file("gone"),
)
EVERYTHING = ["a.d/analysis.tdf", "a.d/sub/x.xml", "b.raw", "c.d/analysis.tdf", "c.d/[1].bin", "gone!"]


def entries(plan: Plan) -> list[str]:
    return [
        entry
        for raw_file in plan.raw_files
        for entry in (
            [f"{raw_file.raw_file_id}!"] if raw_file.error else [file.relative_path for file in raw_file.files]
        )
    ]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(), EVERYTHING),
        (Selection(raw_file_ids=("b.raw", "a.d")), EVERYTHING[:3]),
        (Selection(raw_file_ids=("gone",)), ["gone!"]),
        (Selection(project_ids=("PRID001",)), ["a.d/analysis.tdf", "a.d/sub/x.xml", "c.d/analysis.tdf", "c.d/[1].bin"]),
        (Selection(project_ids=("PRID001",), raw_file_ids=("b.raw",)), []),
        (Selection(include=("*.tdf",)), ["a.d/analysis.tdf", "c.d/analysis.tdf"]),
        (Selection(include=("*.TDF",)), []),
        (Selection(include=("*.tdf", "*.xml"), raw_file_ids=("a.d",)), ["a.d/analysis.tdf", "a.d/sub/x.xml"]),
        (Selection(include=("a.d/*",), exclude=("*/sub/*",)), ["a.d/analysis.tdf"]),
        (Selection(include=("?.raw",)), ["b.raw"]),
        (Selection(include=("c.d/[[]1].bin",)), ["c.d/[1].bin"]),
        (Selection(exclude=("*",)), ["gone!"]),
    ],
)
def test_selection_should_take_what_is_asked_for_and_nothing_else(selection: Selection, expected: list[str]) -> None:
    assert entries(select_from_plan(PLAN, selection)) == expected


@settings(max_examples=50)
@given(
    st.lists(st.sampled_from([raw_file.raw_file_id for raw_file in PLAN.raw_files]), unique=True),
    st.lists(st.sampled_from(["*.tdf", "a*", "*/*", "nothing", "*"]), max_size=2),
    st.lists(st.sampled_from(["*.tdf", "a*", "*/*", "nothing", "*"]), max_size=2),
)
def test_what_is_selected_should_be_a_valid_part_of_the_plan(
    raw_file_ids: list[str], include: list[str], exclude: list[str]
) -> None:
    selection = Selection(raw_file_ids=tuple(raw_file_ids), include=tuple(include), exclude=tuple(exclude))
    selected = select_from_plan(PLAN, selection)
    assert read_plan(plan_bytes(selected), "selected").raw_files == selected.raw_files
    assert replace(selected, raw_files=()) == replace(PLAN, raw_files=())
    assert [entry for entry in EVERYTHING if entry in set(entries(selected))] == entries(selected)
    assert select_from_plan(selected, selection) == selected
    rest = set(EVERYTHING) - set(entries(select_from_plan(PLAN, replace(selection, exclude=()))))
    assert rest.isdisjoint(entries(selected))


def test_names_that_the_plan_has_not_should_all_be_told() -> None:
    assert read_raw_files(PLAN, ["gone", "/pool/a.d/analysis.tdf, b.raw"]) == ("gone", "a.d", "b.raw")
    check_projects(PLAN, ["PRID002"])
    with pytest.raises(ConfigError, match=r"the plan has no raw file x, y\\x1bz$"):
        read_raw_files(PLAN, ["x", "a.d", "y\x1bz"])
    with pytest.raises(ConfigError, match=r"the plan has no raw file B\.raw \(nearest: b\.raw\)$"):
        read_raw_files(PLAN, ["B.raw"])
    with pytest.raises(ConfigError, match="the plan has no project PRID009"):
        check_projects(PLAN, ["PRID009", "PRID001"])
    with pytest.raises(ConfigError, match=r"19 \(and 180 more\)$"):
        read_raw_files(PLAN, map(str, range(200)))


def test_many_unknown_names_should_be_told_at_once_of_a_large_plan_too() -> None:
    plan = make_plan(*(planned_raw_file(f"20250115_plasma_{number:05}.raw") for number in range(10_000)))
    before = process_time()
    with pytest.raises(ConfigError, match=r"plasma_0001x\.raw \(nearest: 20250115_plasma_"):
        read_raw_files(plan, [f"20250115_plasma_{number:04}x.raw" for number in range(20)])
    assert process_time() - before < 4


def test_everything_should_be_selected_as_failed_where_nothing_was_attempted() -> None:
    assert entries(select_failed(PLAN, merge_results(PLAN, []).apply_result({}))) == EVERYTHING
