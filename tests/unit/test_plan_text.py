"""The plan's text, written piece by piece, is what the standard library writes."""

import json

from hypothesis import given
from hypothesis import strategies as st

from schemas.plan_text import indented_json

scalars = st.none() | st.booleans() | st.integers() | st.text(st.characters(), max_size=8)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(), max_size=4), inner, max_size=4)
    ),
)


@given(values)
def test_text_should_be_the_standard_librarys(value: object) -> None:
    assert "".join(indented_json(value)) == json.dumps(value, indent=2, ensure_ascii=False)
