"""What differs between plans, as a property: nothing but what was changed, the same from both sides."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_samples import MD5, OTHER_MD5, make_plan, planned_file, planned_raw_file

from planner.plan_diff import Change, DiffKind, DiffTotals, FileDiff, PlanDiff, RawFileDiff, diff_plans
from schemas.plan import CompiledFrom, Plan, PlannedFile, RawFilePlan, S3Settings, UnresolvedFile

A, B = planned_file("s.d/a", size=3), planned_file("s.d/b", size=4)
BAD = UnresolvedFile(relative_path="s.d/bad", error="no etag")
RAW_FILE = planned_raw_file("s.d", A, B, BAD)
PLAN = make_plan(RAW_FILE, planned_raw_file("t.raw"))

etags = st.sampled_from([MD5, OTHER_MD5])
files = st.builds(
    planned_file, st.sampled_from(["x/1", "x/2", "x/3"]), etag=etags, size=st.none() | st.integers(0, 9)
) | st.builds(UnresolvedFile, relative_path=st.sampled_from(["x/1", "x/4"]), error=st.sampled_from(["no etag", "odd"]))


@st.composite
def raw_files(draw: st.DrawFn) -> RawFilePlan:
    project = draw(st.sampled_from(["PRID001", "PRID002"]))
    one = planned_raw_file(draw(st.sampled_from("rstu")), *draw(st.lists(files, max_size=5)), project_id=project)
    return replace(one, error="not found", files=()) if draw(st.integers(0, 5)) == 0 else one


plans = st.builds(
    lambda some, s3: replace(make_plan(), raw_files=tuple(some), s3=s3),
    st.lists(raw_files(), max_size=4, unique_by=lambda raw_file: raw_file.raw_file_id),
    st.builds(S3Settings, region=st.sampled_from([None, "eu-central-1"])),
)


def test_notes_should_be_compared_on_both_levels() -> None:
    old = make_plan(planned_raw_file("a", planned_file("a")))
    noted_file = planned_raw_file("a", replace(planned_file("a"), notes=("x", "y")))
    diff = diff_plans(old, make_plan(replace(noted_file, notes=("z",))))
    assert diff.raw_files[0].changes == (Change(name="notes", old=None, new="z"),)
    assert diff.raw_files[0].files[0].changes == (Change(name="notes", old=None, new="x; y"),)


def turned(diff: PlanDiff) -> PlanDiff:
    """The same seen from the other side."""

    def turn(changes: tuple[Change, ...]) -> tuple[Change, ...]:
        return tuple(Change(name=change.name, old=change.new, new=change.old) for change in changes)

    return PlanDiff(
        changes=turn(diff.changes),
        raw_files=tuple(
            RawFileDiff(
                raw_file_id=raw_file.raw_file_id,
                old=raw_file.new,
                new=raw_file.old,
                changes=turn(raw_file.changes),
                files=tuple(
                    FileDiff(relative_path=file.relative_path, old=file.new, new=file.old, changes=turn(file.changes))
                    for file in raw_file.files
                ),
            )
            for raw_file in diff.raw_files
        ),
    )


def shuffled(plan: Plan, seed: int) -> Plan:
    order = random.Random(seed)  # noqa: S311  # to be repeatable is the point
    some = [replace(one, files=tuple(order.sample(one.files, len(one.files)))) for one in plan.raw_files]
    return replace(plan, raw_files=tuple(order.sample(some, len(some))))


@settings(max_examples=40)
@given(plans, st.integers())
def test_order_and_origin_should_be_no_difference(plan: Plan, seed: int) -> None:
    other = replace(
        shuffled(plan, seed),
        created_at="2020-01-01T00:00:00Z",
        created_by="somebody",
        compiled_from=CompiledFrom(catalog="other", config="other"),
        plan_digest="sha256:0",
    )
    assert diff_plans(plan, other).is_empty


@settings(max_examples=40)
@given(plans, plans)
def test_a_difference_should_be_the_same_from_both_sides(old: Plan, new: Plan) -> None:
    assert turned(diff_plans(old, new)) == diff_plans(new, old)


@settings(max_examples=100)
@given(plans, plans, st.integers())
def test_plans_should_differ_exactly_where_their_contents_do(old: Plan, new: Plan, seed: int) -> None:
    def contents(plan: Plan) -> object:
        raws = sorted(plan.raw_files, key=lambda raw_file: raw_file.raw_file_id)
        return plan.s3, [replace(raw_file, files=tuple(sorted(raw_file.files, key=repr))) for raw_file in raws]

    assert diff_plans(shuffled(old, seed), new).is_empty == (contents(old) == contents(new))


@settings(max_examples=40)
@given(plans, plans)
def test_files_of_both_plans_should_add_up_to_those_of_the_difference(old: Plan, new: Plan) -> None:
    diff = diff_plans(old, new)
    before, after = (sum(len(raw_file.files) for raw_file in plan.raw_files) for plan in (old, new))
    assert after - before == diff.totals(DiffKind.ADDED).files - diff.totals(DiffKind.REMOVED).files
    changed = [raw_file for raw_file in diff.raw_files if raw_file.kind is DiffKind.CHANGED]
    assert all(raw_file.changes or raw_file.files for raw_file in changed)
    assert all(bool(file.changes) is (file.kind is DiffKind.CHANGED) for raw in diff.raw_files for file in raw.files)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda file: replace(file, expected_etag=OTHER_MD5), [("expected_etag", MD5, OTHER_MD5)]),
        (lambda file: replace(file, expected_size=None), [("expected_size", 3, None)]),
        (lambda file: replace(file, chunk_size_mb=500), [("chunk_size_mb", 5, 500)]),
        (lambda file: replace(file, s3_key="k"), [("s3_key", "s.d/a", "k")]),
        (lambda file: replace(file, version_id="v"), [("version_id", None, "v")]),
        (lambda file: replace(file, expected_md5=MD5), [("expected_md5", None, MD5)]),
        (
            lambda _: UnresolvedFile(relative_path="s.d/a", error="gone", s3_key="s.d/a", expected_size=3),
            [
                ("expected_etag", MD5, None),
                ("chunk_size_mb", 5, None),
                ("absolute_dest_path", "/out/PRID001/s.d/a", None),
                ("error", None, "gone"),
            ],
        ),
    ],
)
def test_every_property_of_a_file_should_be_compared(
    change: Callable[[PlannedFile], PlannedFile | UnresolvedFile], expected: list[tuple[str, object, object]]
) -> None:
    new = make_plan(replace(RAW_FILE, files=(change(A), B, BAD)), PLAN.raw_files[1])
    diff = diff_plans(PLAN, new)
    ((file,),) = (raw_file.files for raw_file in diff.raw_files)
    assert (file.relative_path, file.kind) == ("s.d/a", DiffKind.CHANGED)
    assert [(found.name, found.old, found.new) for found in file.changes] == expected
    assert diff.raw_files[0].changes == ()


def test_a_moved_raw_file_should_tell_so_of_itself_and_its_files() -> None:
    moved = replace(RAW_FILE, destination_base="/out/x", project_id="x", bucket_name="y")
    (raw_file,) = diff_plans(PLAN, make_plan(moved, PLAN.raw_files[1])).raw_files
    assert [change.name for change in raw_file.changes] == ["project_id", "destination_base", "bucket_name"]
    bucket = Change(name="bucket_name", old=RAW_FILE.bucket_name, new="y")
    assert [(file.relative_path, file.changes) for file in raw_file.files] == [
        (path, (bucket, Change(name="absolute_dest_path", old=f"/out/PRID001/{path}", new=f"/out/x/{path}")))
        for path in ("s.d/a", "s.d/b")
    ] + [("s.d/bad", (bucket,))]


def test_another_bucket_should_count_as_a_change_of_every_file_and_byte() -> None:
    diff = diff_plans(PLAN, make_plan(replace(RAW_FILE, bucket_name="y"), PLAN.raw_files[1]))
    size_bytes = sum(file.expected_size or 0 for file in (A, B))
    assert diff.totals(DiffKind.CHANGED) == DiffTotals(raw_files=1, files=3, size_bytes=size_bytes)


def test_totals_should_count_raw_files_files_and_bytes_of_each_kind() -> None:
    new = make_plan(
        replace(RAW_FILE, files=(replace(A, expected_size=30), planned_file("s.d/c", size=5))), planned_raw_file("u")
    )
    diff = diff_plans(PLAN, new)
    assert diff.totals(DiffKind.ADDED) == DiffTotals(raw_files=1, files=2, size_bytes=8)
    assert diff.totals(DiffKind.REMOVED) == DiffTotals(raw_files=1, files=3, size_bytes=7)
    assert diff.totals(DiffKind.CHANGED) == DiffTotals(raw_files=1, files=1, size_bytes=30)


def test_where_everything_goes_should_be_compared() -> None:
    new = replace(PLAN, output_location="/else", s3=S3Settings(region=None, endpoint_url="http://s3"))
    names = [change.name for change in diff_plans(PLAN, new).changes]
    assert names == ["output_location", "s3.region", "s3.endpoint_url"]


def test_two_entries_of_one_path_should_be_paired_by_what_they_say() -> None:
    twice = planned_raw_file("r", planned_file("x"), UnresolvedFile(relative_path="x", error="odd"))
    once = planned_raw_file("r", UnresolvedFile(relative_path="x", error="odd"))
    (raw_file,) = diff_plans(make_plan(twice), make_plan(once)).raw_files
    ((removed),) = raw_file.files
    assert (removed.kind, removed.old) == (DiffKind.REMOVED, planned_file("x"))
