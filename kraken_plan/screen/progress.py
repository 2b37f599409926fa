"""Shows how far a run has come: one line that is drawn again on a terminal, a line now and then elsewhere, or JSON.

The only tqdm import, made only for a terminal.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import NoReturn, assert_never

from kraken_plan.console import kept_below, say, write_line, write_on_terminal
from kraken_plan.log_format import json_line, time_text
from kraken_plan.logs import is_quiet, writes_json
from kraken_plan.screen.kinds import ProgressKind
from kraken_plan.screen.run_counts import RunCounts
from kraken_plan.signals import StopRequest
from kraken_plan.views.progress_text import progress_line, progress_record

_DRAW_SECONDS, _JSON_SECONDS, _LINE_SECONDS = 0.25, 1.0, 30.0
_LONGEST_WRITE_SECONDS = 1.0  # for a ticker that is stuck in a write that nobody reads
_USUAL_COLUMNS = 80
# Without wrapping, and with the cursor back at its begin, the line stays one line, and can be erased from there to the
# end of the screen, whatever a terminal does with it when it gets narrower. It is not erased from its first column on:
# in the first row, tmux would take that for clearing the screen, and keep a copy of it.
_ERASE_REST, _NO_WRAP, _WRAP = "\x1b[J", "\x1b[?7l", "\x1b[?7h"
_ERASE = f"\r {_ERASE_REST}\r\x1b[K"


@contextmanager
def shown_progress(counts: RunCounts, kind: ProgressKind, stop: StopRequest) -> Iterator[None]:
    """Show the progress of a run during a block, and tell it on request.

    Args:
        counts: of the run.
        kind: how to show it.
        stop: asks how far the run has come.
    """

    def describe() -> str:
        return progress_line(counts.state())

    stop.describe_progress = describe
    shown: AbstractContextManager[None]
    match _chosen(kind):
        case ProgressKind.BAR:
            shown = _drawn(counts)
        case ProgressKind.JSON:
            shown = _ticking(lambda: _write_record(counts), _JSON_SECONDS)
        case ProgressKind.PLAIN:
            shown = _ticking(lambda: _say_line(describe()), _LINE_SECONDS)
        case ProgressKind.NONE | ProgressKind.AUTO:
            shown = nullcontext()
        case other:
            assert_never(other)
    with shown:
        yield
    if kind is ProgressKind.JSON:
        _write_record(counts)


def _chosen(kind: ProgressKind) -> ProgressKind:
    """Return how progress is shown where that is left to us: quietly, drawn on a terminal, else in lines."""
    if kind is not ProgressKind.AUTO:
        return kind
    if is_quiet():
        return ProgressKind.NONE
    draws = sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    return ProgressKind.BAR if draws else ProgressKind.PLAIN


def _say_line(line: str) -> None:
    """Say a line that stands among those of a log, with the time as they have it."""
    say(line if writes_json() else f"{time_text(time.time())} {line}")


def _write_record(counts: RunCounts) -> None:
    state = counts.state()
    write_line(json_line({"time": time_text(time.time()), "progress": progress_record(state)}))


@contextmanager
def _drawn(counts: RunCounts) -> Iterator[None]:
    """Draw a line at the bottom of the terminal, with all that is said above it, and erase it in the end."""
    line = _BottomLine(counts)
    with kept_below(line) as draw:

        def update() -> None:
            line.look()  # not while drawing: whoever draws may hold locks that this needs
            draw()

        update()
        with _ticking(update, _DRAW_SECONDS):
            yield
        update()


@contextmanager
def _ticking(tick: Callable[[], None], seconds: float) -> Iterator[None]:
    """Do something again and again during a block, whatever else happens; not where no thread can be started."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(seconds):
            tick()

    ticker = threading.Thread(target=run, daemon=True, name="progress")
    try:
        ticker.start()
    except RuntimeError:  # the system starts no more threads: those that restore come first
        yield
        return
    try:
        yield
    finally:
        over.set()
        ticker.join(_LONGEST_WRITE_SECONDS)


class _BottomLine:
    """The line that tqdm draws: how far the run has come.

    Args:
        counts: of the run.
    """

    def __init__(self, counts: RunCounts) -> None:
        from tqdm import tqdm  # noqa: PLC0415  # a run without a terminal does without it

        tqdm.set_lock(threading.RLock())  # its own is for several processes, and loads what those need
        tqdm.monitor_interval = 0
        self._counts, self._state = counts, counts.state()
        self._bar: tqdm[NoReturn] = tqdm(bar_format="{desc}", file=_OneLine(), leave=False, ascii=False)

    def clear(self) -> None:
        """See `LiveLine`."""
        self._bar.set_description_str("")

    def look(self) -> None:
        """Look how far the run has come."""
        self._state = self._counts.state()

    def draw(self) -> None:
        """See `LiveLine`."""
        self._bar.set_description_str(progress_line(self._state, _columns() - 1))


class _OneLine:
    """Takes what tqdm prints, a carriage return and then the line, and keeps it one line."""

    encoding = "utf-8"

    def write(self, text: str) -> None:
        """Draw a line in place of the one before."""
        line = text.strip("\r\n ")
        write_on_terminal(f"\r{_NO_WRAP}{line}{_ERASE_REST}{_WRAP}\r" if line else _ERASE)

    def flush(self) -> None:
        """Do nothing: it is flushed with each line."""


def _columns() -> int:
    """Return the width of the terminal as it is now."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or _USUAL_COLUMNS
    except (OSError, ValueError, AttributeError):
        return _USUAL_COLUMNS
