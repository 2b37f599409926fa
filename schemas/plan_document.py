"""Converts a plan from a JSON document to values and back, and defines the shape of that document."""

import re
from collections.abc import Iterable
from typing import NotRequired, TypedDict

from schemas.paths import join_path
from schemas.plan import CompiledFrom, Plan, PlannedFile, RawFilePlan, S3Settings, UnresolvedFile
from schemas.text import printable

FORMAT_VERSION = "1.1"
"""What this program reads and, where a plan has notes, writes."""

FORMAT_VERSION_WITHOUT_NOTES = "1.0"
"""What it writes otherwise, so that a plan without notes keeps its digest and every program of version 1 reads it."""


class FileDocument(TypedDict):
    """A file of a plan document that the schema has accepted."""

    relative_path: str
    s3_key: NotRequired[str | None]
    expected_etag: NotRequired[str | None]
    chunk_size_mb: NotRequired[int | None]
    expected_size: NotRequired[int | None]
    absolute_dest_path: NotRequired[str | None]
    error: NotRequired[str | None]
    version_id: NotRequired[str | None]
    expected_md5: NotRequired[str | None]
    notes: NotRequired[list[str]]


class RawFileDocument(TypedDict):
    """A raw file of a plan document that the schema has accepted."""

    project_id: str | None
    destination_base: str | None
    bucket_name: str | None
    files: list[FileDocument]
    error: NotRequired[str | None]
    skipped: NotRequired[bool]
    notes: NotRequired[list[str]]


class S3Document(TypedDict):
    """The S3 settings of a plan document."""

    region: str | None
    endpoint_url: str | None


class CompiledFromDocument(TypedDict):
    """The origin of a plan document."""

    catalog: str
    config: str | None


class PlanDocument(TypedDict):
    """A plan document that the schema has accepted."""

    format_version: str
    plan_digest: NotRequired[str]
    created_at: NotRequired[str]
    created_by: NotRequired[str]
    compiled_from: NotRequired[CompiledFromDocument]
    s3: S3Document
    output_location: str
    raw_files: dict[str, RawFileDocument]


def plan_from_document(document: PlanDocument) -> Plan:
    """Return the plan in a document that the schema has accepted."""
    origin = document.get("compiled_from")
    return Plan(
        output_location=document["output_location"],
        s3=S3Settings(region=document["s3"]["region"], endpoint_url=document["s3"]["endpoint_url"]),
        raw_files=tuple(_raw_file(raw_file_id, raw) for raw_file_id, raw in document["raw_files"].items()),
        plan_digest=document.get("plan_digest"),
        created_at=document.get("created_at"),
        created_by=document.get("created_by"),
        compiled_from=_compiled_from(origin) if origin else None,
    )


def _compiled_from(origin: CompiledFromDocument) -> CompiledFrom:
    """Return what a plan was compiled from, less a password that a plan made by hand may hold."""
    # A prefix in a bucket may have an @, and is no secret.
    catalog = re.sub(r"(?s)^(?!(?:listing of )?s3://)(.*?://).*@", r"\1…@", origin["catalog"])
    return CompiledFrom(catalog=catalog, config=origin["config"])


def document_from_plan(plan: Plan) -> PlanDocument:
    """Return the document of a plan, its properties in the order in which people read them."""
    version = FORMAT_VERSION if plan.has_notes() else FORMAT_VERSION_WITHOUT_NOTES
    document: PlanDocument = {"format_version": version}  # type: ignore[typeddict-item]  # filled in order below
    if plan.plan_digest is not None:
        document["plan_digest"] = plan.plan_digest
    if plan.created_at is not None:
        document["created_at"] = plan.created_at
    if plan.created_by is not None:
        document["created_by"] = plan.created_by
    if plan.compiled_from is not None:
        document["compiled_from"] = {"catalog": plan.compiled_from.catalog, "config": plan.compiled_from.config}
    document["s3"] = {"region": plan.s3.region, "endpoint_url": plan.s3.endpoint_url}
    document["output_location"] = plan.output_location
    document["raw_files"] = {raw_file.raw_file_id: _raw_file_document(raw_file) for raw_file in plan.raw_files}
    return document


