"""What a plan amounts to: every entry is counted once, and nothing that is skipped has weight."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from plan_samples import make_plan, planned_file, planned_raw_file, unresolved_raw_file

from kraken_plan.views.plan_sections import plan_sections
from kraken_plan.views.plan_summary import LARGEST, NAMED_PER_REASON, summarize_plan
from kraken_plan.views.table import Toned
from schemas.plan import Plan, PlanTotals, UnresolvedFile

sizes = st.none() | st.integers(0, 2**45)
files = st.one_of(
    st.builds(lambda size: planned_file("f", size=size), sizes),
    st.builds(lambda size: UnresolvedFile(relative_path="f", error="no etag", expected_size=size), sizes),
)
raw_files = st.one_of(
    st.builds(
        lambda content, project: planned_raw_file("r", *content, project_id=project),
        st.lists(files, min_size=1, max_size=5),
        st.sampled_from(["P1", "P2", "P3"]),
    ),
    st.just(unresolved_raw_file("r", planned_file("f"))),
)
plans = st.lists(raw_files, min_size=1, max_size=8).map(lambda content: make_plan(*content))


@given(plans)
def test_totals_should_count_every_entry_once(plan: Plan) -> None:
    planned = [file for _, file in plan.planned_files()]
    unresolved = [
        file
        for raw_file in plan.raw_files
        if raw_file.error is None
        for file in raw_file.files
        if isinstance(file, UnresolvedFile)
    ]
    assert summarize_plan(plan).totals == PlanTotals(
        raw_files=len(plan.raw_files),
        restored_raw_files=len({id(raw_file) for raw_file, _ in plan.planned_files()}),
        skipped_raw_files=sum(raw_file.error is not None for raw_file in plan.raw_files),
        files=len(planned),
        skipped_files=len(unresolved),
        size_bytes=sum(file.expected_size or 0 for file in planned),
        unknown_sizes=sum(file.expected_size is None for file in planned),
        skipped_bytes=sum(file.expected_size or 0 for file in unresolved),
    )


@given(plans)
def test_reasons_should_count_what_is_skipped(plan: Plan) -> None:
    summary = summarize_plan(plan)
    assert sum(skipped.raw_files for skipped in summary.skipped) == summary.totals.skipped_raw_files
    assert sum(skipped.files for skipped in summary.skipped) == summary.totals.skipped_files


def test_notes_should_be_gathered_from_raw_files_and_files_most_frequent_first() -> None:
    file = replace(planned_file("a.raw"), notes=("rare",))
    noted = [replace(planned_raw_file(f"{number}", file), notes=("often",)) for number in range(NAMED_PER_REASON + 2)]
    noted += [unresolved_raw_file("gone")]
    summary = summarize_plan(make_plan(*noted[1:], replace(noted[0], files=(planned_file("0"),))))
    assert [(note.reason, note.raw_files, note.files) for note in summary.notes] == [("often", 12, 0), ("rare", 0, 11)]
    section = next(section for section in plan_sections(summary) if section.title == "Notes")
    assert "raw file 1, raw file 2" in str(section.rows[0][2])
    assert "and 2 more" in str(section.rows[0][2])
    assert all(section.title != "Notes" for section in plan_sections(summarize_plan(make_plan())))


@given(plans)
def test_destinations_should_be_told_apart_by_project_and_add_up(plan: Plan) -> None:
    summary = summarize_plan(plan)
    places = [(destination.project_id, destination.destination_base) for destination in summary.destinations]
    assert places == list(dict.fromkeys((raw.project_id, raw.destination_base) for raw in plan.raw_files))
    assert sum(destination.totals.size_bytes for destination in summary.destinations) == summary.totals.size_bytes


@given(plans)
def test_the_largest_files_of_a_plan_should_be_listed(plan: Plan) -> None:
    largest = [file.expected_size or 0 for _, file in summarize_plan(plan).largest]
    assert largest == sorted((file.expected_size or 0 for _, file in plan.planned_files()), reverse=True)[:LARGEST]


def test_a_frequent_reason_should_come_first_and_name_a_few() -> None:
    plan = make_plan(
        unresolved_raw_file("a", error="seldom"),
        *(unresolved_raw_file(f"b{number}", error="often") for number in range(30)),
    )
    often, seldom = summarize_plan(plan).skipped
    assert (often.reason, often.raw_files, seldom.reason, seldom.raw_files) == ("often", 30, "seldom", 1)
    assert [entry.raw_file_id for entry in often.first] == [f"b{number}" for number in range(NAMED_PER_REASON)]
    section = plan_sections(summarize_plan(plan))[0]
    assert section.rows[0][0] == "30"
    assert str(section.rows[0][2]).endswith(", raw file b9, and 20 more")


def test_many_different_reasons_should_be_cut_and_the_rest_counted() -> None:
    plan = make_plan(*(unresolved_raw_file(f"r{number}", error=f"reason {number}") for number in range(50)))
    section = plan_sections(summarize_plan(plan))[0]
    assert (len(section.rows), section.left_out) == (20, 30)


def test_a_raw_file_that_is_skipped_should_weigh_nothing() -> None:
    assert unresolved_raw_file("r", planned_file(size=10)).totals() == PlanTotals(raw_files=1, skipped_raw_files=1)


def test_sections_should_hold_nothing_that_steers_a_terminal() -> None:
    evil = "\x1b[31m\n\u202e"
    plan = make_plan(
        planned_raw_file(f"r{evil}", planned_file(f"f{evil}"), project_id=f"p{evil}"),
        unresolved_raw_file(evil, error=evil),
    )
    sections = plan_sections(summarize_plan(plan))
    cells = [
        cell.text if isinstance(cell, Toned) else cell for section in sections for row in section.rows for cell in row
    ]
    assert all(cell.isprintable() for cell in cells)
    assert "r\\x1b[31m\\n\\u202e: f\\x1b[31m\\n\\u202e" in cells
