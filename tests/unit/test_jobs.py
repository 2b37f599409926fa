"""How many jobs run at once."""

import resource

import pytest

from applier.restore.jobs import DEFAULT_JOBS, SMALL_FILE_JOBS, allowed_jobs, default_jobs
from schemas.etag import MIB
from schemas.plan import PlanTotals


@pytest.mark.parametrize(
    ("totals", "expected"),
    [
        (PlanTotals(files=300, size_bytes=300 * MIB), SMALL_FILE_JOBS),
        (PlanTotals(files=300, size_bytes=300 * MIB + 1), DEFAULT_JOBS),
        (PlanTotals(files=3, size_bytes=10, unknown_sizes=1), DEFAULT_JOBS),
        (PlanTotals(files=3, size_bytes=10), 3),
        (PlanTotals(files=1, size_bytes=8 * MIB), 9),
        (PlanTotals(), 1),
    ],
    ids=["small", "large", "unknown", "few", "one", "none"],
)
def test_as_many_jobs_should_suit_a_plan_as_have_something_to_do(totals: PlanTotals, expected: int) -> None:
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
        (None, 3, 100_000, 3, False),
        (None, 3, 32 + 7 * 2, 2, True),
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
