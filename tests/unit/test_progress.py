"""How progress is shown where nothing draws."""

import json
import threading
from collections.abc import Callable

import pytest
from plan_samples import make_plan
from waiting import wait_for

from kraken_plan.screen import progress
from kraken_plan.screen.kinds import ProgressKind
from kraken_plan.screen.progress import shown_progress
from kraken_plan.screen.run_counts import RunCounts, plan_at_start
from kraken_plan.signals import StopRequest

Lines = Callable[[], list[str]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    """What has been written to stderr so far."""
    seen: list[str] = []

    def read() -> list[str]:
        seen.extend(capsys.readouterr().err.splitlines())
        return seen

    return read


def test_lines_should_come_again_and_again_though_nothing_happens(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_LINE_SECONDS", 0.01)
    stop = StopRequest()

    with shown_progress(RunCounts(plan_at_start(make_plan())), ProgressKind.AUTO, stop):
        wait_for(lambda: len(lines()) >= 3, "three lines")

    assert all(line.endswith("Z 0 verified, 1 to go · 0 B of 3 B · 0 B/s") for line in lines())
    assert stop.describe_progress() == "0 verified, 1 to go · 0 B of 3 B · 0 B/s"
    assert "progress" not in {thread.name for thread in threading.enumerate()}


def test_json_should_have_a_last_word_and_none_no_word_at_all(lines: Lines) -> None:
    counts = RunCounts(plan_at_start(make_plan()))
    with shown_progress(counts, ProgressKind.JSON, StopRequest()):
        pass
    with shown_progress(counts, ProgressKind.NONE, StopRequest()):
        pass
    (record,) = map(json.loads, lines())
    assert record["progress"]["entries"] == 1
