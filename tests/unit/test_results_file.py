"""What `apply --results` writes is read back as it was, and nothing else is taken for it."""

import io
import json
import logging
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_samples import JsonObject, make_plan, planned_file, planned_raw_file

from schemas.errors import ResultsError
from schemas.plan import UnresolvedFile
from schemas.results import (
    Failure,
    FailureKind,
    FileResult,
    Outcome,
    RawFileResult,
    RecordedFile,
    RecordedRawFile,
    RecordedRun,
    RunHead,
)
from schemas.results_file import MAX_LINE_BYTES, file_line, head_line, load_results, raw_file_line, read_results

STARTED_AT = datetime(2026, 11, 24, 6, 0, 0, tzinfo=UTC)
PLAN = make_plan(planned_raw_file("s.d", planned_file("s.d/a"), planned_file("s.d/b")))
(RAW_FILE,) = PLAN.raw_files
DIGEST = "sha256:" + "0" * 64
HEAD = head_line(
    RunHead(
        plan_digest=DIGEST,
        output_location="/out",
        started_at=STARTED_AT,
        host="node-7",
        user="me",
        options=("--jobs 4",),
    )
)
SKIPPED = FileResult(relative_path="s.d/a", outcome=Outcome.SKIPPED, size_bytes=3, duration_seconds=0.5)
LINE = file_line(RAW_FILE, planned_file("s.d/a"), SKIPPED)


def read(text: str | bytes) -> list[RecordedRun]:
    return read_results(io.BytesIO(text.encode() if isinstance(text, str) else text), "r")


def read_one(text: str | bytes) -> RecordedRun:
    (run,) = read(text)
    return run


failures = st.builds(
    Failure, st.sampled_from([kind for kind in FailureKind if "{}" in kind.value]), st.text(max_size=30)
) | st.sampled_from([Failure(FailureKind.INTERRUPTED), Failure(FailureKind.NOT_ATTEMPTED)])


@settings(max_examples=40)
@given(failures, st.none() | st.integers(0, 2**63 - 1), st.none() | st.text(st.characters(codec="utf-8")))
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
    run = read_one("".join([HEAD, *lines, raw_file_line(whole)]))

    # then
    assert (run.head.started_at, run.head.host) == (STARTED_AT, "node-7")
    assert (run.head.plan_digest, run.head.output_location) == (DIGEST, "/out")
    *files, failed = run.lines
    for result, recorded in zip(results, files, strict=True):
        assert isinstance(recorded, RecordedFile)
        assert recorded.raw_file_id == "s.d"
        assert recorded.absolute_dest_path == "/out/PRID001/s.d/a\n"
        assert recorded.expected_etag == planned_file().expected_etag
        assert recorded.chunk_size_mb == 5
        said = recorded.result
        assert (said.relative_path, said.outcome, said.size_bytes) == ("s.d/a\n", result.outcome, size)
        assert (said.duration_seconds, said.corrupt_copy) == (1.25, corrupt_copy)
        assert (said.failure and said.failure.message) == (result.failure and result.failure.message)
        assert (said.failure and said.failure.kind) == (result.failure and result.failure.kind)
    assert isinstance(failed, RecordedRawFile)
    assert (failed.raw_file_id, failed.failure.message) == ("x", failure.message)


def test_a_file_that_was_not_resolved_should_be_recorded_with_what_is_known() -> None:
    file = UnresolvedFile(relative_path="s.d/c", error="no etag")
    result = FileResult(
        relative_path="s.d/c", outcome=Outcome.FAILED, failure=Failure(FailureKind.UNRESOLVED, "no etag")
    )
    (recorded,) = read_one(HEAD + file_line(RAW_FILE, file, result)).lines
    assert isinstance(recorded, RecordedFile)
    assert (recorded.absolute_dest_path, recorded.expected_etag, recorded.chunk_size_mb) == (None, None, None)


