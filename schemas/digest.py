"""The plan's digest: what two plans have in common when they ask for the same."""

import hashlib
from collections.abc import Mapping

from schemas.plan_text import canonical_json

# What may differ between two plans that ask for the same.
UNDIGESTED = frozenset({"plan_digest", "created_at", "created_by", "compiled_from"})


def plan_digest(document: Mapping[str, object]) -> str:
    """Return the digest of a plan document: SHA-256 over its canonical JSON (sorted keys, no spaces, UTF-8).

    Raises:
        ValueError: a string holds a lone surrogate, or a number has more than 64 bits.
    """
    digest = hashlib.sha256()
    for piece in canonical_json({name: value for name, value in document.items() if name not in UNDIGESTED}):
        digest.update(piece)
    return f"sha256:{digest.hexdigest()}"
