"""Writes plans and differences as JSON for programs: one document each, streamed, because a plan may be huge."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict

from kraken_plan.views.diff_text import Compared
from kraken_plan.views.plan_summary import PlanSummary, summarize_plan
from planner.plan_diff import Change, DiffKind, PlanDiff, RawFileDiff, Value
from schemas.plan import Plan, RawFilePlan
from schemas.tally import Tally


def plan_as_json(plan: Plan, *, with_files: bool) -> Iterator[str]:
    """Yield the plan's summary as one JSON document, with each raw file on a line of its own."""
    raw_files = (_raw_file_document(raw_file, with_files=with_files) for raw_file in plan.raw_files)
    return document_with_list(_plan_head(plan, summarize_plan(plan)), "raw_files", raw_files)


def _plan_head(plan: Plan, summary: PlanSummary) -> dict[str, object]:
    return {
        "plan_digest": plan.plan_digest,
        "created_at": plan.created_at,
        "created_by": plan.created_by,
        "compiled_from": asdict(plan.compiled_from) if plan.compiled_from else None,
        "s3": asdict(plan.s3),
        "output_location": plan.output_location,
        "totals": asdict(summary.totals),
        "tally": Tally.of_plan(plan).as_record(),
        "destinations": [
            {
                "project_id": destination.project_id,
                "destination_base": destination.destination_base,
                **asdict(destination.totals),
            }
            for destination in summary.destinations
        ],
        "largest_files": [
            {
                "raw_file_id": raw_file.raw_file_id,
                "relative_path": file.relative_path,
                "expected_size": file.expected_size,
            }
            for raw_file, file in summary.largest
        ],
        "skipped": [asdict(remark) for remark in summary.skipped],
        "notes": [asdict(remark) for remark in summary.notes],
    }


def _raw_file_document(raw_file: RawFilePlan, *, with_files: bool) -> dict[str, object]:
    totals = raw_file.totals()
    document: dict[str, object] = {
        "raw_file_id": raw_file.raw_file_id,
        "project_id": raw_file.project_id,
        "destination_base": raw_file.destination_base,
        "bucket_name": raw_file.bucket_name,
        "error": raw_file.error,
        "notes": raw_file.notes,
        "files": totals.files,
        "skipped_files": totals.skipped_files,
        "size_bytes": totals.size_bytes,
        "unknown_sizes": totals.unknown_sizes,
    }
    if with_files:
        document["file_list"] = [{"error": None, **asdict(file)} for file in raw_file.files]
    return document


def diff_as_json(diff: PlanDiff, old: Compared, new: Compared) -> Iterator[str]:
    """Yield all that differs as one JSON document, with each raw file on a line of its own."""
    head = {
        "same": diff.is_empty,
        "old": {"name": old.name, "plan_digest": old.plan.plan_digest},
        "new": {"name": new.name, "plan_digest": new.plan.plan_digest},
        "changes": [asdict(change) for change in diff.changes],
        "totals": {kind.value: asdict(diff.totals(kind)) for kind in DiffKind},
    }
    return document_with_list(head, "raw_files", map(_raw_file_diff, diff.raw_files))


def _raw_file_diff(raw_file: RawFileDiff) -> dict[str, object]:
    return {
        "raw_file_id": raw_file.raw_file_id,
        "kind": raw_file.kind.value,
        "changes": _change_documents(raw_file.changes),
        "files": [
            {
                "relative_path": file.relative_path,
                "kind": file.kind.value,
                "size_bytes": file.size_bytes,
                "changes": _change_documents(file.changes),
            }
            for file in raw_file.files
        ],
    }


def _change_documents(changes: Iterable[Change]) -> list[dict[str, Value]]:
    return [asdict(change) for change in changes]


def document_with_list(head: Mapping[str, object], name: str, entries: Iterable[object]) -> Iterator[str]:
    """Yield a JSON document: the head's properties, then a list of this name, with each entry on a line of its own.

    Everything but ASCII is escaped: that is exact, and cannot steer a terminal.

    >>> print("".join(document_with_list({"a": 1}, "b", [{"c": 2}, {"c": 3}])), end="")
    {
      "a": 1,
      "b": [
        {"c": 2},
        {"c": 3}
      ]
    }
    """
    yield json.dumps(head, indent=2).removesuffix("\n}")
    yield f',\n  "{name}": ['
    before, end = "\n    ", "]\n}\n"
    for entry in entries:
        yield before + json.dumps(entry)
        before, end = ",\n    ", "\n  ]\n}\n"
    yield end
