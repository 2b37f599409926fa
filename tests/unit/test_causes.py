"""Failures grouped by cause: every entry counted once, and the words those of the documentation."""

import re
from pathlib import Path

import pytest
from plan_samples import planned_file, planned_raw_file, unresolved_raw_file

from applier.reports.causes import cause_of, group_failures, helping_options
from kraken_plan.commands.apply import apply_command
from schemas.results import Failure, FailureKind, FileResult, Outcome, RawFileResult
from schemas.tally import Fate, Tally

FAILURES = (Path(__file__).parents[2] / "docs" / "failures.md").read_text(encoding="utf-8")


def failed(name: str, kind: FailureKind) -> FileResult:
    return FileResult(relative_path=name, outcome=Outcome.FAILED, failure=Failure(kind, name))


def test_failures_should_be_grouped_by_cause_the_most_frequent_first() -> None:
    # given
    kinds = [FailureKind.TIMEOUT, *[FailureKind.NETWORK] * 4, FailureKind.INTERRUPTED, FailureKind.UNRESOLVED]
    files = [planned_file(str(number)) for number in range(len(kinds))]
    one = planned_raw_file("one.d", *files)
    lost = planned_raw_file("lost.d", planned_file("a"), planned_file("b"))
    raw_files = [
        RawFileResult.of(one, [failed(str(number), kind) for number, kind in enumerate(kinds)], None),
        RawFileResult.of(lost, (), Failure(FailureKind.BUCKET_MISSING, "lost")),
        RawFileResult.of(unresolved_raw_file(), (), Failure(FailureKind.UNRESOLVED, "not in the catalog")),
    ]

    # when
    groups = group_failures(raw_files)

    # then
    assert [(group.cause.title, group.entries) for group in groups] == [
        ("Network error", 4),
        ("S3 bucket does not exist", 2),
        ("Timed out", 1),
    ]
    assert [entry.relative_path for entry in groups[0].first] == ["1", "2", "3"]
    assert [(entry.raw_file_id, entry.relative_path) for entry in groups[1].first] == [("lost.d", None)]
    tally = Tally.of_raw_files(raw_files)
    for fate in (Fate.FAILED, Fate.UNRESOLVABLE, Fate.NOT_ATTEMPTED):
        assert sum(group.entries for group in group_failures(raw_files, fate)) == tally[fate].entries > 0


@pytest.mark.parametrize("kind", FailureKind)
def test_the_words_of_a_cause_should_be_those_of_the_documentation(kind: FailureKind) -> None:
    cause = cause_of(kind)
    documented = dict(re.findall(r"\| \[`?([^\]`]+)`?\]\(#failure-[a-z0-9-]+\) \| (.+) \|", FAILURES))
    title = {
        "Unresolvable": "anything else",
        "S3 object was deleted": "S3 key not found: …; the version of …",
        "Archived": "Archived in",
        "Archived, restore under way": "Archived in",
        "Conflicts": "Conflicts with",
    }
    words = documented[title.get(cause.title, cause.title)].replace("`", "")
    assert cause.again.startswith(words)
    assert cause.option is None or cause.option in cause.again


def test_every_option_that_helps_should_be_named_once() -> None:
    kinds = [FailureKind.OVERWRITTEN, FailureKind.DELETED, FailureKind.TIMEOUT, FailureKind.OTHER_PARTS]
    one = planned_raw_file("one.d", *(planned_file(kind.name) for kind in kinds))
    result = RawFileResult.of(one, [failed(kind.name, kind) for kind in kinds], None)

    assert helping_options(group_failures([result])) == ["--recover-versions", "--accept-other-parts"]


@pytest.mark.parametrize("kind", FailureKind)
def test_an_option_that_helps_should_be_one_of_apply(kind: FailureKind) -> None:
    options = {name for option in apply_command.params for name in option.opts}
    assert cause_of(kind).option in {None, *options}
