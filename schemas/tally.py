"""Counts how the entries of a plan ended: the one arithmetic of everything that people and programs read.

An entry is a file of the plan, or a raw file that the plan could not resolve as a whole. Each has exactly one fate, so
verified + failed + unresolvable + not attempted = entries, in numbers and in bytes.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import assert_never

from schemas.plan import Plan
from schemas.results import ApplyResult, FailureKind, FileResult, Outcome, RawFileResult
from schemas.text import counted


class Fate(Enum):
    """What became of an entry of a plan."""

    DOWNLOADED = "downloaded"
    HEALED = "healed"
    ALREADY_RIGHT = "already right"
    FAILED = "failed"
    UNRESOLVABLE = "unresolvable"
    NOT_ATTEMPTED = "not attempted"

    @property
    def word(self) -> str:
        """The word of the vocabulary: verified, failed, unresolvable or not attempted."""
        return "verified" if self in VERIFIED_FATES else self.value


VERIFIED_FATES = (Fate.DOWNLOADED, Fate.HEALED, Fate.ALREADY_RIGHT)


def fate_of_failure(kind: FailureKind) -> Fate:
    """Return the fate of an entry that is not verified."""
    match kind:
        case FailureKind.UNRESOLVED:
            return Fate.UNRESOLVABLE
        case FailureKind.INTERRUPTED | FailureKind.NOT_ATTEMPTED:
            return Fate.NOT_ATTEMPTED
        case _:
            return Fate.FAILED


def fate_of_file(result: FileResult) -> Fate:
    """Return the fate of a file."""
    match result.outcome:
        case Outcome.DOWNLOADED:
            return Fate.DOWNLOADED
        case Outcome.HEALED:
            return Fate.HEALED
        case Outcome.SKIPPED:
            return Fate.ALREADY_RIGHT
        case Outcome.FAILED:
            return Fate.FAILED if result.failure is None else fate_of_failure(result.failure.kind)
        case _:
            assert_never(result.outcome)


@dataclass(frozen=True, slots=True)
class Amount:
    """So many entries, of so many bytes as far as their sizes are known."""

    entries: int = 0
    size_bytes: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.entries + other.entries, self.size_bytes + other.size_bytes)


@dataclass(frozen=True, slots=True)
class Tally:
    """How many entries met which fate, and how many bytes they are.

    Args:
        amounts: by fate; those without an entry may be left out.
    """

    amounts: Mapping[Fate, Amount] = field(default_factory=dict)

    @classmethod
    def of(cls, result: ApplyResult) -> "Tally":
        """Count the entries of a run."""
        return cls.of_raw_files(result.raw_files)

    @classmethod
    def of_raw_files(cls, raw_files: Iterable[RawFileResult]) -> "Tally":
        """Count the entries of some raw files of a run, such as those of one destination."""
        return cls._sum(piece for raw_file in raw_files for piece in _pieces(raw_file))

    @classmethod
    def of_entries(cls, entries: Iterable[tuple[Fate, int | None]]) -> "Tally":
        """Count entries, each given by its fate and its size; None where that is not known."""
        return cls._sum((fate, Amount(1, size_bytes or 0)) for fate, size_bytes in entries)

    @classmethod
    def of_plan(cls, plan: Plan) -> "Tally":
        """Count the entries of a plan before anything is attempted."""
        totals = plan.totals()
        unresolvable = Amount(totals.skipped_files + totals.skipped_raw_files, totals.skipped_bytes)
        return cls({Fate.NOT_ATTEMPTED: Amount(totals.files, totals.size_bytes), Fate.UNRESOLVABLE: unresolvable})

    @classmethod
    def _sum(cls, pieces: Iterable[tuple[Fate, Amount]]) -> "Tally":
        entries, sizes = dict.fromkeys(Fate, 0), dict.fromkeys(Fate, 0)
        for fate, amount in pieces:
            entries[fate] += amount.entries
            sizes[fate] += amount.size_bytes
        return cls({fate: Amount(entries[fate], sizes[fate]) for fate in Fate})

    def __getitem__(self, fate: Fate) -> Amount:
        return self.amounts.get(fate, Amount())

    @property
    def verified(self) -> Amount:
        """What is now byte for byte what the plan says: downloaded, healed or right already."""
        return self[Fate.DOWNLOADED] + self[Fate.HEALED] + self[Fate.ALREADY_RIGHT]

    @property
    def failed(self) -> Amount:
        """What was attempted, or could not be, and is not verified."""
        return self[Fate.FAILED]

    @property
    def unresolvable(self) -> Amount:
        """What the plan itself could not resolve, and says why."""
        return self[Fate.UNRESOLVABLE]

    @property
    def not_attempted(self) -> Amount:
        """What the run did not get to."""
        return self[Fate.NOT_ATTEMPTED]

    @property
    def total(self) -> Amount:
        """All entries of the plan."""
        return self.verified + self.failed + self.unresolvable + self.not_attempted

    @property
    def all_verified(self) -> bool:
        """Whether every entry is verified."""
        return self.verified.entries == self.total.entries

    def describe(self) -> str:
        """Return the sum in words, always with all four.

        >>> Tally.of_entries([(Fate.HEALED, 5), (Fate.FAILED, None)]).describe()
        '2 entries: 1 verified, 1 failed, 0 unresolvable, 0 not attempted'
        """
        sums = ", ".join(f"{amount.entries:,} {word}" for word, amount in self._words())
        return f"{counted(self.total.entries, 'entry')}: {sums}"

    def as_record(self) -> dict[str, int]:
        """Return the sums for JSON: every word of the vocabulary, its bytes, and what the verified ones consist of."""
        words = {"entries": self.total, **dict(self._words()), **{fate.value: self[fate] for fate in VERIFIED_FATES}}
        names = {word.replace(" ", "_"): amount for word, amount in words.items()}
        counts = {name: amount.entries for name, amount in names.items()}
        return {**counts, **{f"{name}_bytes": amount.size_bytes for name, amount in names.items()}}

    def _words(self) -> Iterator[tuple[str, Amount]]:
        yield "verified", self.verified
        for fate in (Fate.FAILED, Fate.UNRESOLVABLE, Fate.NOT_ATTEMPTED):
            yield fate.word, self[fate]


def _pieces(raw_file: RawFileResult) -> Iterator[tuple[Fate, Amount]]:
    """Yield the entries of a raw file; where it failed as a whole, together."""
    if raw_file.failure is None:
        yield from ((fate_of_file(file), Amount(1, file.size_bytes or 0)) for file in raw_file.files)
    elif (fate := fate_of_failure(raw_file.failure.kind)) is Fate.UNRESOLVABLE:
        yield fate, Amount(1)
    else:  # its bucket cannot be used, say: what the plan could not resolve is no part of that
        yield Fate.UNRESOLVABLE, Amount(raw_file.unresolved_files, raw_file.unresolved_bytes)
        yield fate, Amount(raw_file.planned_files - raw_file.unresolved_files, raw_file.planned_bytes)
