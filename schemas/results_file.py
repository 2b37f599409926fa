"""The results file of `apply --results`: JSON lines, a head and then a line per file as it ends.

A run that is killed leaves the lines of what it had finished. A raw file that failed as a whole has one line, whose
`relative_path` is null. What is not printable is escaped, as JSON allows, so that a name cannot steer the terminal of
somebody who looks at the file.

A line says of which bytes it speaks (`expected_etag`, `chunk_size_mb`) and where they are (`absolute_dest_path`), so
that it counts for any plan that asks for just these: the one that was applied, or the one that it was split from.
"""

import json
from datetime import datetime

from schemas.plan import Plan, PlannedFile, RawFilePlan, UnresolvedFile
from schemas.results import Failure, FileResult, RawFileResult
from schemas.version import CREATED_BY

RESULTS_VERSION = "1.0"
HEAD_BEGINS = b'{"results_version": '
TIMESTAMP_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def head_line(plan: Plan, started_at: datetime) -> str:
    """Return the first line: which plan, restored to where, when (UTC), by which program."""
    return _line(
        {
            "results_version": RESULTS_VERSION,
            "plan_digest": plan.plan_digest,
            "output_location": plan.output_location,
            "started_at": started_at.strftime(TIMESTAMP_FORMAT),
            "written_by": CREATED_BY,
        }
    )


def file_line(raw_file: RawFilePlan, file: PlannedFile | UnresolvedFile, result: FileResult) -> str:
    """Return the line of one file."""
    destination = raw_file.absolute_dest_path(file) if isinstance(file, PlannedFile) else file.absolute_dest_path
    return _line(
        {
            "raw_file_id": raw_file.raw_file_id,
            "relative_path": result.relative_path,
            "outcome": result.outcome.value,
            **_failure(result.failure),
            "size_bytes": result.size_bytes,
            "duration_seconds": round(result.duration_seconds, 3),
            "corrupt_copy": result.corrupt_copy,
            "absolute_dest_path": destination,
            "expected_etag": file.expected_etag,
            "chunk_size_mb": file.chunk_size_mb,
        }
    )


def raw_file_line(result: RawFileResult) -> str:
    """Return the line of a raw file that failed as a whole."""
    return _line(
        {
            "raw_file_id": result.raw_file_id,
            "relative_path": None,
            "outcome": "failed",
            **_failure(result.failure),
            "size_bytes": None,
            "duration_seconds": 0.0,
            "corrupt_copy": None,
            "absolute_dest_path": result.destination_base,
            "expected_etag": None,
            "chunk_size_mb": None,
        }
    )


def _failure(failure: Failure | None) -> dict[str, str | None]:
    if failure is None:
        return {"failure_kind": None, "message": None}
    return {"failure_kind": failure.kind.name.lower(), "message": failure.message}


def _line(record: dict[str, object]) -> str:
    line = json.dumps(record, ensure_ascii=False)
    if not line.isprintable():  # only within strings: everything else that json writes is
        line = "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)
    return line + "\n"
