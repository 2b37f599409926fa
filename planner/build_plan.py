"""From catalog records to a plan. Pure: no catalog, no S3, no clock.

What cannot be resolved is part of the plan, with its reason: it is reported, never attempted.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from planner.records import FileInfoEntry, RawFileRecord, UnusableEntry
from schemas.paths import explain_unsafe_relative_path, join_path
from schemas.plan import CompiledFrom, Plan, PlannedFile, RawFilePlan, S3Settings, UnresolvedFile
from schemas.plan_rules import explain_bad_destination, explain_bad_file, explain_conflict, find_conflicts
from schemas.s3_location import reconstruct_s3_paths
from schemas.site_config import SiteConfig
from schemas.text import printable, writable
from schemas.version import CREATED_BY

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
_MAX_KEY_BYTES = 1024


def build_download_plan(
    raw_file_ids: Sequence[str],
    records: Iterable[RawFileRecord],
    *,
    site: SiteConfig,
    catalog_description: str,
    created_at: datetime,
) -> Plan:
    """Return the plan that restores these raw files.

    Args:
        raw_file_ids: what was asked for by id, in this order; ids without a record are in the plan with an error.
        records: of these raw files, in any order, and of further ones (whole projects), which follow in this order.
        site: where to restore to, and where S3 is.
        catalog_description: what the records come from, for people.
        created_at: now.
    """
    raw_files: dict[str, RawFilePlan | None] = dict.fromkeys(raw_file_ids)
    for record in records:
        if raw_files.get(record.raw_file_id) is None:
            raw_files[record.raw_file_id] = _plan_raw_file(record, site.output_location)
    plan = Plan(
        output_location=site.output_location,
        s3=S3Settings(region=site.region, endpoint_url=site.endpoint_url),
        raw_files=tuple(planned or _not_found(raw_file_id) for raw_file_id, planned in raw_files.items()),
        created_at=created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        created_by=CREATED_BY,
        compiled_from=CompiledFrom(catalog=writable(catalog_description), config=site.name and writable(site.name)),
    )
    return _without_conflicts(plan)


def _not_found(raw_file_id: str) -> RawFilePlan:
    return RawFilePlan(
        raw_file_id=raw_file_id,
        project_id=None,
        destination_base=None,
        bucket_name=None,
        files=(),
        error="RawFile not found in the catalog",
    )


class _UnresolvedError(ValueError):
    """Why a raw file cannot be resolved as a whole, in the report's words."""


def _plan_raw_file(record: RawFileRecord, output_location: str) -> RawFilePlan:
    """Return the plan of a raw file; what is known of it stays there if it cannot be resolved."""
    raw_file = RawFilePlan(
        raw_file_id=record.raw_file_id,
        project_id=record.project_id and writable(record.project_id),
        destination_base=None,
        bucket_name=None,
        files=(),
    )
    try:
        destination_base = _destination_base(record, output_location)
        raw_file = replace(raw_file, destination_base=destination_base)
        bucket_name, s3_keys = _locate_upload(record)
    except _UnresolvedError as unresolved:
        return replace(raw_file, error=str(unresolved))
    entries = sorted(record.entries, key=lambda entry: entry.relative_path)
    files = tuple(_plan_file(entry, s3_keys[entry.relative_path], destination_base) for entry in entries)
    error = None if files else "RawFile has empty file_info"
    return replace(raw_file, bucket_name=bucket_name, files=files, error=error)


def _destination_base(record: RawFileRecord, output_location: str) -> str:
    if record.project_id is None:
        raise _UnresolvedError(record.problem or "RawFile has no project_id")
    destination_base = join_path(output_location, record.project_id)
    reason = explain_bad_destination(destination_base, output_location)
    if "/" in record.project_id:
        reason = "it has a slash, expected the name of one folder"
    if reason is not None:
        raise _UnresolvedError(f"Unsafe path: project_id {printable(record.project_id, 300)!r}: {reason}")
    return destination_base


def _locate_upload(record: RawFileRecord) -> tuple[str, dict[str, str]]:
    """Return the bucket, and the key of each file."""
    if record.problem is not None:
        raise _UnresolvedError(record.problem)
    if record.s3_upload_path is None:
        raise _UnresolvedError("RawFile has no s3_upload_path")
    try:
        return reconstruct_s3_paths(record.s3_upload_path, [entry.relative_path for entry in record.entries])
    except ValueError as error:
        raise _UnresolvedError(f"RawFile has a {printable(str(error))}") from None


def _plan_file(
    entry: FileInfoEntry | UnusableEntry, s3_key: str, destination_base: str
) -> PlannedFile | UnresolvedFile:
    bad_key = _explain_bad_key(s3_key)
    if isinstance(entry, UnusableEntry):
        etag, chunk_size_mb, error = None, None, entry.reason
    else:
        file = PlannedFile(
            relative_path=entry.relative_path,
            s3_key=s3_key,
            expected_etag=entry.etag,
            chunk_size_mb=entry.chunk_size_mb,
            expected_size=entry.size_bytes,
        )
        reason = explain_bad_file(file, destination_base) or bad_key
        if reason is None:
            return file
        etag, chunk_size_mb, error = entry.etag, entry.chunk_size_mb, reason
    safe = explain_unsafe_relative_path(entry.relative_path) is None
    return UnresolvedFile(
        relative_path=writable(entry.relative_path),
        error=error,
        s3_key=None if bad_key else s3_key,
        expected_etag=etag,
        chunk_size_mb=chunk_size_mb,
        expected_size=entry.size_bytes,
        absolute_dest_path=join_path(destination_base, entry.relative_path) if safe else None,
    )


def _explain_bad_key(s3_key: str) -> str | None:
    try:
        size = len(s3_key.encode())
    except UnicodeEncodeError:
        return "Unsafe path: its S3 key holds a lone surrogate"
    if 0 < size <= _MAX_KEY_BYTES:
        return None
    return f"Unsafe path: its S3 key has {size} bytes, S3 allows 1 to {_MAX_KEY_BYTES}"


def _without_conflicts(plan: Plan) -> Plan:
    """Return the plan with every file that stands in another's way turned into an error."""
    errors = {
        (claim.raw_file.raw_file_id, claim.file.relative_path): (
            f"Conflicts with {other} ({explain_conflict(claim, other)})"
        )
        for claim, other in find_conflicts(plan)
    }
    if not errors:
        return plan

    def checked(raw_file: RawFilePlan) -> Iterator[PlannedFile | UnresolvedFile]:
        for file in raw_file.files:
            error = errors.get((raw_file.raw_file_id, file.relative_path))
            if error is None or isinstance(file, UnresolvedFile):
                yield file
            else:
                yield raw_file.unresolved(file, error)

    raw_files = tuple(replace(raw_file, files=tuple(checked(raw_file))) for raw_file in plan.raw_files)
    return replace(plan, raw_files=raw_files)