def find_misplaced_files(document: PlanDocument) -> list[str]:
    """Return the files whose `absolute_dest_path` is not destination_base / relative_path, one line each.

    Values derive that path, so only a document can contradict itself.
    """
    return [
        f"raw file {printable(raw_file_id)!r}: file {printable(file['relative_path'])!r}: absolute_dest_path is "
        f"{printable(str(file.get('absolute_dest_path')))}, expected {printable(expected)} "
        "(destination_base / relative_path)"
        for raw_file_id, raw_file in document["raw_files"].items()
        if raw_file.get("error") is None
        for file in raw_file["files"]
        if file.get("error") is None
        and file.get("absolute_dest_path")
        != (expected := join_path(raw_file["destination_base"] or "", file["relative_path"]))
    ]


def _raw_file(raw_file_id: str, document: RawFileDocument) -> RawFilePlan:
    return RawFilePlan(
        raw_file_id=raw_file_id,
        project_id=document["project_id"],
        destination_base=document["destination_base"],
        bucket_name=document["bucket_name"],
        files=tuple(_files(document["files"])),
        error=document.get("error"),
        notes=tuple(document.get("notes", ())),
    )


def _files(documents: Iterable[FileDocument]) -> Iterable[PlannedFile | UnresolvedFile]:
    for document in documents:
        relative_path = document["relative_path"]
        s3_key, etag = document.get("s3_key"), document.get("expected_etag")
        chunk_size_mb, size = document.get("chunk_size_mb"), document.get("expected_size")
        version_id, md5 = document.get("version_id"), document.get("expected_md5")
        error, notes = document.get("error"), tuple(document.get("notes", ()))
        if error is None and s3_key is not None and etag is not None and chunk_size_mb is not None:
            yield PlannedFile(
                relative_path=relative_path,
                s3_key=s3_key,
                expected_etag=etag,
                chunk_size_mb=chunk_size_mb,
                expected_size=size,
                version_id=version_id,
                expected_md5=md5,
                notes=notes,
            )
            continue
        yield UnresolvedFile(
            relative_path=relative_path,
            error=error or "not resolved",
            s3_key=s3_key,
            expected_etag=etag,
            chunk_size_mb=chunk_size_mb,
            expected_size=size,
            absolute_dest_path=document.get("absolute_dest_path"),
            version_id=version_id,
            expected_md5=md5,
            notes=notes,
        )


def _raw_file_document(raw_file: RawFilePlan) -> RawFileDocument:
    document: RawFileDocument = {
        "project_id": raw_file.project_id,
        "destination_base": raw_file.destination_base,
        "bucket_name": raw_file.bucket_name,
        "files": [_file_document(raw_file, file) for file in raw_file.files],
        "error": raw_file.error,
        "skipped": raw_file.error is not None,
    }
    if raw_file.notes:
        document["notes"] = list(raw_file.notes)
    return document


def _file_document(raw_file: RawFilePlan, file: PlannedFile | UnresolvedFile) -> FileDocument:
    if isinstance(file, PlannedFile):
        base = raw_file.destination_base
        destination, error = (None if base is None else join_path(base, file.relative_path)), None
    else:
        destination, error = file.absolute_dest_path, file.error
    document: FileDocument = {
        "relative_path": file.relative_path,
        "s3_key": file.s3_key,
        "expected_etag": file.expected_etag,
        "chunk_size_mb": file.chunk_size_mb,
        "expected_size": file.expected_size,
        "absolute_dest_path": destination,
        "error": error,
    }
    if file.version_id is not None:
        document["version_id"] = file.version_id
    if file.expected_md5 is not None:
        document["expected_md5"] = file.expected_md5
    if file.notes:
        document["notes"] = list(file.notes)
    return document
