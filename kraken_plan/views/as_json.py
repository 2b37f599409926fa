"""What `kraken-plan show --json` says: a plan's summary for programs."""

from collections.abc import Iterator
from dataclasses import asdict

from kraken_plan.views.json_document import document_with_list
from kraken_plan.views.plan_summary import PlanSummary, raw_file_totals, summarize_plan
from schemas.plan import Plan, RawFilePlan


def plan_as_json(plan: Plan, *, with_files: bool) -> Iterator[str]:
    """Yield the plan's summary as one JSON document, each raw file on a line of its own."""
    raw_files = (_raw_file(raw_file, with_files=with_files) for raw_file in plan.raw_files)
    return document_with_list(_head(plan, summarize_plan(plan)), "raw_files", raw_files)


def _head(plan: Plan, summary: PlanSummary) -> dict[str, object]:
    return {
        "plan_digest": plan.plan_digest,
        "created_at": plan.created_at,
        "created_by": plan.created_by,
        "compiled_from": asdict(plan.compiled_from) if plan.compiled_from else None,
        "s3": asdict(plan.s3),
        "output_location": plan.output_location,
        "totals": asdict(summary.totals),
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


def _raw_file(raw_file: RawFilePlan, *, with_files: bool) -> dict[str, object]:
    totals = raw_file_totals(raw_file)
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
