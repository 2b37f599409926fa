"""Writes and reads the results file of `apply --results`: JSON lines, a head, a line for each file, and a summary.

A run that is killed leaves the head and the lines of what it had finished. A raw file that failed as a whole has one
line, whose `relative_path` is null. A line names the bytes that it is about (`expected_etag`, `chunk_size_mb`) and
their place (`absolute_dest_path`), so it counts for every plan that asks for these: the one that was applied, or the
one that it was split from. Unprintable characters are escaped, so no name can steer the terminal of a reader.

Reading is strict: the only damage it accepts is a last line that a kill has cut off. The files of several runs may be
joined with `cat`.
"""

import json
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from schemas.errors import ResultsError
from schemas.paths import explain_unsafe_absolute_path
from schemas.plan import PlannedFile, RawFilePlan, UnresolvedFile
from schemas.results import (
    Failure,
    FailureKind,
    FileResult,
    Outcome,
    RawFileResult,
    RecordedFile,
    RecordedRawFile,
    RecordedRun,
    RunEnd,
    RunHead,
)
from schemas.results_fields import END_FIELDS, HEAD_FIELDS, LINE_FIELDS, OPTIONAL_LINE_FIELDS, check_fields, parse_json
from schemas.text import printable, writable
from schemas.version import CREATED_BY

logger = logging.getLogger(__name__)

RESULTS_VERSION = "1.1"
SUMMARY_VERSION = "1.0"
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
HEAD_BEGINS = b'{"results_version": '
MAX_LINE_BYTES = 1024 * 1024

_BEFORE_A_HEAD = re.compile(b"(?=" + re.escape(HEAD_BEGINS) + b")")
_KINDS = {kind.name.lower(): kind for kind in FailureKind}
_OUTCOMES = {outcome.value: outcome for outcome in Outcome}


def head_line(head: RunHead) -> str:
    """Return the first line: which plan, restored to where, when (UTC), where, by whom, how, by which program."""
    return _line(
        {
            "results_version": RESULTS_VERSION,
            "plan_digest": head.plan_digest,
            "output_location": head.output_location,
            "started_at": head.started_at.strftime(TIME_FORMAT),
            "host": head.host,
            "user": head.user,
            "options": list(head.options),
            "approvals": list(head.approvals),
            "written_by": CREATED_BY,
        }
    )


def summary_line(record: Mapping[str, object]) -> str:
    """Return the last line, which a run that is killed leaves out: the record that sums it up."""
    return _line(record)


def file_line(raw_file: RawFilePlan, file: PlannedFile | UnresolvedFile, result: FileResult) -> str:
    """Return the line of one file."""
    destination = raw_file.absolute_dest_path(file) if isinstance(file, PlannedFile) else file.absolute_dest_path
    return _line(
        {
            "raw_file_id": raw_file.raw_file_id,
            "relative_path": result.relative_path,
            "outcome": result.outcome.value,
            **_failure_record(result.failure),
            "size_bytes": result.size_bytes,
            "duration_seconds": round(result.duration_seconds, 3),
            "corrupt_copy": result.corrupt_copy,
            "absolute_dest_path": destination,
            "expected_etag": file.expected_etag,
            "chunk_size_mb": file.chunk_size_mb,
            **({"remark": result.remark} if result.remark is not None else {}),
            **({"fetched_parts": result.fetched_parts} if result.fetched_parts is not None else {}),
            **({"part_md5s": result.part_md5s.hex()} if result.part_md5s else {}),
        }
    )


def raw_file_line(result: RawFileResult) -> str:
    """Return the line of a raw file that failed as a whole."""
    return _line(
        {
            **dict.fromkeys(LINE_FIELDS),
            "raw_file_id": result.raw_file_id,
            "outcome": Outcome.FAILED.value,
            **_failure_record(result.failure),
            "duration_seconds": 0.0,
            "absolute_dest_path": result.destination_base,
        }
    )


def _failure_record(failure: Failure | None) -> dict[str, str | None]:
    if failure is None:
        return {"failure_kind": None, "message": None}
    return {"failure_kind": failure.kind.name.lower(), "message": failure.message}


def _line(record: Mapping[str, object]) -> str:
    line = json.dumps(record, ensure_ascii=False)
    if not line.isprintable():  # only within strings: everything else that json writes is
        line = "".join(c if c.isprintable() else json.dumps(writable(c))[1:-1] for c in line)
    return line + "\n"


def load_results(path: str) -> list[RecordedRun]:
    """Return the runs that a results file holds: one, more if files were joined, none if a kill came before its head.

    Raises:
        ResultsError: it cannot be read, or it is not a results file.
    """
    name = printable(path)
    try:
        with Path(path).open("rb") as file:
            return read_results(file, name)
    except FileNotFoundError:
        raise ResultsError(f"{name}: there is no such results file") from None
    except (OSError, ValueError) as error:  # a path with a NUL
        reason = getattr(error, "strerror", None) or error
        raise ResultsError(f"{name}: the results cannot be read: {reason}") from None


def read_results(file: BinaryIO, name: str) -> list[RecordedRun]:
    """Return the runs that a results file holds, see `load_results`.

    Raises:
        ResultsError: it is not a results file; the message names the line.
    """
    runs: list[_Reading] = []
    for number, record in _records(file, name):
        place = f"{name}: line {number}"
        if not runs or "results_version" in record:
            runs.append(_Reading(f"{name} (from line {number})" if runs else name, _head(record, place)))
        elif "run_summary" in record:
            runs[-1].end = _end(record, place)
        else:
            runs[-1].lines.append(_recorded(record, place))
    if not runs:
        logger.warning("%s holds no results: its run ended before it had any", name)
    return [RecordedRun(name=run.name, head=run.head, lines=tuple(run.lines), end=run.end) for run in runs]


