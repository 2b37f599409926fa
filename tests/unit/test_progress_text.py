"""The line that shows progress: what it says, and that it fits."""

from dataclasses import replace

import pytest

from applier.s3.outage import Silence
from kraken_plan.screen.run_counts import RunState
from kraken_plan.views.progress_text import progress_line, progress_record
from schemas.tally import Amount, Fate, Tally

MIB = 1024 * 1024
BUSY = RunState(
    tally=Tally(
        {
            Fate.DOWNLOADED: Amount(20, 400 * MIB),
            Fate.ALREADY_RIGHT: Amount(10, 360 * MIB),
            Fate.FAILED: Amount(9, 100 * MIB),
            Fate.NOT_ATTEMPTED: Amount(14, 100 * MIB),
        }
    ),
    total_bytes=960 * MIB,
    verified_bytes=760 * MIB,
    fetched_bytes=400 * MIB,
    fetched_per_second=105.0 * MIB,
    hashed_per_second=105.0 * MIB,
    seconds=10.0,
    seconds_left=12.0,
    idle_seconds=0.0,
    silence=None,
    checked=None,
    thawing=0,
    has_ended=False,
)
COUNTS, SIZES = "30 verified, 9 failed, 14 to go", "760.0 MiB of 960.0 MiB"
IDLE = replace(BUSY, fetched_per_second=0.0, hashed_per_second=0.0, seconds_left=None)
LARGE = replace(
    BUSY,
    tally=Tally({Fate.HEALED: Amount(1_030_000, 1), Fate.FAILED: Amount(9_000), Fate.NOT_ATTEMPTED: Amount(140_000)}),
)


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (BUSY, f"{COUNTS} · {SIZES} · 105.0 MiB/s · 0:12 left"),
        (replace(IDLE, idle_seconds=7.0), f"{COUNTS} · {SIZES} · nothing came for 0:07"),
        (replace(IDLE, hashed_per_second=700.0 * MIB), f"{COUNTS} · {SIZES} · hashing 700.0 MiB/s"),
        (replace(IDLE, silence=Silence(40.2, 259.8)), f"{COUNTS} · {SIZES} · S3 failing for 0:40, giving up in 4:20"),
        (replace(IDLE, silence=Silence(8.0, None)), f"{COUNTS} · {SIZES} · S3 failing for 0:08, retrying"),
        (replace(IDLE, thawing=3), f"{COUNTS} · {SIZES} · waiting for 3 files that S3 is thawing"),
        (replace(BUSY, checked=12), f"12 of 53 checked · {SIZES} · 105.0 MiB/s · 0:12 left"),
        (replace(IDLE, has_ended=True), f"30 verified, 9 failed, 14 not attempted · {SIZES}"),
    ],
)
def test_the_line_should_say_how_far_a_run_has_come(state: RunState, line: str) -> None:
    assert progress_line(state) == line


@pytest.mark.parametrize(
    "state", [BUSY, LARGE, replace(IDLE, silence=Silence(4000.0, 70000.0)), replace(LARGE, thawing=1_000_000)]
)
def test_the_line_should_fit_any_terminal_and_say_what_went_wrong(state: RunState) -> None:
    for width in range(39, 201):
        line = progress_line(state, width)
        assert 0 < len(line) <= width
        if state.silence is not None:
            assert "S3 failing for 1:06:40" in line
        elif state.thawing:
            assert "1,000,000" in line
        else:
            assert "failed" in line
        assert not line.endswith((",", "·", " "))


def test_a_wider_terminal_should_never_show_less() -> None:
    lengths = [len(progress_line(BUSY, width)) for width in range(39, 201)]
    assert lengths == sorted(lengths)
    assert (lengths[0], lengths[-1]) == (len(COUNTS), len(progress_line(BUSY)))


def test_the_record_should_add_up() -> None:
    record = progress_record(BUSY)
    assert record == {
        "entries": 53,
        "verified": 30,
        "failed": 9,
        "unresolvable": 0,
        "to_go": 14,
        "verified_bytes": 760 * MIB,
        "total_bytes": 960 * MIB,
        "fetched_bytes": 400 * MIB,
        "fetched_bytes_per_second": 105 * MIB,
        "hashed_bytes_per_second": 105 * MIB,
        "seconds": 10.0,
        "seconds_left": 12.0,
        "s3_failing_seconds": None,
        "s3_given_up_in_seconds": None,
        "files_thawing": 0,
        "has_ended": False,
    }
    assert progress_record(replace(BUSY, has_ended=True))["not_attempted"] == 14
