"""What is counted of a run that is under way: sums that hold at every moment, and the pace of the last seconds."""

from dataclasses import dataclass

from plan_samples import make_plan, planned_file, planned_raw_file, unresolved_raw_file

from applier.s3.outage import Silence
from kraken_plan.screen.run_counts import RunCounts, plan_at_start
from schemas.results import Failure, FailureKind, FileResult, Outcome
from schemas.tally import Amount, Fate, Tally

MIB = 1024 * 1024
PLAN = make_plan(
    planned_raw_file("s.d", *(planned_file(str(number), size=10 * MIB) for number in range(6))),
    unresolved_raw_file(),
)


@dataclass(slots=True)
class Clock:
    """Seconds that pass when a test says so."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def ended(outcome: Outcome, kind: FailureKind | None = None, size: int = 10 * MIB) -> FileResult:
    failure = None if kind is None else Failure(kind)
    return FileResult(relative_path="x", outcome=outcome, failure=failure, size_bytes=size)


def test_the_entries_should_add_up_at_every_moment() -> None:
    # given
    counts = RunCounts(plan_at_start(PLAN))
    told = [
        (ended(Outcome.DOWNLOADED), 1),
        (ended(Outcome.SKIPPED), 2),  # two entries of one destination
        (ended(Outcome.FAILED, FailureKind.NETWORK), 1),
        (ended(Outcome.FAILED, FailureKind.INTERRUPTED), 1),
    ]
    seen = []

    # when
    for result, entries in told:
        if result.outcome.succeeded:
            counts.bytes_verified(10 * MIB)
        counts.file_ended(result, entries)
        state = counts.state()
        seen.append((state.tally.describe(), state.verified_bytes // MIB))

    # then
    assert seen == [
        ("7 entries: 1 verified, 0 failed, 1 unresolvable, 5 not attempted", 10),
        ("7 entries: 3 verified, 0 failed, 1 unresolvable, 3 not attempted", 30),
        ("7 entries: 3 verified, 1 failed, 1 unresolvable, 2 not attempted", 30),
        ("7 entries: 3 verified, 1 failed, 1 unresolvable, 2 not attempted", 30),
    ]
    assert counts.state().total_bytes == 60 * MIB


def test_files_of_a_bucket_that_cannot_be_used_should_have_failed_from_the_start() -> None:
    tally = plan_at_start(PLAN, {"alphakraken-prid001"})
    assert tally.describe() == "7 entries: 0 verified, 6 failed, 1 unresolvable, 0 not attempted"
    assert tally.failed == Amount(6, 60 * MIB)


def test_sizes_that_the_plan_does_not_know_should_count_once_they_are_known() -> None:
    counts = RunCounts(plan_at_start(make_plan(planned_raw_file("s.d", planned_file("a", size=None)))))
    assert counts.state().total_bytes == 0
    counts.bytes_verified(5)
    counts.file_ended(ended(Outcome.DOWNLOADED, size=5))
    assert (counts.state().verified_bytes, counts.state().total_bytes) == (5, 5)


def test_the_rate_should_be_that_of_the_bytes_fetched_in_the_last_seconds() -> None:
    # given ten seconds of fetching 2 MiB a second, while much more is hashed
    clock = Clock()
    counts = RunCounts(plan_at_start(PLAN), clock=clock)
    for _ in range(20):
        clock.now += 0.5
        counts.bytes_fetched(MIB)
        counts.bytes_verified(2 * MIB)
    busy = counts.state()
    assert round(busy.fetched_per_second / MIB, 1) == 2.0
    assert round(busy.hashed_per_second / MIB, 1) == 4.0
    assert busy.seconds_left is not None
    assert 4.5 < busy.seconds_left < 5.5  # 20 MiB of 60 at 4 MiB a second

    # when nothing comes any more
    clock.now += 7

    # then the past counts for nothing, and no end is promised
    idle = counts.state()
    assert (idle.fetched_per_second, idle.hashed_per_second, idle.seconds_left) == (0, 0, None)
    assert idle.idle_seconds == 7
    assert idle.fetched_bytes == 20 * MIB


def test_bytes_that_are_taken_back_should_change_the_sum_and_not_the_pace() -> None:
    counts = RunCounts(plan_at_start(PLAN))
    counts.bytes_verified(8 * MIB)
    pace = counts.state().hashed_per_second
    counts.bytes_verified(-8 * MIB)
    assert counts.state().verified_bytes == 0
    assert counts.state().hashed_per_second > 0.5 * pace > 0


def test_silence_should_not_be_told_of_where_bytes_come() -> None:
    clock = Clock()
    counts = RunCounts(plan_at_start(PLAN), lambda: Silence(9.0, None), clock=clock)
    counts.bytes_fetched(1)
    assert counts.state().silence is None
    clock.now += 10
    assert counts.state().silence == Silence(9.0, None)


def test_the_last_word_should_be_the_result() -> None:
    counts = RunCounts(plan_at_start(PLAN), lambda: Silence(9.0, None))
    counts.bytes_verified(25 * MIB)  # some of it of a file that was interrupted
    counts.end(Tally({Fate.DOWNLOADED: Amount(2, 20 * MIB), Fate.NOT_ATTEMPTED: Amount(4, 40 * MIB)}))
    state = counts.state()
    assert (state.has_ended, state.verified_bytes, state.silence) == (True, 20 * MIB, None)
