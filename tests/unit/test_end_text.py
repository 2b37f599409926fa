"""What a run says at its begin and at its end."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from plan_samples import make_plan, planned_file, planned_raw_file, unresolved_raw_file

from kraken_plan.views.end_text import EndedRun, end_lines
from kraken_plan.views.start_text import S3Name, start_lines
from schemas.plan import Plan, PlannedFile, RawFilePlan
from schemas.results import ApplyResult, Failure, FailureKind, FileResult, Outcome, RawFileResult

MIB = 1024 * 1024
NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
S3 = S3Name(endpoint_url="https://s3.example.org", region="eu-central-1", credentials="SSO of profile p")


def ended(file: PlannedFile, kind: FailureKind | None, detail: str = "") -> FileResult:
    return FileResult(
        relative_path=file.relative_path,
        outcome=Outcome.DOWNLOADED if kind is None else Outcome.FAILED,
        failure=None if kind is None else Failure(kind, detail),
        size_bytes=file.expected_size,
    )


def files(count: int) -> list[PlannedFile]:
    return [planned_file(f"s.d/{number}", size=10 * MIB) for number in range(count)]


def run_of(raw_file: RawFilePlan, kinds: list[FailureKind | None], *more: RawFileResult) -> EndedRun:
    """A run of a raw file, whose files end like this, and of more raw files."""
    planned = [file for file in raw_file.files if isinstance(file, PlannedFile)]
    results = [ended(file, kind, "x") for file, kind in zip(planned, kinds, strict=True)]
    result = ApplyResult(
        plan_digest="", output_location="/out", raw_files=(RawFileResult.of(raw_file, results, None), *more)
    )
    return EndedRun(
        result=result,
        seconds=75.0,
        fetched_bytes=150 * MIB,
        stopped_by=None,
        staged_bytes=None,
        apply_command="kraken-plan apply plan.json",
        accepted=(),
        select_command="kraken-plan select plan.json",
    )


def test_a_good_run_should_end_in_two_lines() -> None:
    run = run_of(planned_raw_file("s.d", *files(15)), [None] * 15)
    assert list(end_lines(run)) == [
        "1 raw file, 15 entries: 15 verified, 0 failed, 0 unresolvable, 0 not attempted",
        "  verified 150.0 MiB (15 downloaded) in 1:15; fetched 150.0 MiB at 2.0 MiB/s",
    ]


def test_a_bad_run_should_say_what_failed_by_cause_and_what_to_type_next() -> None:
    # given
    kinds = [None, *[FailureKind.NETWORK] * 5, FailureKind.KEY_NOT_FOUND, FailureKind.INTERRUPTED]
    unknown = RawFileResult.of(unresolved_raw_file("no\nsuch"), (), Failure(FailureKind.UNRESOLVED, "not there"))

    # when
    run = replace(
        run_of(planned_raw_file("s.d", *files(8)), kinds, unknown), stopped_by="SIGTERM", staged_bytes=5 * MIB
    )

    # then
    assert list(end_lines(run)) == [
        "interrupted by SIGTERM: what is verified stays, and the same command resumes",
        "2 raw files, 9 entries: 1 verified, 6 failed, 1 unresolvable, 1 not attempted",
        "  verified 10.0 MiB (1 downloaded) in 1:15; fetched 150.0 MiB at 2.0 MiB/s",
        "failed:",
        "  5 x Network error (does applying again help? yes, when S3 is reachable)",
        "    s.d/1: Network error: x",
        "    s.d/2: Network error: x",
        "    s.d/3: Network error: x",
        "    … and 2 more",
        "  1 x S3 key not found (does applying again help? if the key appears)",
        "    s.d/6: S3 key not found: x",
        "unresolvable, as the plan says:",
        "  no\\nsuch: not there",
        "staged: 5.0 MiB of unfinished files are kept, and the next run resumes from them",
        "next:",
        "  kraken-plan apply plan.json",
        "  kraken-plan select plan.json --failed -o again.json",
    ]


@pytest.mark.parametrize(
    ("kind", "accepted", "command"),
    [
        (FailureKind.DELETED, (), "kraken-plan apply plan.json --recover-versions"),
        (FailureKind.OTHER_PARTS, (), "kraken-plan apply plan.json --accept-other-parts"),
        (FailureKind.THAWING, (), "kraken-plan apply plan.json --wait-for-thaw"),
        (FailureKind.TIMEOUT, ("--accept-md5",), "kraken-plan apply plan.json --accept-md5"),
        (FailureKind.OTHER_PARTS, ("--accept-other-parts",), "kraken-plan apply plan.json --accept-other-parts"),
        (FailureKind.NOT_VERIFIABLE, (), "kraken-plan apply plan.json"),
    ],
)
def test_what_to_type_next_should_have_the_options_that_help_and_those_that_were_given(
    kind: FailureKind, accepted: tuple[str, ...], command: str
) -> None:
    run = replace(run_of(planned_raw_file("s.d", *files(3)), [kind, kind, None]), accepted=accepted)
    *_, apply_line, select_line = end_lines(run)
    assert (apply_line, select_line) == (f"  {command}", "  kraken-plan select plan.json --failed -o again.json")


def test_a_run_should_say_in_three_lines_what_it_restores_from_where_and_to_where() -> None:
    plan = make_plan(planned_raw_file("s.d", *files(3)), unresolved_raw_file())
    assert list(start_lines(plan, "plan.json", S3, NOW)) == [
        "plan.json: 3 files of 1 raw file, 30.0 MiB, 1 unresolvable; compiled 2026-11-23 14:30 UTC, 4 days ago",
        "from https://s3.example.org (region eu-central-1, credentials: SSO of profile p)",
        "to /out/PRID001",
    ]


def test_many_destinations_should_be_counted_and_a_plan_without_a_date_say_so() -> None:
    projects = [planned_raw_file(f"{name}.raw", project_id=f"PRID{name}") for name in "abcd"]
    plan: Plan = replace(make_plan(*projects), created_at=None)
    first, _, last = start_lines(plan, "<stdin>", S3, NOW)
    assert first == "<stdin>: 4 files of 4 raw files, 12 B; it does not say when it was made"
    assert last == "to /out, 4 destinations below it"
    future, _, _ = start_lines(replace(plan, created_at="2026-11-29T12:00:00Z"), "p", S3, NOW)
    assert future.endswith("compiled 2026-11-29 12:00 UTC, in the future: one of the clocks is wrong")
