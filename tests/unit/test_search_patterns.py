"""Shell patterns on ids: the same here as at MongoDB, and never for ever."""

import re
from time import process_time

from hypothesis import example, given
from hypothesis import strategies as st

from planner.search import Search, regex_of_glob


@given(st.text("ab*?[]!-^.\\&", max_size=7), st.text("ab-!]^[\n.\\&", max_size=5))
@example("[b-a]", "a")
@example("a*", "a\n")
def test_a_pattern_should_find_here_what_mongodb_finds(pattern: str, raw_file_id: str) -> None:
    at_mongodb = re.match(regex_of_glob(pattern), raw_file_id, re.DOTALL) is not None
    assert Search(patterns=(pattern,)).matches({"_id": raw_file_id}) == at_mongodb


def test_a_pattern_with_many_stars_should_be_matched_at_once() -> None:
    before = process_time()
    assert not Search(patterns=("*a*a*a*a*a*a*ab",)).matches({"_id": "a" * 60 + ".raw"})
    assert process_time() - before < 1
