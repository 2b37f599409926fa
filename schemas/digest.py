"""The plan's digest: what two plans have in common when they ask for the same."""

import hashlib
import json
from collections.abc import Mapping

# What may differ between two plans that ask for the same.
UNDIGESTED = frozenset({"plan_digest", "created_at", "created_by", "compiled_from"})


def plan_digest(document: Mapping[str, object]) -> str:
    """Return the digest of a plan document: SHA-256 over its canonical JSON (sorted keys, no spaces, UTF-8).

    Raises:
        UnicodeEncodeError: a string holds a lone surrogate and has no UTF-8 form.
    """
    content = {name: value for name, value in document.items() if name not in UNDIGESTED}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"
