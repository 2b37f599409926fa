"""Says in one line how far a run has come, at any width, and as a JSON record for programs. Pure."""

from collections.abc import Iterator, Sequence

from kraken_plan.screen.run_counts import RunState
from schemas.tally import Tally
from schemas.text import counted, human_rate, human_size

_SEPARATOR = " · "


def progress_line(state: RunState, width: int | None = None) -> str:
    """Return how far a run has come: the fullest line that fits.

    Args:
        state: of the run.
        width: the most characters; None for no limit.
    """
    lines = [_SEPARATOR.join(filter(None, parts)) for parts in _lines(state)]
    if width is None:
        return lines[0]
    return next((line for line in lines if len(line) <= width), lines[-1][:width])


def progress_record(state: RunState) -> dict[str, object]:
    """Return how far a run has come, with stable keys: counts add up to `entries`, sizes are bytes, times seconds."""
    tally, silence = state.tally, state.silence
    counts = {"verified": tally.verified, "failed": tally.failed, "unresolvable": tally.unresolvable}
    return {
        "entries": tally.total.entries,
        **{name: amount.entries for name, amount in counts.items()},
        "not_attempted" if state.has_ended else "to_go": tally.not_attempted.entries,
        "verified_bytes": state.verified_bytes,
        "total_bytes": state.total_bytes,
        "fetched_bytes": state.fetched_bytes,
        "fetched_bytes_per_second": round(state.fetched_per_second),
        "hashed_bytes_per_second": round(state.hashed_per_second),
        "seconds": round(state.seconds, 1),
        "seconds_left": _rounded(state.seconds_left),
        "s3_failing_seconds": None if silence is None else round(silence.seconds, 1),
        "s3_given_up_in_seconds": None if silence is None else _rounded(silence.seconds_left),
        "files_thawing": state.thawing,
        "has_ended": state.has_ended,
        **({} if state.checked is None else {"checked": state.checked}),
    }


def clock_text(seconds: float) -> str:
    """Return a time as people read it off a clock.

    >>> clock_text(12.4), clock_text(3599.6), clock_text(360000)
    ('0:12', '1:00:00', '100:00:00')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _lines(state: RunState) -> Iterator[Sequence[str]]:
    """Yield ways to say it, the fullest first."""
    counts = _counts(state)
    sizes = f"{human_size(state.verified_bytes)} of {human_size(state.total_bytes)}"
    if trouble := _trouble(state):
        yield counts, sizes, trouble[0]
        yield counts, trouble[0]
        yield from ((words,) for words in trouble)
    else:
        pace, left = _pace(state), _left(state)
        yield counts, sizes, pace, left
        yield counts, sizes, left or pace
        yield counts, left or pace
        yield (counts,)
        yield (_short_counts(state.tally),)


def _counts(state: RunState) -> str:
    """Return how many entries ended how; what there is none of is left out, but the verified ones."""
    tally = state.tally
    if state.checked is not None:
        return f"{state.checked:,} of {tally.total.entries - tally.unresolvable.entries:,} checked"
    others = ((tally.failed, "failed"), (tally.unresolvable, "unresolvable"))
    words = [f"{tally.verified.entries:,} verified"]
    words += [f"{amount.entries:,} {word}" for amount, word in others if amount.entries]
    if not state.has_ended:
        words.append(f"{tally.not_attempted.entries:,} to go")
    elif tally.not_attempted.entries:
        words.append(f"{tally.not_attempted.entries:,} not attempted")
    return ", ".join(words)


def _short_counts(tally: Tally) -> str:
    """Return the same where there is little room: nothing that went wrong is left out."""
    wrong = tally.failed.entries
    return (
        f"{wrong:,} failed, {tally.not_attempted.entries:,} to go" if wrong else f"{tally.verified.entries:,} verified"
    )


def _trouble(state: RunState) -> Sequence[str]:
    """Return what the run waits for, at length and in short; empty if it waits for nothing."""
    if (silence := state.silence) is not None:
        short = f"S3 failing for {clock_text(silence.seconds)}"
        if silence.seconds_left is None:
            return f"{short}, retrying", short
        return f"{short}, giving up in {clock_text(silence.seconds_left)}", short
    if state.thawing:
        return f"waiting for {counted(state.thawing, 'file')} that S3 is thawing", f"{state.thawing:,} thawing"
    return ()


def _pace(state: RunState) -> str:
    if state.has_ended:
        return ""
    if state.idle_seconds and state.fetched_bytes:
        return f"nothing came for {clock_text(state.idle_seconds)}"
    if state.hashed_per_second > 0 and not state.fetched_per_second:
        return f"hashing {human_rate(state.hashed_per_second)}"
    return human_rate(state.fetched_per_second)


def _left(state: RunState) -> str:
    return "" if state.seconds_left is None else f"{clock_text(state.seconds_left)} left"


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
