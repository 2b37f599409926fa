"""The status of a file, from values alone: every state of S3 and of the local file has its words."""

import pytest
from plan_samples import make_plan, planned_file, planned_raw_file

from applier.disk.space import FileSystemSpace
from applier.look.status import Entry, FileStatus, S3State, Seen, StatusTotals, file_statuses
from applier.restore.check_file import Verdict
from applier.restore.decide import Action, LocalKind, LocalState, decide
from applier.restore.find_object import FoundObject
from applier.restore.preflight import Preflight
from applier.s3.protocol import ObjectInfo
from kraken_plan.views.status_text import group_by_reason, local_word
from schemas.results import Failure, FailureKind
from schemas.s3_location import ObjectLocation
from schemas.tally import Tally

SOURCE = FoundObject(
    location=ObjectLocation(bucket_name="b", key="k"),
    info=ObjectInfo(etag="d8e8fca2dc0f896fd7cb4cb0031ba249", size_bytes=3),
)


def status_of(verdict: Verdict, staged_bytes: int = 0) -> FileStatus:
    (status,) = file_statuses(make_plan(), {0: Seen.of(verdict)}, {0: staged_bytes})
    return status


@pytest.mark.parametrize("kind", [*LocalKind])
def test_every_kind_of_local_file_should_have_its_word_and_what_is_done_with_it(kind: LocalKind) -> None:
    local = LocalState(kind, "a reason")
    status = status_of(Verdict(action=decide(local), source=SOURCE, local=local))
    assert local_word(status) == kind.value
    expected = {
        LocalKind.ABSENT: Action.DOWNLOAD,
        LocalKind.RIGHT: Action.SKIP,
        LocalKind.WRONG: Action.HEAL,
        LocalKind.UNREADABLE: Action.HEAL,
        LocalKind.UNUSABLE: None,
        LocalKind.CHANGING: None,
        LocalKind.UNVERIFIED: Action.VERIFY,
    }
    assert (status.s3, status.action) == (S3State.AS_PLANNED, expected[kind])


def test_what_is_not_right_should_be_grouped_by_reason_and_add_up() -> None:
    # given
    failures = [FailureKind.TIMEOUT, FailureKind.KEY_NOT_FOUND, FailureKind.KEY_NOT_FOUND, FailureKind.UNRESOLVED]
    decisions = [*Action, *(Failure(kind, "x") for kind in failures), Failure(FailureKind.INTERRUPTED)]
    files = [FileStatus(entry=Entry("r", str(place)), decision=end) for place, end in enumerate(decisions)]

    # when
    groups = group_by_reason(files)

    # then
    assert [(group.words, len(group.files), group.is_failure) for group in groups] == [
        ("S3 key not found", 2, True),
        ("Timed out", 1, True),
        ("Unresolvable", 1, True),
        ("Not attempted", 1, True),
        ("Not read", 1, False),
        ("Not there", 1, False),
        ("Not as planned", 1, False),
    ]
    tally = Tally.of_entries((file.fate, None) for file in files)
    assert tally.describe() == "9 entries: 1 verified, 3 failed, 1 unresolvable, 4 not attempted"
    assert sum(len(group.files) for group in groups) == tally.total.entries - tally.verified.entries


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        (FailureKind.S3_CORRUPTION, S3State.DIFFERS),
        (FailureKind.OVERWRITTEN, S3State.DIFFERS),
        (FailureKind.OTHER_PARTS, S3State.DIFFERS),
        (FailureKind.NOT_VERIFIABLE, S3State.DIFFERS),
        (FailureKind.KEY_NOT_FOUND, S3State.MISSING),
        (FailureKind.DELETED, S3State.MISSING),
        (FailureKind.BUCKET_MISSING, S3State.MISSING),
        (FailureKind.ARCHIVED, S3State.ARCHIVED),
        (FailureKind.THAWING, S3State.THAWING),
        (FailureKind.ACCESS_DENIED, S3State.DENIED),
        (FailureKind.NETWORK, S3State.UNREACHABLE),
        (FailureKind.TIMEOUT, S3State.UNREACHABLE),
    ],
)
def test_a_right_local_file_should_be_told_whatever_s3_is(kind: FailureKind, state: S3State) -> None:
    failure = Failure(kind, "a reason")
    status = status_of(Verdict(action=failure, s3_failure=failure, local=LocalState(LocalKind.RIGHT)))
    assert (status.s3, status.local, status.action) == (state, LocalKind.RIGHT, None)
    assert status.detail == failure.message


