"""The one arithmetic: verified + failed + unresolvable + not attempted = the entries of the plan, whatever happened."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_samples import make_plan, planned_file, planned_raw_file, unresolved_raw_file

from schemas.plan import Plan, PlannedFile, RawFilePlan, UnresolvedFile
from schemas.results import ApplyResult, Failure, FailureKind, FileResult, Outcome, RawFileResult
from schemas.tally import Amount, Fate, Tally, fate_of_failure


def ended(file: PlannedFile | UnresolvedFile, outcome: Outcome, kind: FailureKind | None = None) -> FileResult:
    failure = None if kind is None else Failure(kind, "x")
    return FileResult(relative_path=file.relative_path, outcome=outcome, failure=failure, size_bytes=file.expected_size)


def result_of(plan: Plan, *raw_files: RawFileResult) -> ApplyResult:
    return ApplyResult(plan_digest="", output_location=plan.output_location, raw_files=raw_files)


def unresolved(relative_path: str, size: int | None = None) -> UnresolvedFile:
    return UnresolvedFile(relative_path=relative_path, error="no etag recorded", expected_size=size)


def test_a_tally_should_count_entries_and_bytes_by_the_one_vocabulary() -> None:
    # given one entry of each kind, two that one failed bucket holds, and a raw file that is not in the catalog
    files = [planned_file(name, size=size) for size, name in enumerate("abcde", start=1)]
    mixed = planned_raw_file("mixed.d", *files, unresolved("f", 100))
    bucketless = planned_raw_file(
        "lost.d", planned_file("g", size=10), planned_file("h", size=20), unresolved("i", 200)
    )
    unknown = unresolved_raw_file("unknown.d", planned_file("counts for nothing"))
    plan = make_plan(mixed, bucketless, unknown)
    ends = [
        (Outcome.DOWNLOADED, None),
        (Outcome.HEALED, None),
        (Outcome.SKIPPED, None),
        (Outcome.FAILED, FailureKind.NETWORK),
        (Outcome.FAILED, FailureKind.INTERRUPTED),
        (Outcome.FAILED, FailureKind.UNRESOLVED),
    ]

    # when
    tally = Tally.of(
        result_of(
            plan,
            RawFileResult.of(mixed, [ended(f, *end) for f, end in zip(mixed.files, ends, strict=True)], None),
            RawFileResult.of(bucketless, (), Failure(FailureKind.BUCKET_MISSING, "lost")),
            RawFileResult.of(unknown, (), Failure(FailureKind.UNRESOLVED, "not in the catalog")),
        )
    )

    # then
    assert tally.describe() == "10 entries: 3 verified, 3 failed, 3 unresolvable, 1 not attempted"
    assert (tally.verified, tally.failed) == (Amount(3, 1 + 2 + 3), Amount(3, 4 + 10 + 20))
    assert (tally.unresolvable, tally.not_attempted) == (Amount(3, 100 + 200), Amount(1, 5))
    assert tally.total == Amount(plan.totals().entries, 345)
    assert not tally.all_verified
    assert tally.as_record() == {
        "entries": 10,
        "verified": 3,
        "failed": 3,
        "unresolvable": 3,
        "not_attempted": 1,
        "downloaded": 1,
        "healed": 1,
        "already_right": 1,
        "entries_bytes": 345,
        "verified_bytes": 6,
        "failed_bytes": 34,
        "unresolvable_bytes": 300,
        "not_attempted_bytes": 5,
        "downloaded_bytes": 1,
        "healed_bytes": 2,
        "already_right_bytes": 3,
    }
    before = Tally.of_plan(plan)
    assert (before.total, before.verified) == (tally.total, Amount())
    assert before.unresolvable == tally.unresolvable


@pytest.mark.parametrize("kind", FailureKind)
def test_every_failure_should_be_of_one_fate_that_is_not_verified(kind: FailureKind) -> None:
    apart = {
        FailureKind.UNRESOLVED: Fate.UNRESOLVABLE,
        FailureKind.INTERRUPTED: Fate.NOT_ATTEMPTED,
        FailureKind.NOT_ATTEMPTED: Fate.NOT_ATTEMPTED,
    }
    assert fate_of_failure(kind) is apart.get(kind, Fate.FAILED)


@st.composite
def runs(draw: st.DrawFn) -> tuple[Plan, ApplyResult]:
    """A plan of any shape, and an end of it."""
    raw_files: list[RawFilePlan] = []
    results: list[RawFileResult] = []
    for number in range(draw(st.integers(0, 4))):
        sizes = draw(st.lists(st.one_of(st.none(), st.integers(0, 2**40)), min_size=1, max_size=4))
        files = [
            unresolved(str(place), size) if draw(st.booleans()) else planned_file(str(place), size=size)
            for place, size in enumerate(sizes)
        ]
        raw_file = replace(planned_raw_file(f"{number}.d", planned_file()), files=tuple(files))
        failure = draw(st.sampled_from([None, Failure(FailureKind.BUCKET_MISSING), Failure(FailureKind.UNRESOLVED)]))
        if failure is not None and failure.kind is FailureKind.UNRESOLVED:
            raw_file = replace(raw_file, error="not in the catalog")
        ends = [
            ended(file, Outcome.FAILED, FailureKind.UNRESOLVED)
            if isinstance(file, UnresolvedFile)
            else ended(file, outcome, None if outcome.succeeded else draw(st.sampled_from(FailureKind)))
            for file in files
            for outcome in [draw(st.sampled_from(Outcome))]
        ]
        raw_files.append(raw_file)
        results.append(RawFileResult.of(raw_file, ends, failure))
    plan = replace(make_plan(), raw_files=tuple(raw_files))
    return plan, result_of(plan, *results)


@given(runs())
def test_the_fates_should_add_up_to_the_entries_and_bytes_of_the_plan(run: tuple[Plan, ApplyResult]) -> None:
    plan, result = run
    tally, before = Tally.of(result), Tally.of_plan(plan)
    assert tally.total == before.total
    assert before.total.entries == plan.totals().entries
    assert tally.all_verified is result.succeeded
