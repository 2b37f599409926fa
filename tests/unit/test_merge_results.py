"""One result out of several runs: each entry once, the newest word, and never that of other bytes."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_samples import MD5, OTHER_MD5, make_plan, planned_file, planned_raw_file

from applier.reports.merge_results import RestoredFile, check_same_place, merge_results, warn_of_clocks_ahead
from schemas.errors import ResultsError
from schemas.plan import Plan, UnresolvedFile
from schemas.results import (
    Failure,
    FailureKind,
    FileResult,
    Outcome,
    RecordedFile,
    RecordedRawFile,
    RecordedRun,
    RunHead,
)

BIG = f"{MD5}-2"
PLAN = make_plan(
    planned_raw_file(
        "s.d",
        planned_file("s.d/a"),
        planned_file("s.d/big", etag=BIG, size=8_000_000),
        UnresolvedFile(relative_path="s.d/old", error="Not verifiable: no ETag recorded"),
    ),
    planned_raw_file("t.raw"),
    replace(planned_raw_file("gone"), files=(), error="RawFile not found in the catalog"),
)
NOT_ATTEMPTED, INTERRUPTED = Failure(FailureKind.NOT_ATTEMPTED), Failure(FailureKind.INTERRUPTED)
NETWORK = Failure(FailureKind.NETWORK, "reset")


def said(
    relative_path: str, word: Outcome | Failure = Outcome.DOWNLOADED, etag: str = MD5, place: str = "/out/PRID001/"
) -> RecordedFile:
    failure = word if isinstance(word, Failure) else None
    outcome = word if isinstance(word, Outcome) else Outcome.FAILED
    return RecordedFile(
        raw_file_id=relative_path.split("/", maxsplit=1)[0],
        absolute_dest_path=place + relative_path,
        expected_etag=etag,
        chunk_size_mb=5,
        result=FileResult(relative_path=relative_path, outcome=outcome, failure=failure),
    )


def run(
    *lines: RecordedFile | RecordedRawFile, at: int = 0, location: str = "/out", host: str = "a", name: str = ""
) -> RecordedRun:
    started_at = datetime(2026, 1, 1, 0, at, tzinfo=UTC)
    head = RunHead(plan_digest="sha256:0", output_location=location, started_at=started_at, host=host)
    return RecordedRun(name=name or f"run-{at}", head=head, lines=lines)


def words(
    runs: Sequence[RecordedRun], plan: Plan = PLAN, out_of_place: dict[RestoredFile, str] | None = None
) -> dict[str, Outcome | Failure]:
    """What the merged result says of each file, or of each raw file that failed as a whole."""
    result = merge_results(plan, runs).apply_result(out_of_place or {})
    assert [raw_file.raw_file_id for raw_file in result.raw_files] == [raw.raw_file_id for raw in plan.raw_files]
    whole = {raw_file.raw_file_id: raw_file.failure for raw_file in result.raw_files if raw_file.failure}
    return {**{file.relative_path: file.failure or file.outcome for file in result.files()}, **whole}


def test_every_entry_should_be_told_once_with_or_without_a_result() -> None:
    assert words([run(said("s.d/a"), said("s.d/big", etag=BIG))]) == {
        "s.d/a": Outcome.DOWNLOADED,
        "s.d/big": Outcome.DOWNLOADED,
        "s.d/old": Failure(FailureKind.UNRESOLVED, "Not verifiable: no ETag recorded"),
        "t.raw": NOT_ATTEMPTED,
        "gone": Failure(FailureKind.UNRESOLVED, "RawFile not found in the catalog"),
    }
    assert NOT_ATTEMPTED.message == "Not attempted"


@pytest.mark.parametrize(
    ("earlier", "later", "counts"),
    [
        (NETWORK, Outcome.DOWNLOADED, Outcome.DOWNLOADED),
        (Outcome.DOWNLOADED, NETWORK, NETWORK),
        (Outcome.DOWNLOADED, Outcome.SKIPPED, Outcome.SKIPPED),
        (Outcome.DOWNLOADED, INTERRUPTED, Outcome.DOWNLOADED),
        (NETWORK, INTERRUPTED, NETWORK),
        (INTERRUPTED, INTERRUPTED, INTERRUPTED),
        (INTERRUPTED, NETWORK, NETWORK),
    ],
)
def test_the_newest_run_that_has_a_word_should_count(
    earlier: Outcome | Failure, later: Outcome | Failure, counts: Outcome | Failure
) -> None:
    runs = [run(said("s.d/a", earlier), at=1), run(said("s.d/a", later), at=2)]
    assert words(runs)["s.d/a"] == counts
    assert words(runs[::-1])["s.d/a"] == counts


def test_of_runs_of_one_second_the_one_named_last_should_count() -> None:
    runs = [run(said("s.d/a", NETWORK)), run(said("s.d/a"))]
    assert words(runs)["s.d/a"] is Outcome.DOWNLOADED
    assert words(runs[::-1])["s.d/a"] == NETWORK


@pytest.mark.parametrize(
    "strange",
    [
        said("s.d/a", etag=OTHER_MD5),
        said("s.d/a", place="/out/PRID002/"),
        said("s.d/a", place="/"),
        said("s.d/none"),
        said("none"),
        replace(said("s.d/big", etag=BIG), chunk_size_mb=4),
        replace(said("t.raw"), raw_file_id="s.d"),
        said("s.d/old", etag=OTHER_MD5),
    ],
)
def test_a_word_on_other_bytes_or_places_should_never_count(
    strange: RecordedFile, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    assert words([run(said("t.raw"), strange)]) == words([run(said("t.raw"))])
    assert "run-0: 1 of 2 results not of this plan" in caplog.text
    with pytest.raises(ResultsError, match="run-0: none of its 1 result is of this plan"):
        words([run(strange)])


def test_the_chunk_size_should_not_matter_to_a_file_of_one_part() -> None:
    assert words([run(replace(said("s.d/a"), chunk_size_mb=500))])["s.d/a"] is Outcome.DOWNLOADED


def test_runs_below_another_root_should_be_compared_by_their_place_below_it() -> None:
    moved = run(said("s.d/a", place="/mnt/x/PRID001/"), location="/mnt/x")
    assert words([moved])["s.d/a"] is Outcome.DOWNLOADED
    with pytest.raises(ResultsError, match="--output-root /mnt/x"):
        check_same_place(PLAN, [moved])


def test_a_missing_bucket_should_be_said_of_what_nobody_has_a_word_of() -> None:
    failure = Failure(FailureKind.BUCKET_MISSING, "b")
    whole = RecordedRawFile(raw_file_id="s.d", destination_base="/out/PRID001", failure=failure)
    assert words([run(whole)])["s.d"] == failure
    some = words([run(whole, at=2), run(said("s.d/a"), at=1)])
    assert (some["s.d/a"], some["s.d/big"]) == (Outcome.DOWNLOADED, failure)
    with pytest.raises(ResultsError, match="none of its"):
        words([run(replace(whole, destination_base="/out/PRID002"))])


def test_what_the_plan_could_not_resolve_should_be_of_this_plan_whoever_says_so() -> None:
    unresolved = Failure(FailureKind.UNRESOLVED, "no")
    file = replace(said("s.d/old", unresolved), expected_etag=None, absolute_dest_path=None)
    whole = RecordedRawFile(raw_file_id="gone", destination_base=None, failure=unresolved)
    assert words([run(file, whole)]) == words([])


def test_a_run_that_was_killed_at_once_should_say_nothing() -> None:
    assert words([run()]) == words([])


FILES = ["s.d/a", "t.raw"]
OUTCOMES: list[Outcome | Failure] = [Outcome.DOWNLOADED, Outcome.SKIPPED, NETWORK, INTERRUPTED]


@given(st.lists(st.tuples(st.sampled_from(FILES), st.sampled_from(OUTCOMES)), max_size=6), st.randoms())
def test_the_order_of_the_results_files_should_not_matter(
    spoken: list[tuple[str, Outcome | Failure]], random: Random
) -> None:
    runs = [run(said(path, word), at=minute) for minute, (path, word) in enumerate(spoken)]
    shuffled = list(runs)
    random.shuffle(shuffled)
    assert words(shuffled) == words(runs)


def test_a_success_should_say_where_to_look_for_its_file() -> None:
    runs = [run(said("s.d/a"), said("t.raw", NETWORK)), run(said("s.d/big", etag=BIG), at=1)]
    assert list(merge_results(PLAN, runs).successes()) == [
        RestoredFile("/out", "PRID001/s.d/a", 3),
        RestoredFile("/out", "PRID001/s.d/big", 8_000_000),
    ]
    elsewhere = run(said("s.d/a", place="/mnt/x/PRID001/"), location="/mnt/x")
    assert list(merge_results(PLAN, [elsewhere]).successes()) == [RestoredFile("/mnt/x", "PRID001/s.d/a", 3)]
    assert list(merge_results(PLAN, [run(said("s.d/a")), run(said("s.d/a", NETWORK), at=1)]).successes()) == []


def test_a_success_that_is_not_in_place_should_count_as_the_other_run_says() -> None:
    gone = {RestoredFile("/out", "PRID001/s.d/a", 3): "there is no such file now"}
    for other in (NETWORK, Failure(FailureKind.ACCESS_DENIED, "no")):
        assert words([run(said("s.d/a"), at=2), run(said("s.d/a", other), at=1)], out_of_place=gone)["s.d/a"] == other


@pytest.mark.parametrize("other", [(), (said("s.d/a", INTERRUPTED),), (said("s.d/a", Outcome.SKIPPED),)])
def test_a_success_that_is_not_in_place_should_count_as_a_failure(other: tuple[RecordedFile, ...]) -> None:
    gone = {RestoredFile("/out", "PRID001/s.d/a", 3): "there is no such file now"}
    failure = words([run(said("s.d/a"), at=2), run(*other, at=1)], out_of_place=gone)["s.d/a"]
    assert isinstance(failure, Failure)
    assert failure.message == (
        "Not as restored: there is no such file now; run-2 reports it as downloaded. Apply the plan again"
    )


@pytest.mark.parametrize(("minutes", "later"), [(1, "first and second"), (-1, "second and first")])
def test_runs_of_different_hosts_that_disagree_should_be_named(
    minutes: int, later: str, caplog: pytest.LogCaptureFixture
) -> None:
    def warned(host: str, *second: RecordedFile) -> str:
        caplog.clear()
        first = run(said("s.d/a", NETWORK), said("t.raw"), at=5, name="first")
        merge_results(PLAN, [first, run(*second, at=5 + minutes, host=host, name="second")]).warn_of_disagreements()
        return caplog.text

    assert f"{later}, of different hosts, disagree on 1 file" in warned("b", said("s.d/a"), said("t.raw"))
    assert warned("a", said("s.d/a"), said("t.raw")) == ""
    assert warned("b", said("t.raw"), said("s.d/big", etag=BIG)) == ""
    assert warned("b", said("s.d/a", INTERRUPTED), said("t.raw", INTERRUPTED)) == ""


def test_a_run_that_began_in_the_future_should_be_named(caplog: pytest.LogCaptureFixture) -> None:
    now = run().head.started_at
    warn_of_clocks_ahead([run(at=1), run(at=30)], now + timedelta(seconds=1))
    assert "run-1:" not in caplog.text
    assert "run-30: this run began in the future, at 2026-01-01 00:30:00 UTC" in caplog.text
