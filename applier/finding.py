"""Defines a finding: what was looked at before a run, whether it is right, and what to do if not. Pure.

The preflight of `apply` refuses by findings, and `doctor` shows them: one code looks for both.
"""

from dataclasses import dataclass
from enum import Enum

from schemas.errors import KrakenPlanError


class State(Enum):
    """What a look has come to."""

    RIGHT = "right"
    WARNING = "warning"
    """It works, but not as well as it could."""
    WRONG = "wrong"
    UNKNOWN = "unknown"
    """It was not looked at, or could not be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that was looked at.

    Args:
        topic: what it is about, in a word: `catalog`, `bucket`.
        state: what the look has come to.
        words: what was found.
        advice: what to do; empty if nothing.
        stops: whether nothing at all can be restored as things stand.
    """

    topic: str
    state: State
    words: str
    advice: str = ""
    stops: bool = False

    @property
    def line(self) -> str:
        """Return what was found and what to do, in a line."""
        return f"{self.words}: {self.advice}" if self.advice else self.words


def right(topic: str, words: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(topic=topic, state=State.RIGHT, words=words)


def warning(topic: str, words: str, advice: str) -> Finding:
    """Return that something works, but not as well as it could."""
    return Finding(topic=topic, state=State.WARNING, words=words, advice=advice)


def wrong(topic: str, words: str, advice: str = "") -> Finding:
    """Return that something does not work."""
    return Finding(topic=topic, state=State.WRONG, words=words, advice=advice)


def refused(topic: str, error: KrakenPlanError) -> Finding:
    """Return that something is refused, in the error's own words."""
    return Finding(topic=topic, state=State.WRONG, words=str(error), stops=True)


def unknown(topic: str, words: str) -> Finding:
    """Return that something was not looked at, or could not be."""
    return Finding(topic=topic, state=State.UNKNOWN, words=words)
