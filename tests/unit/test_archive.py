"""What S3 is asked for where it has archived something, and when."""

import threading

import pytest

from applier.s3.archive import Archive, RestoreRequest, ThawWait, Tier
from applier.s3.faults import being_restored
from applier.s3.protocol import current_restore

COPY = 'ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"'


@pytest.mark.parametrize("archive", Archive)
def test_only_archives_that_make_copies_should_be_told_for_how_many_days(archive: Archive) -> None:
    body = RestoreRequest(tier=Tier.BULK, days=12).body(archive).decode()

    assert ("<Days>12</Days>" in body) is (archive in {Archive.GLACIER, Archive.DEEP_ARCHIVE})
    assert "<GlacierJobParameters><Tier>Bulk</Tier></GlacierJobParameters>" in body


@pytest.mark.parametrize("archive", Archive)
def test_deep_archives_should_have_no_expedited_tier(archive: Archive) -> None:
    assert (Tier.EXPEDITED in archive.tiers) is not archive.value.startswith("DEEP")


@pytest.mark.parametrize(
    ("restore", "date", "is_current"),
    [
        (COPY, "Fri, 21 Dec 2012 00:00:00 GMT", False),
        (COPY, "Sat, 22 Dec 2012 00:00:00 GMT", False),
        (COPY, "Thu, 20 Dec 2012 23:59:59 GMT", True),
        (COPY, "", False),
        ('ongoing-request="false", expiry-date="never"', "Sat, 22 Dec 2012 00:00:00 GMT", True),
        ('ongoing-request="true"', "Sat, 22 Dec 2012 00:00:00 GMT", True),
    ],
)
def test_a_copy_should_expire_by_the_clock_of_s3(restore: str, date: str, *, is_current: bool) -> None:
    assert current_restore({"x-amz-restore": restore, "date": date}) == (restore if is_current else "")


@pytest.mark.parametrize(
    ("restore", "is_ongoing"),
    [
        ('ongoing-request="true"', True),
        ("ongoing-request=true", True),
        ('Ongoing-Request = "TRUE"', True),
        (COPY, False),
        ("ongoing-request=false", False),
        ("", None),
        ('ongoing-request="soon"', None),
    ],
)
def test_a_restore_should_be_under_way_however_a_server_writes_it(restore: str, *, is_ongoing: bool | None) -> None:
    assert being_restored(restore) is is_ongoing


class Stop(threading.Event):
    """Time passes only where somebody waits, and is written down."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return self.is_set()


def test_rounds_should_come_ever_less_often_and_end_with_one_when_time_is_over() -> None:
    stop = Stop()

    rounds = list(ThawWait(max_seconds=3600, clock=lambda: sum(stop.waits)).rounds(stop))

    assert stop.waits == [5, 10, 20, 40, 80, 160, 320, 600, 600, 600, 600, 565]
    assert len(rounds) == 1 + len(stop.waits)


def test_there_should_be_one_round_where_nobody_waits_and_none_after_a_stop() -> None:
    assert len(list(ThawWait(max_seconds=0).rounds(Stop()))) == 1
    stop = Stop()
    stop.set()
    assert len(list(ThawWait(max_seconds=100).rounds(stop))) == 1
