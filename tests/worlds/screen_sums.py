"""Compares the sums that a run shows with its reports and its plan: every run of every test is looked at."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

_SHOWN = re.compile(
    r"^([\d,]+) raw files?, ([\d,]+) entr(?:y|ies): "
    r"([\d,]+) verified, ([\d,]+) failed, ([\d,]+) unresolvable, ([\d,]+) not attempted$",
    re.MULTILINE,
)
_RAW_FILES = re.compile(r"^Total raw files: (\d+)$", re.MULTILINE)
_FILES = re.compile(r"^Files: (\d+)$", re.MULTILINE)
_FILE_LINE = re.compile(r"^.*?: (?:(OK)|(FAILURE)) - ", re.MULTILINE)
_NOT_ATTEMPTED = re.compile(r"^(?:.*?: FAILURE - |ERROR: )Not attempted", re.MULTILINE)
_ERROR = re.compile(r"^ERROR: (.*)$", re.MULTILINE)
# A raw file fails as a whole for its bucket, and all its files with it, or because the plan could not resolve it.
_BUCKET_FAILS = re.compile(r"(S3 bucket does not exist|Access denied|Network error|Timed out|Unforeseen error)\b")
_RULE = "=" * 80


def assert_sums_agree(arguments: Sequence[str], stdout: str, stderr: str) -> None:
    """Fail if the screen shows other sums than the reports, or than the plan.

    Args:
        arguments: of the run.
        stdout: the paths of its reports are there.
        stderr: its sums are there; nothing is compared if they are not.
    """
    found = _SHOWN.search(stderr)
    reports = [Path(line) for line in stdout.splitlines() if re.search(r"_download_status_batch_[\d_]+\.txt$", line)]
    if found is None or not reports or not all(path.is_file() for path in reports):
        return
    raw_files, entries, verified, failed, unresolvable, not_attempted = (
        int(number.replace(",", "")) for number in found.groups()
    )
    assert verified + failed + unresolvable + not_attempted == entries, found[0]
    if "cannot be written" in stderr:
        return  # a report is missing
    texts = [path.read_text(encoding="utf-8") for path in reports]
    reported = [_count(text) for text in texts]
    assert [sum(column) for column in zip(*reported, strict=True)] == [raw_files, entries, verified, not_attempted], (
        f"the screen and the reports differ: {found[0]}\n{''.join(texts)[:4000]}"
    )
    planned = _unresolvable_in_plan(arguments)
    assert planned in {None, unresolvable}, f"the plan cannot resolve {planned}: {found[0]}"


def _count(report: str) -> tuple[int, int, int, int]:
    """Return the raw files, entries, verified ones and those not attempted that a report has."""
    head, *sections = report.split(f"\n{_RULE}\n")
    raw_files = _RAW_FILES.search(head)
    assert raw_files is not None, report
    entries = verified = not_attempted = 0
    for section in sections[:-1]:
        files = _FILES.search(section)
        assert files is not None, section
        if (error := _ERROR.search(section)) is not None:
            entries += int(files[1]) if _BUCKET_FAILS.match(error[1]) else 1
        lines = _FILE_LINE.findall(section.partition("\n------\n")[2])
        entries += len(lines)
        verified += sum(bool(ok) for ok, _ in lines)
        not_attempted += len(_NOT_ATTEMPTED.findall(section))
    return int(raw_files[1]), entries, verified, not_attempted


def _unresolvable_in_plan(arguments: Sequence[str]) -> int | None:
    """Return how many entries of the plan that was applied cannot be resolved; None where that cannot be told."""
    if "apply" not in arguments or "--skip-conflicts" in arguments:
        return None
    for argument in arguments:
        if argument.endswith(".json") and Path(argument).is_absolute() and Path(argument).is_file():
            try:
                raw_files = json.loads(Path(argument).read_bytes())["raw_files"].values()
            except (ValueError, KeyError, AttributeError):
                return None
            whole = sum(raw_file.get("error") is not None for raw_file in raw_files)
            files = (file for raw_file in raw_files if raw_file.get("error") is None for file in raw_file["files"])
            return whole + sum(file.get("error") is not None for file in files)
    return None