def test_a_staged_part_should_count_as_fetched() -> None:
    absent = LocalState(LocalKind.ABSENT)
    status = status_of(Verdict(action=Action.DOWNLOAD, source=SOURCE, local=absent), staged_bytes=2)
    assert (local_word(status), status.bytes_to_fetch) == ("staged part", 1)


def test_what_was_not_looked_at_should_be_something_to_do() -> None:
    statuses = list(file_statuses(make_plan(), {}, {}))
    assert [(status.s3, local_word(status)) for status in statuses] == [(S3State.NOT_ASKED, "not looked at")]
    assert not StatusTotals.of(statuses).nothing_to_do


def test_a_plan_should_have_nothing_to_do_exactly_if_every_entry_is_right() -> None:
    right = Seen.of(Verdict(action=Action.SKIP, source=SOURCE, local=LocalState(LocalKind.RIGHT)))
    plan = make_plan(planned_raw_file("a", planned_file("a"), planned_file("b")))
    assert StatusTotals.of(file_statuses(plan, {0: right, 1: right}, {})).nothing_to_do
    assert not StatusTotals.of(file_statuses(plan, {0: right}, {})).nothing_to_do


# --- preflight


def preflight(*failures: FailureKind | None, spaces: tuple[FileSystemSpace, ...] = ()) -> Preflight:
    buckets = {f"bucket-{number}": kind for number, kind in enumerate(failures)}
    return Preflight(
        buckets=tuple(buckets),
        bucket_failures={name: Failure(kind, name) for name, kind in buckets.items() if kind is not None},
        destination_problems=(),
        spaces=spaces,
    )


@pytest.mark.parametrize(
    "failures",
    [
        (),
        (None,),
        (FailureKind.BUCKET_MISSING, None),
        (FailureKind.NETWORK, None),
        (FailureKind.BUCKET_MISSING, FailureKind.ACCESS_DENIED),
    ],
)
def test_what_another_apply_may_get_over_should_not_be_refused(failures: tuple[FailureKind | None, ...]) -> None:
    assert preflight(*failures).problems() == []


@pytest.mark.parametrize("kind", [FailureKind.NETWORK, FailureKind.TIMEOUT, FailureKind.ACCESS_DENIED])
def test_an_s3_of_which_no_bucket_answers_should_be_refused_with_its_name(kind: FailureKind) -> None:
    failure = Failure(kind, "bucket-0").message
    assert preflight(kind).problems(s3_name="https://s3") == [f"S3 cannot be used: https://s3: {failure}"]
    assert preflight(kind, kind, kind).problems() == [f"S3 cannot be used: {failure} (and 2 other buckets likewise)"]


def test_no_bucket_at_all_should_be_refused_in_one_line_of_bounded_length() -> None:
    (problem,) = preflight(*[FailureKind.BUCKET_MISSING] * 25).problems()
    assert problem.startswith("no bucket of the plan exists: bucket-0, bucket-1, ")
    assert " and 5 more: is this the right S3" in problem


@pytest.mark.parametrize(
    ("missing", "free", "enough"), [(100, 110, True), (100, 109, False), (1, 1, False), (0, 0, True), (100, None, True)]
)
def test_a_tenth_more_than_what_is_missing_should_be_free(missing: int, free: int | None, enough: bool) -> None:  # noqa: FBT001  # the expectation
    space = FileSystemSpace(path="/out", missing_bytes=missing, free_bytes=free)
    assert preflight(None, spaces=(space,)).problems() == (
        [] if enough else [f"{space}: make room, restore elsewhere (--output-root DIR), or give --skip-space-check"]
    )
    assert preflight(None, spaces=(space,)).problems(skip_space_check=True) == []
