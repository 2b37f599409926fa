"""What `apply --results` writes is read back as it was, and nothing else is taken for it."""

import json
import logging
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_samples import JsonObject, make_plan, planned_file, planned_raw_file

from schemas.errors import ResultsError
from schemas.plan import UnresolvedFile
from schemas.recorded_results import read_results
from schemas.results import Failure, FailureKind, FileResult, Outcome, RawFileResult
from schemas.results_file import file_line, head_line, raw_file_line

STARTED_AT = datetime(2026, 11, 24, 6, 0, 0, tzinfo=UTC)
PLAN = make_plan(planned_raw_file("s.d", planned_file("s.d/a"), planned_file("s.d/b")))
(RAW_FILE,) = PLAN.raw_files
DIGEST = "sha256:" + "0" * 64
HEAD = head_line(PLAN, STARTED_AT).replace("null", json.dumps(DIGEST))
SKIPPED = FileResult(relative_path="s.d/a", outcome=Outcome.SKIPPED, size_bytes=3, duration_seconds=0.5)
LINE = file_line(RAW_FILE, planned_file("s.d/a"), SKIPPED)

failures = st.builds(
    Failure, st.sampled_from([kind for kind in FailureKind if "{}" in kind.value]), st.text(max_size=30)
) | st.sampled_from([Failure(FailureKind.INTERRUPTED), Failure(FailureKind.NOT_ATTEMPTED)])


@settings(max_examples=40)
@given(failures, st.none() | st.integers(0), st.none() | st.text(st.characters(codec="utf-8")))
def test_results_should_be_read_back_as_they_were_said(
    failure: Failure, size: int | None, corrupt_copy: str | None
) -> None:
    # given
    results = [
        FileResult(
            relative_path="s.d/a\n",
            outcome=outcome,
            failure=None if outcome.succeeded else failure,
            size_bytes=size,
            duration_seconds=1.25,
            corrupt_copy=corrupt_copy,
        )
        for outcome in Outcome
    ]
    whole = RawFileResult(
        raw_file_id="x", project_id=None, destination_base=None, bucket_name=None, planned_files=1, failure=failure
    )
    lines = [file_line(RAW_FILE, planned_file("s.d/a\n"), result) for result in results]

    # when
    run = read_results("".join([HEAD, *lines, raw_file_line(whole)]).encode(), "r")

    # then
    assert run.head is not None
    assert run.head.started_at.replace(tzinfo=UTC) == STARTED_AT
    assert (run.head.plan_digest, run.head.output_location) == (DIGEST, "/out")
    for result, recorded in zip(results, run.files, strict=True):
        assert recorded.raw_file_id == "s.d"
        assert recorded.absolute_dest_path == "/out/PRID001/s.d/a\n"
        assert recorded.expected_etag == planned_file().expected_etag
        assert recorded.chunk_size_mb == 5
        said = recorded.result
        assert (said.relative_path, said.outcome, said.size_bytes) == ("s.d/a\n", result.outcome, size)
        assert (said.duration_seconds, said.corrupt_copy) == (1.25, corrupt_copy)
        assert (said.failure and said.failure.message) == (result.failure and result.failure.message)
        assert (said.failure and said.failure.kind) == (result.failure and result.failure.kind)
    (failed,) = run.failed_raw_files
    assert (failed.raw_file_id, failed.failure.message) == ("x", failure.message)


def test_a_file_that_was_not_resolved_should_be_recorded_with_what_is_known() -> None:
    file = UnresolvedFile(relative_path="s.d/c", error="no etag")
    result = FileResult(
        relative_path="s.d/c", outcome=Outcome.FAILED, failure=Failure(FailureKind.UNRESOLVED, "no etag")
    )
    (recorded,) = read_results((HEAD + file_line(RAW_FILE, file, result)).encode(), "r").files
    assert (recorded.absolute_dest_path, recorded.expected_etag, recorded.chunk_size_mb) == (None, None, None)


@pytest.mark.parametrize("kept", [0, 1, 10, len(HEAD) - 1, len(HEAD), len(HEAD) + 1, len(HEAD + LINE) - 1])
def test_whatever_a_kill_leaves_should_be_read(kept: int, caplog: pytest.LogCaptureFixture) -> None:
    """A run that is killed may leave any beginning of its file; only the line end of the last line may be missing."""
    caplog.set_level(logging.WARNING)
    run = read_results((HEAD + LINE).encode()[:kept], "r")
    assert len(run.files) == (kept >= len(HEAD + LINE) - 1)
    assert (run.head is not None) == (kept >= len(HEAD) - 1)
    assert ("cut off" in caplog.text) == (kept not in {0, len(HEAD) - 1, len(HEAD), len(HEAD + LINE) - 1})


def changed(line: str, **changes: object) -> str:
    """The line with other values; what is changed to `...` is left out."""
    record: JsonObject = {**json.loads(line), **changes}
    return json.dumps({key: value for key, value in record.items() if value is not ...}) + "\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("notes", "line 1: not JSON"),
        ("[]\n", "line 1: expected a JSON object"),
        ("{}\n", "line 1: no results_version"),
        ("[" * 100_000 + "\n", "line 1: not JSON"),
        (changed(HEAD, results_version="2.0"), "line 1: results_version is 2.0"),
        (changed(HEAD, started_at="yesterday"), "line 1: started_at is yesterday"),
        (changed(HEAD, output_location=...), "line 1: output_location is missing"),
        (HEAD + LINE[:-20] + "\n" + LINE, "line 2: not JSON"),
        (HEAD + LINE + HEAD, "line 3: raw_file_id is missing"),
        (HEAD + changed(LINE, expected_etag=...), "line 2: expected_etag is missing"),
        (HEAD + changed(LINE, size_bytes=True), "line 2: size_bytes is true, expected a whole number or null"),
        (HEAD + changed(LINE, duration_seconds=float("nan")), "line 2: not JSON: NaN"),
        (HEAD + changed(LINE, outcome="fine"), "line 2: outcome is fine, expected one of downloaded"),
        (HEAD + changed(LINE, outcome="failed"), "line 2: outcome failed does not go with failure_kind None"),
        (HEAD + changed(LINE, relative_path=None), "line 2: relative_path is null"),
        (HEAD + changed(LINE, failure_kind="odd", outcome="failed"), "line 2: failure_kind is odd"),
        (
            HEAD + changed(LINE, failure_kind="network", outcome="failed", message="all well"),
            "line 2: the message of a network is all well, expected Network error: {}",
        ),
    ],
)
def test_wrong_results_should_be_refused_with_their_line(text: str, words: str) -> None:
    with pytest.raises(ResultsError) as refused:
        read_results(text.encode(), "r")
    assert str(refused.value).startswith(f"r: {words}")


def test_results_of_a_later_minor_version_should_be_read_without_what_it_added() -> None:
    text = changed(HEAD, results_version="1.7", new=1) + changed(LINE, another=[])
    assert read_results(text.encode(), "r").files == read_results((HEAD + LINE).encode(), "r").files
