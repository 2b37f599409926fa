"""A run summed up: the record that ends its results is read back, and its sums are those of the tally."""

import io
import json
from datetime import UTC, datetime, timedelta

from plan_samples import planned_file, planned_raw_file

from applier.reports.run_summary import RunSummary, count_fetched_bytes
from schemas.results import ApplyResult, Failure, FailureKind, FileResult, Outcome, RawFileResult, RunEnd, RunHead
from schemas.results_file import head_line, read_results, summary_line

BEGIN = datetime(2026, 11, 24, 6, 0, 0, tzinfo=UTC)
HEAD = RunHead(
    plan_digest="sha256:0",
    output_location="/out",
    started_at=BEGIN,
    host="h",
    user="u",
    options=("--jobs 4",),
    approvals=("a",),
)
END = RunEnd(ended_at=BEGIN + timedelta(seconds=20), exit_code=1, fetched_bytes=200, reports=("/out/r.txt",))


def result_of(*files: FileResult) -> ApplyResult:
    raw_file = planned_raw_file("s.d", *(planned_file(file.relative_path) for file in files))
    return ApplyResult(
        plan_digest="sha256:0", output_location="/out", raw_files=(RawFileResult.of(raw_file, files, None),)
    )


def ended(outcome: Outcome, size_bytes: int = 100, parts: int = 1, fetched_parts: int | None = None) -> FileResult:
    md5s = bytes(16 * parts) if parts > 1 else b""
    return FileResult(
        relative_path=f"{outcome.value}{fetched_parts}",
        outcome=outcome,
        size_bytes=size_bytes,
        part_md5s=md5s,
        fetched_parts=fetched_parts,
        failure=Failure(FailureKind.TIMEOUT, "20 s") if outcome is Outcome.FAILED else None,
    )


def test_a_summary_should_be_read_back_as_the_end_of_its_run() -> None:
    # given
    summary = RunSummary.of(result_of(ended(Outcome.DOWNLOADED), ended(Outcome.FAILED)), HEAD, END)

    # when
    (run,) = read_results(io.BytesIO((head_line(HEAD) + summary_line(summary.as_record())).encode()), "r")

    # then
    assert (run.head, run.end, run.lines) == (HEAD, END, ())
    record = json.loads(summary_line(summary.as_record()))
    assert {name: record[name] for name in ("entries", "verified", "failed", "duration_seconds", "succeeded")} == {
        "entries": 2,
        "verified": 1,
        "failed": 1,
        "duration_seconds": 20.0,
        "succeeded": False,
    }
    (cause,) = record["causes"]
    assert (cause["cause"], cause["applying_again_helps"], cause["entries"]) == ("Timed out", "yes", 1)
    assert cause["first"][0]["message"] == "Timed out: 20 s"
    assert summary.fetched_bytes_per_second == 10.0


def test_a_summary_should_tell_an_interruption_from_a_failure() -> None:
    result = result_of(ended(Outcome.SKIPPED))
    ends = {code: RunSummary.of(result, HEAD, RunEnd(ended_at=BEGIN, exit_code=code)) for code in (0, 1, 130, 143)}
    assert {code: summary.succeeded for code, summary in ends.items()} == {0: True, 1: False, 130: False, 143: False}
    assert {code: summary.is_interrupted for code, summary in ends.items()} == {
        0: False,
        1: False,
        130: True,
        143: True,
    }
    assert ends[0].fetched_bytes_per_second == 0


def test_only_what_came_from_s3_should_be_counted_as_fetched() -> None:
    files = [
        ended(Outcome.DOWNLOADED),
        ended(Outcome.HEALED, parts=4, fetched_parts=1),
        ended(Outcome.DOWNLOADED, parts=4, fetched_parts=4),
        ended(Outcome.SKIPPED),
        ended(Outcome.FAILED),
    ]
    assert count_fetched_bytes(result_of(*files)) == 100 + 25 + 100
