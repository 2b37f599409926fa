"""Sums up a catalog document as a line of a list. Pure; nothing of the document is kept."""

from dataclasses import dataclass
from datetime import datetime

from planner.catalog import CatalogDocument
from planner.records import parse_record


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRawFile:
    """A raw file of the catalog, as far as a list shows it; None where the catalog says nothing.

    Args:
        files: how many the catalog lists.
        size_bytes: of all files together; None if the size of any is unknown.
    """

    raw_file_id: str
    project_id: str | None
    instrument_id: str | None
    created_at: datetime | None
    status: str | None
    backup_status: str | None
    files: int
    size_bytes: int | None


def summarize_document(document: CatalogDocument) -> FoundRawFile:
    """Return what a list shows of a document; never fails."""
    record = parse_record(document)
    sizes = [entry.size_bytes for entry in record.entries]
    known = [size for size in sizes if size is not None]
    return FoundRawFile(
        raw_file_id=record.raw_file_id,
        project_id=record.project_id,
        instrument_id=record.instrument_id,
        created_at=record.created_at,
        status=record.status,
        backup_status=record.backup_status,
        files=len(sizes),
        size_bytes=sum(known) if len(known) == len(sizes) else None,
    )
