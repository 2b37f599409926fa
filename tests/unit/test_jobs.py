"""How many jobs run at once."""

import resource

import pytest

from applier.restore.jobs import DEFAULT_JOBS, SMALL_FILE_JOBS, allowed_jobs, default_jobs
from schemas.etag import MIB
from schemas.plan import PlanTotals


@pytest.mark.parametrize(
    ("totals", "expected"),
    [
        (PlanTotals(files=3, size_bytes=3 * MIB), SMALL_FILE_JOBS),
        (PlanTotals(files=3, size_bytes=3 * MIB + 1), DEFAULT_JOBS),
        (PlanTotals(files=3, size_bytes=10, unknown_sizes=1), DEFAULT_JOBS),
    ],
    ids=["small", "large", "unknown"],
)
def test_more_jobs_should_suit_a_plan_whose_files_are_known_to_be_small(totals: PlanTotals, expected: int) -> None:
    assert default_jobs(totals) == expected


def with_open_files(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    limits = {resource.RLIMIT_NOFILE: (most, most), resource.RLIMIT_AS: (resource.RLIM_INFINITY,) * 2}
    monkeypatch.setattr(resource, "getrlimit", limits.__getitem__)


@pytest.mark.parametrize(
    ("asked_for", "by_default", "open_files", "expected", "says"),
    [
        (None, SMALL_FILE_JOBS, 100_000, SMALL_FILE_JOBS, False),
        (None, SMALL_FILE_JOBS, 32 + 7 * 100, 100, False),  # nobody asked for more, and it is as many as ever
        (None, SMALL_FILE_JOBS, 32 + 7 * 20, 20, True),
        (128, DEFAULT_JOBS, 32 + 7 * 100, 100, True),
        (3, SMALL_FILE_JOBS, 100_000, 3, False),
    ],
)
def test_limits_should_allow_fewer_jobs_and_say_so_where_that_is_fewer_than_expected(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    asked_for: int | None,
    by_default: int,
    open_files: int,
    expected: int,
    says: bool,
) -> None:
    with_open_files(monkeypatch, open_files)

    assert allowed_jobs(asked_for, by_default) == expected
    assert ("jobs at once" in caplog.text) == says
