"""Files in each other's way as errors: everything else stays as it was, and the message says what to do."""

from dataclasses import replace

import pytest
from plan_samples import OTHER_MD5, make_plan, plan_bytes, planned_file, planned_raw_file, unresolved_raw_file

from planner.select_plan import Selection, select_from_plan
from schemas.paths import folded_path
from schemas.plan import PlannedFile, UnresolvedFile
from schemas.plan_conflicts import explain_one_file, refuse_one_file, with_conflicts_as_errors
from schemas.plan_file import read_plan
from schemas.plan_rules import find_conflicts

PLAN = read_plan(
    plan_bytes(
        make_plan(
            planned_raw_file("a.d", planned_file("a.d/X"), planned_file("a.d/x", OTHER_MD5), planned_file("a.d/y")),
            unresolved_raw_file("gone"),
            planned_raw_file("b.raw"),
        )
    ),
    "plan.json",
)
FOLDED = find_conflicts(PLAN, folded_path)


def test_only_files_in_conflict_should_become_errors() -> None:
    checked = with_conflicts_as_errors(PLAN, FOLDED, explain_one_file)
    upper, lower, other = checked.raw_files[0].files
    assert isinstance(upper, UnresolvedFile)
    assert isinstance(lower, UnresolvedFile)
    assert upper.error == "Conflicts with a.d: a.d/x (the file system makes one file of both names)"
    assert lower.error == "Conflicts with a.d: a.d/X (the file system makes one file of both names)"
    assert (upper.s3_key, upper.expected_etag) == ("a.d/X", planned_file().expected_etag)
    assert isinstance(other, PlannedFile)
    assert checked.raw_files[1:] == PLAN.raw_files[1:]
    assert checked.plan_digest == PLAN.plan_digest
    assert find_conflicts(checked, folded_path) == []


def test_a_plan_without_conflicts_should_stay_as_it_is() -> None:
    assert with_conflicts_as_errors(PLAN, find_conflicts(PLAN)) is PLAN


@pytest.mark.parametrize("name", ["x", "it's [1]*?.bin", "new\nline"])
def test_the_message_should_name_the_pairs_and_a_selection_that_helps(name: str) -> None:
    files = (planned_file(f"a.d/{name.upper()}"), planned_file(f"a.d/{name}", OTHER_MD5))
    plan = replace(make_plan(), raw_files=(planned_raw_file("a.d", *files),))
    message = refuse_one_file(find_conflicts(plan, folded_path))
    assert "--skip-conflicts" in message
    assert "--output-root DIR" in message
    assert message.count("\n") == 3
    pattern = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in f"a.d/{name.upper()}")
    assert f"kraken-plan select PLAN --exclude {pattern[:6]}" in message.replace("'", "")
    left = select_from_plan(plan, Selection(exclude=(pattern,)))
    assert [file.relative_path for _, file in left.planned_files()] == [f"a.d/{name}"]


def test_many_pairs_should_be_counted_and_some_named() -> None:
    upper = [planned_file(f"a.d/F{number}") for number in range(30)]
    lower = [planned_file(f"a.d/f{number}", OTHER_MD5) for number in range(30)]
    files = [*upper, *lower]
    message = refuse_one_file(find_conflicts(make_plan(planned_raw_file("a.d", *files)), folded_path))
    assert "60 files" in message
    assert "… and 40 more" in message
