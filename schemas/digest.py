"""The plan's digest: what two plans have in common when they ask for the same."""

import hashlib
from collections.abc import Iterator, Mapping

import orjson

# What may differ between two plans that ask for the same.
UNDIGESTED = frozenset({"plan_digest", "created_at", "created_by", "compiled_from"})


def plan_digest(document: Mapping[str, object]) -> str:
    """Return the digest of a plan document: SHA-256 over its canonical JSON (sorted keys, no spaces, UTF-8).

    Raises:
        orjson.JSONEncodeError: a string holds a lone surrogate, or a number has more than 64 bits.
    """
    digest = hashlib.sha256()
    for piece in _canonical_json({name: value for name, value in document.items() if name not in UNDIGESTED}):
        digest.update(piece)
    return f"sha256:{digest.hexdigest()}"


def _canonical_json(document: Mapping[str, object]) -> Iterator[bytes]:
    """Yield the canonical JSON in pieces, a raw file each, for a whole plan's is large."""
    separator = b"{"
    for name in sorted(document):
        value = document[name]
        yield separator + orjson.dumps(name) + b":"
        if name == "raw_files" and isinstance(value, dict) and value:
            yield from _canonical_json(value)
        else:
            yield orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        separator = b","
    yield b"}"
