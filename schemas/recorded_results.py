"""Reads back what `apply --results` wrote: strictly, but for a last line that a kill has cut off."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from schemas.errors import ResultsError
from schemas.results import Failure, FailureKind, FileResult, Outcome
from schemas.results_file import HEAD_BEGINS, RESULTS_VERSION, TIMESTAMP_FORMAT
from schemas.text import printable

logger = logging.getLogger(__name__)

_TEXT, _TEXT_OR_NULL, _NUMBER_OR_NULL = (str,), (str, type(None)), (int, type(None))
_HEAD = {"results_version": _TEXT, "plan_digest": _TEXT, "output_location": _TEXT, "started_at": _TEXT}
_LINE = {
    "raw_file_id": _TEXT,
    "relative_path": _TEXT_OR_NULL,
    "outcome": _TEXT,
    "failure_kind": _TEXT_OR_NULL,
    "message": _TEXT_OR_NULL,
    "size_bytes": _NUMBER_OR_NULL,
    "duration_seconds": (float, int),
    "corrupt_copy": _TEXT_OR_NULL,
    "absolute_dest_path": _TEXT_OR_NULL,
    "expected_etag": _TEXT_OR_NULL,
    "chunk_size_mb": _NUMBER_OR_NULL,
}
_KINDS = {kind.name.lower(): kind for kind in FailureKind}
_OUTCOMES = {outcome.value: outcome for outcome in Outcome}
_JSON_TYPES = {str: "a string", int: "a whole number", float: "a number", type(None): "null"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFile:
    """What a run said of one file, and of which bytes at which place it said so."""

    raw_file_id: str
    absolute_dest_path: str | None
    expected_etag: str | None
    chunk_size_mb: int | None
    result: FileResult


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRawFile:
    """Why a run said that a raw file failed as a whole."""

    raw_file_id: str
    destination_base: str | None
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRun:
    """A results file. `name` is how the user named it; of a run that was killed at once, the head is None."""

    name: str
    head: "RunHead | None"
    files: tuple[RecordedFile, ...] = ()
    failed_raw_files: tuple[RecordedRawFile, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHead:
    """Which plan a run applied, to where, and when it began (UTC)."""

    plan_digest: str
    output_location: str
    started_at: datetime


def load_results(path: str) -> RecordedRun:
    """Return what a results file holds.

    Raises:
        ResultsError: it cannot be read, or is no results file.
    """
    name = printable(path)
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise ResultsError(f"{name}: there is no such results file") from None
    except OSError as error:
        raise ResultsError(f"{name}: the results cannot be read: {error.strerror or error}") from None
    return read_results(content, name)


def read_results(content: bytes, name: str) -> RecordedRun:
    """Return what the content of a results file holds.

    Raises:
        ResultsError: it is no results file; the message names the line.
    """
    records = _records(content, name)
    number, first = next(records, (0, None))
    if first is None:
        logger.warning("%s holds no results: that run was ended before it had any", name)
        return RecordedRun(name=name, head=None)
    head = _head(first, f"{name}: line {number}")
    files, failed = list[RecordedFile](), list[RecordedRawFile]()
    for number, record in records:
        recorded = _recorded(record, f"{name}: line {number}")
        if isinstance(recorded, RecordedFile):
            files.append(recorded)
        else:
            failed.append(recorded)
    return RecordedRun(name=name, head=head, files=tuple(files), failed_raw_files=tuple(failed))


def _records(content: bytes, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each line's number and JSON object."""
    *lines, unended = content.split(b"\n")
    for number, line in enumerate(lines, start=1):
        yield number, _json_object(line, f"{name}: line {number}")
    if not unended:
        return
    number = len(lines) + 1
    try:
        record = _json_object(unended, f"{name}: line {number}")
    except ResultsError:
        if not lines and not HEAD_BEGINS.startswith(unended[: len(HEAD_BEGINS)]):
            raise
        logger.warning("%s: line %s is cut off, as a kill leaves it, and not counted", name, number)
    else:
        yield number, record


def _json_object(line: bytes, place: str) -> dict[str, Any]:
    try:
        record = json.loads(line.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ResultsError(f"{place}: not JSON: {printable(str(error), 200)}") from None
    if not isinstance(record, dict):
        raise ResultsError(f"{place}: expected a JSON object, as `apply --results` writes it")
    return record


def _refuse(literal: str) -> float:
    raise ValueError(f"{literal} is no number")


def _head(record: dict[str, Any], place: str) -> RunHead:
    if "results_version" not in record:
        raise ResultsError(f"{place}: no results_version: this is no file of `apply --results`")
    _check_types(record, _HEAD, place)
    version = record["results_version"]
    if version.partition(".")[0] != RESULTS_VERSION.partition(".")[0]:
        raise ResultsError(f"{place}: results_version is {printable(version)}, this program reads {RESULTS_VERSION}")
    try:
        started_at = datetime.strptime(record["started_at"], TIMESTAMP_FORMAT)  # noqa: DTZ007  # UTC, and only compared
    except ValueError:
        raise ResultsError(f"{place}: started_at is {printable(record['started_at'])}, no time in UTC") from None
    return RunHead(plan_digest=record["plan_digest"], output_location=record["output_location"], started_at=started_at)


def _recorded(record: dict[str, Any], place: str) -> RecordedFile | RecordedRawFile:
    _check_types(record, _LINE, place)
    outcome = _OUTCOMES.get(record["outcome"])
    if outcome is None:
        raise ResultsError(
            f"{place}: outcome is {printable(record['outcome'])}, expected one of {', '.join(_OUTCOMES)}"
        )
    failure = _failure(record, place)
    if outcome.succeeded is not (failure is None):
        raise ResultsError(f"{place}: outcome {outcome.value} does not go with failure_kind {record['failure_kind']}")
    relative_path = record["relative_path"]
    if relative_path is not None:
        return RecordedFile(
            raw_file_id=record["raw_file_id"],
            absolute_dest_path=record["absolute_dest_path"],
            expected_etag=record["expected_etag"],
            chunk_size_mb=record["chunk_size_mb"],
            result=FileResult(
                relative_path=relative_path,
                outcome=outcome,
                failure=failure,
                size_bytes=record["size_bytes"],
                duration_seconds=record["duration_seconds"],
                corrupt_copy=record["corrupt_copy"],
            ),
        )
    if failure is None:
        raise ResultsError(f"{place}: relative_path is null, and yet outcome {outcome.value}")
    return RecordedRawFile(
        raw_file_id=record["raw_file_id"], destination_base=record["absolute_dest_path"], failure=failure
    )


def _failure(record: dict[str, Any], place: str) -> Failure | None:
    name, message = record["failure_kind"], record["message"] or ""
    if name is None:
        return None
    kind = _KINDS.get(name)
    if kind is None:
        raise ResultsError(f"{place}: failure_kind is {printable(name)}, which this program does not know")
    before, _, after = kind.value.partition("{}")
    if not (message.startswith(before) and message.endswith(after)):
        raise ResultsError(f"{place}: the message of a {name} is {printable(message, 200)}, expected {kind.value}")
    return Failure(kind, message[len(before) : len(message) - len(after)])


def _check_types(record: dict[str, Any], expected: Mapping[str, Sequence[type]], place: str) -> None:
    for key, types in expected.items():
        if key not in record:
            raise ResultsError(f"{place}: {key} is missing: was it written by an older version?")
        if type(record[key]) not in types:
            words = " or ".join(_JSON_TYPES[one] for one in types)
            raise ResultsError(f"{place}: {key} is {printable(json.dumps(record[key]), 100)}, expected {words}")
