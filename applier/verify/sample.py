"""Chooses which files a run of `verify` reads: all that its pass has not read yet, or a share of the plan. Pure."""

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

# What a file costs besides its bytes, so that empty files have a weight, too.
_BYTES_PER_FILE = 4096


class Candidate(NamedTuple):
    """A file of the plan: its path below the output location, its size as far as it is known."""

    path: str
    size_bytes: int | None

    @property
    def weight(self) -> int:
        """How much of the plan it is."""
        return (self.size_bytes or 0) + _BYTES_PER_FILE


def choose_sample(unread: Iterable[Candidate], total_weight: int, share: float, pass_id: str) -> frozenset[str]:
    """Return the paths of files that are, together, at least this share of the plan; fewer only where no more are left.

    The order is random, but the same for all runs of a pass: with a share of 5 %, twenty runs read every file.

    Args:
        unread: what the pass has not read yet.
        total_weight: of the whole plan.
        share: above 0, at most 1.
        pass_id: makes the order of this pass.
    """
    wanted = share * total_weight
    chosen: set[str] = set()
    for candidate in sorted(unread, key=lambda file: _random_place(file.path, pass_id)):
        if wanted <= 0:
            break
        chosen.add(candidate.path)
        wanted -= candidate.weight
    return frozenset(chosen)


def _random_place(path: str, pass_id: str) -> bytes:
    return hashlib.sha256(f"{pass_id}/{path}".encode(errors="surrogateescape")).digest()
