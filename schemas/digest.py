"""The plan's digest: what two plans have in common when they ask for the same."""

import hashlib
import json
from collections.abc import Iterator, Mapping

# What may differ between two plans that ask for the same.
UNDIGESTED = frozenset({"plan_digest", "created_at", "created_by", "compiled_from"})


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def plan_digest(document: Mapping[str, object]) -> str:
    """Return the digest of a plan document: SHA-256 over its canonical JSON (sorted keys, no spaces, UTF-8).

    Raises:
        UnicodeEncodeError: a string holds a lone surrogate and has no UTF-8 form.
    """
    digest = hashlib.sha256()
    for piece in _canonical_json({name: value for name, value in document.items() if name not in UNDIGESTED}):
        digest.update(piece.encode())
    return f"sha256:{digest.hexdigest()}"


def _canonical_json(document: Mapping[str, object]) -> Iterator[str]:
    """Yield the canonical JSON in pieces, a raw file each, for a whole plan's is large."""
    separator = "{"
    for name in sorted(document):
        value = document[name]
        yield f"{separator}{_ENCODER.encode(name)}:"
        if name == "raw_files" and isinstance(value, dict) and value:
            yield from _canonical_json(value)
        else:
            yield _ENCODER.encode(value)
        separator = ","
    yield "}"
