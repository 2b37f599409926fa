"""Makes a plan out of catalog records. Pure: no catalog, no S3, no clock.

What cannot be resolved is part of the plan, with its reason: it is reported, never attempted.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from planner.backup_status import explain_doubt, explain_no_upload
from planner.destinations import Destinations, UnresolvedError, below_output, where_the_backup_was
from planner.records import FileInfoEntry, RawFileRecord, UnusableEntry
from schemas.paths import explain_unsafe_relative_path, join_path
from schemas.plan import CompiledFrom, Plan, PlannedFile, RawFilePlan, S3Settings, UnresolvedFile
from schemas.plan_conflicts import with_conflicts_as_errors
from schemas.plan_rules import explain_bad_file, find_conflicts
from schemas.s3_location import reconstruct_s3_paths
from schemas.site.config import SiteConfig
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
    destinations = _destinations(site)
    raw_files: dict[str, RawFilePlan | None] = dict.fromkeys(raw_file_ids)
    for record in records:
        if raw_files.get(record.raw_file_id) is None:
            raw_files[record.raw_file_id] = _plan_raw_file(record, destinations)
    plan = Plan(
        output_location=site.output_location,
        s3=S3Settings(region=site.region, endpoint_url=site.endpoint_url),
        raw_files=tuple(planned or _not_found(raw_file_id) for raw_file_id, planned in raw_files.items()),
        created_at=created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        created_by=CREATED_BY,
        compiled_from=CompiledFrom(catalog=writable(catalog_description), config=site.name and writable(site.name)),
    )
    return with_conflicts_as_errors(plan, find_conflicts(plan))


def with_default_project(record: RawFileRecord, project_id: str | None) -> RawFileRecord:
    """Return a record as of this project if it has no project_id, with a note on that.

    Args:
        record: any.
        project_id: None leaves all records as they are.
    """
    if project_id is None or record.project_id is not None or record.problem is not None:
        return record
    note = f"project_id is missing in the catalog: planned for {printable(project_id, 100)}"
    return replace(record, project_id=project_id, notes=(*record.notes, note))


def _not_found(raw_file_id: str) -> RawFilePlan:
    return RawFilePlan(
        raw_file_id=raw_file_id,
        project_id=None,
        destination_base=None,
        bucket_name=None,
        files=(),
        error="RawFile not found in the catalog",
    )


def _destinations(site: SiteConfig) -> Destinations:
    if site.backup_location is not None:
        return where_the_backup_was(site.backup_location, site.output_location)
    return below_output(site.output_location)


def _plan_raw_file(record: RawFileRecord, destinations: Destinations) -> RawFilePlan:
    """Return the plan of a raw file; what is known of it stays there if it cannot be resolved."""
    raw_file = RawFilePlan(
        raw_file_id=record.raw_file_id,
        project_id=record.project_id and writable(record.project_id),
        destination_base=None,
        bucket_name=None,
        files=(),
    )
    try:
        destination = destinations(record)
        raw_file = replace(raw_file, destination_base=destination.base)
        bucket_name, s3_keys = _locate_upload(record)
    except UnresolvedError as unresolved:
        return replace(raw_file, error=str(unresolved))
    entries = sorted(record.entries, key=lambda entry: entry.relative_path)
    files = tuple(_plan_file(entry, s3_keys[entry.relative_path], destination.base) for entry in entries)
    error = None if files else "RawFile has empty file_info"
    doubt = explain_doubt(record.backup_status)
    notes = (*((doubt,) if doubt else ()), *destination.notes, *record.notes)
    return replace(raw_file, bucket_name=bucket_name, files=files, error=error, notes=notes)


def _locate_upload(record: RawFileRecord) -> tuple[str, dict[str, str]]:
    """Return the bucket, and the key of each file."""
    if record.problem is not None:
        raise UnresolvedError(record.problem)
    if record.s3_upload_path is None:
        raise UnresolvedError(explain_no_upload(record))
    try:
        return reconstruct_s3_paths(record.s3_upload_path, [entry.relative_path for entry in record.entries])
    except ValueError as error:
        raise UnresolvedError(f"RawFile has a {printable(str(error))}") from None


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
            expected_md5=entry.md5,
            notes=entry.notes,
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