@dataclass(slots=True)
class _Reading:
    """What was read of one run so far."""

    name: str
    head: RunHead
    lines: list[RecordedFile | RecordedRawFile] = field(default_factory=list)
    end: RunEnd | None = None


def _records(file: BinaryIO, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number of each line and its JSON object.

    Where a kill has cut off the last line of a file, `cat` puts the head of the next one right behind it. Nothing else
    looks like a head: within a string its quotes would be escaped.
    """
    for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES), b""), start=1):
        place = f"{name}: line {number}"
        if len(line) == MAX_LINE_BYTES:
            raise ResultsError(f"{place} is longer than any that `apply --results` writes")
        for piece in filter(None, _BEFORE_A_HEAD.split(line)):
            try:
                record = parse_json(piece)
            except ValueError as error:
                begins_well = number > 1 or HEAD_BEGINS.startswith(piece[: len(HEAD_BEGINS)])
                if piece.endswith(b"\n") or not begins_well:
                    raise ResultsError(f"{place}: {printable(str(error), 200)}") from None
                logger.warning("%s is cut off, as a kill leaves it, and does not count", place)
                continue
            if not isinstance(record, dict):
                raise ResultsError(f"{place}: expected a JSON object, as `apply --results` writes it")
            yield number, record


def _head(record: dict[str, Any], place: str) -> RunHead:
    if "results_version" not in record:
        raise ResultsError(f"{place}: no results_version: this file was not written by `apply --results`")
    record = {"host": None, "user": None, "options": [], "approvals": [], **record}
    check_fields(record, HEAD_FIELDS, place)
    _check_version(record, "results_version", RESULTS_VERSION, place)
    location = record["output_location"]
    if reason := explain_unsafe_absolute_path(location):
        raise ResultsError(f"{place}: output_location is {printable(location)}: {reason}")
    return RunHead(
        plan_digest=record["plan_digest"],
        output_location=location,
        started_at=_time(record, "started_at", place),
        host=record["host"],
        user=record["user"],
        options=tuple(record["options"]),
        approvals=tuple(record["approvals"]),
    )


def _end(record: dict[str, Any], place: str) -> RunEnd:
    """Return how a run ended; the sums in its summary are those of its lines, and are made of these again."""
    check_fields(record, END_FIELDS, place)
    _check_version(record, "run_summary", SUMMARY_VERSION, place)
    return RunEnd(
        ended_at=_time(record, "ended_at", place),
        exit_code=record["exit_code"],
        fetched_bytes=record["fetched_bytes"],
        reports=tuple(record["reports"]),
    )


def _check_version(record: dict[str, Any], name: str, known: str, place: str) -> None:
    if record[name].partition(".")[0] != known.partition(".")[0]:
        raise ResultsError(f"{place}: {name} is {printable(record[name])}, this program reads {known}")


def _time(record: dict[str, Any], name: str, place: str) -> datetime:
    try:
        return datetime.strptime(record[name], TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise ResultsError(f"{place}: {name} is {printable(record[name])}, not a time in UTC") from None


def _recorded(record: dict[str, Any], place: str) -> RecordedFile | RecordedRawFile:
    record = {**dict.fromkeys(OPTIONAL_LINE_FIELDS), **record}
    check_fields(record, LINE_FIELDS | OPTIONAL_LINE_FIELDS, place)
    outcome = _OUTCOMES.get(record["outcome"])
    if outcome is None:
        raise ResultsError(
            f"{place}: outcome is {printable(record['outcome'])}, expected one of {', '.join(_OUTCOMES)}"
        )
    failure = _failure(record, place)
    if outcome.succeeded is not (failure is None):
        kind = printable(str(record["failure_kind"]))
        raise ResultsError(f"{place}: outcome {outcome.value} does not go with failure_kind {kind}")
    raw_file_id, relative_path, destination = (
        record["raw_file_id"], record["relative_path"], record["absolute_dest_path"]
    )  # fmt: skip
    if relative_path is None:
        if failure is None:
            raise ResultsError(f"{place}: relative_path is null, and yet outcome {outcome.value}")
        return RecordedRawFile(raw_file_id=raw_file_id, destination_base=destination, failure=failure)
    result = FileResult(
        relative_path=relative_path,
        outcome=outcome,
        failure=failure,
        size_bytes=record["size_bytes"],
        duration_seconds=record["duration_seconds"],
        corrupt_copy=record["corrupt_copy"],
        remark=record["remark"],
        fetched_parts=record["fetched_parts"],
        part_md5s=bytes.fromhex(record["part_md5s"] or ""),
    )
    return RecordedFile(
        raw_file_id=raw_file_id,
        absolute_dest_path=destination,
        expected_etag=record["expected_etag"],
        chunk_size_mb=record["chunk_size_mb"],
        result=result,
    )


def _failure(record: dict[str, Any], place: str) -> Failure | None:
    name, message = record["failure_kind"], record["message"] or ""
    if name is None:
        return None
    kind = _KINDS.get(name)
    if kind is None:
        raise ResultsError(f"{place}: failure_kind is {printable(name)}, which this program does not know")
    before, after = kind.words_around
    if not (message.startswith(before) and message.endswith(after)):
        raise ResultsError(f"{place}: the message of a {name} is {printable(message, 200)}, expected {kind.value}")
    return Failure(kind, message[len(before) : len(message) - len(after)])