@pytest.mark.parametrize("kept", [0, 1, 10, len(HEAD) - 1, len(HEAD), len(HEAD) + 1, len(HEAD + LINE) - 1])
def test_whatever_a_kill_leaves_should_be_read(kept: int, caplog: pytest.LogCaptureFixture) -> None:
    """A run that is killed may leave any beginning of its file; only the line end of the last line may be missing."""
    caplog.set_level(logging.WARNING)
    runs = read((HEAD + LINE).encode()[:kept])
    assert [len(run.lines) for run in runs] == ([kept >= len(HEAD + LINE) - 1] if kept >= len(HEAD) - 1 else [])
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
        (HEAD + LINE + changed(HEAD, started_at=...), "line 3: started_at is missing"),
        (HEAD + "{}\n", "line 2: raw_file_id is missing"),
        (changed(HEAD, output_location="/a/../b"), "line 1: output_location is /a/../b: it has the component '..'"),
        (changed(HEAD, host=7), "line 1: host is 7, expected a string or null"),
        (HEAD + changed(LINE, size_bytes=-1), "line 2: size_bytes is -1, expected a whole number or null"),
        (HEAD + changed(LINE, size_bytes=10**400), "line 2: size_bytes is 1000"),
        (HEAD + changed(LINE, duration_seconds=10**400), "line 2: duration_seconds is 1000"),
        (HEAD + LINE.replace("0.5", "1e999"), "line 2: duration_seconds is Infinity, expected a number of seconds"),
        (HEAD + LINE.replace("0.5", "9" * 5000), "line 2: not JSON: a number that no file has"),
        (HEAD + changed(LINE, size_bytes=[1]), "line 2: size_bytes is an array"),
        (HEAD + changed(LINE, relative_path={}), "line 2: relative_path is an object"),
        (HEAD + changed(LINE, corrupt_copy="\ud800"), "line 2: not JSON: 'utf-8' codec can't encode"),
        (HEAD + changed(LINE, message="x" * MAX_LINE_BYTES), "line 2 is longer than any"),
        ("\0" * 10 + "\n", "line 1: not JSON"),
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
        read(text)
    assert str(refused.value).startswith(f"r: {words}")


def test_results_of_a_later_minor_version_should_be_read_without_what_it_added() -> None:
    text = changed(HEAD, results_version="1.7", new=1) + changed(LINE, another=[])
    assert read_one(text).lines == read_one(HEAD + LINE).lines


def test_the_files_of_several_runs_should_be_joined_with_cat(caplog: pytest.LogCaptureFixture) -> None:
    """Also where a kill has cut off the last line of the first, anywhere."""
    other = changed(HEAD, host="node-8")
    for kept in (len(HEAD + LINE), len(HEAD + LINE) - 1, len(HEAD + LINE) - 5, len(HEAD) + 1):
        caplog.clear()
        first, second = read((HEAD + LINE)[:kept] + other + LINE + LINE)
        assert (first.name, first.head.host, second.head.host) == ("r", "node-7", "node-8")
        assert second.name == ("r (from line 3)" if kept == len(HEAD + LINE) else "r (from line 2)")
        assert (len(first.lines), len(second.lines)) == (kept >= len(HEAD + LINE) - 1, 2)
        assert ("cut off" in caplog.text) == (kept < len(HEAD + LINE) - 1)
    for kept in range(len(HEAD) - 1):
        assert [run.head.host for run in read(HEAD[:kept] + other)] == ["node-8"]


def test_a_head_in_a_name_should_be_taken_for_a_name() -> None:
    strange = planned_file("s.d/" + HEAD)
    result = FileResult(relative_path=strange.relative_path, outcome=Outcome.SKIPPED)
    (recorded,) = read_one(HEAD + file_line(RAW_FILE, strange, result)).lines
    assert isinstance(recorded, RecordedFile)
    assert recorded.result.relative_path == strange.relative_path


def test_results_of_a_version_without_a_host_should_be_read() -> None:
    assert read_one(changed(HEAD, host=...)).head.host is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
keys = st.sampled_from([*json.loads(LINE), *json.loads(HEAD)])
records = st.dictionaries(keys, json_values, max_size=3)


@given(st.lists(st.tuples(st.sampled_from([HEAD, LINE]), records), max_size=4), st.integers(0), st.binary(max_size=6))
def test_nothing_but_our_error_should_come_out_of_any_results(
    lines: list[tuple[str, JsonObject]], place: int, spoilt: bytes
) -> None:
    content = "".join(json.dumps(json.loads(line) | changes) + "\n" for line, changes in lines).encode()
    place %= len(content) + 1
    for text in (content, content[:place] + spoilt + content[place + len(spoilt) :], content[:place]):
        with suppress(ResultsError):
            read(text)


def test_what_cannot_be_read_should_be_named(tmp_path: Path) -> None:
    for path, reason in (("none", "there is no such results file"), ("", "Is a directory"), ("a\0b", "null byte")):
        with pytest.raises(ResultsError, match=reason):
            load_results(f"{tmp_path}/{path}")
    with pytest.raises(ResultsError, match="line 1 is longer than any"):
        load_results("/dev/zero")
