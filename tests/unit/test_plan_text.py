"""The plan's text, written piece by piece, is what the standard library writes."""

import hashlib
import json

from hypothesis import given
from hypothesis import strategies as st

from schemas.plan_text import indented_json, plan_digest

scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=8)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
)
documents = st.dictionaries(st.text(max_size=4) | st.just("raw_files"), values, min_size=1, max_size=5)


@given(documents)
def test_text_should_be_the_standard_librarys(document: dict[str, object]) -> None:
    expected = json.dumps(document, indent=2, ensure_ascii=False) + "\n"

    assert b"".join(indented_json(document)).decode() == expected


@given(documents)
def test_digest_should_be_over_the_standard_librarys_canonical_json(document: dict[str, object]) -> None:
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    assert plan_digest(document) == f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"
