"""Builds the lines of the big table that raw files and their files have on every page of a plan."""

from collections.abc import Sequence

from kraken_plan.views.pages.page import Group, Row, State
from kraken_plan.views.plan_sections import name_of, notes_text
from schemas.plan import PlannedFile, RawFilePlan, UnresolvedFile
from schemas.text import printable


def raw_file_place(raw_file: RawFilePlan) -> str:
    """Return where a raw file is restored from and to; empty if that could not be resolved."""
    if raw_file.bucket_name is None:
        return ""
    return printable(f"s3://{raw_file.bucket_name} → {raw_file.destination_base}")


def file_origin(file: PlannedFile | UnresolvedFile) -> str:
    """Return what a reviewer needs to know of a file besides its name and size."""
    key = "no key" if file.s3_key is None else f"key {file.s3_key}"
    etag = "no etag" if file.expected_etag is None else f"etag {file.expected_etag}"
    chunks = "" if file.chunk_size_mb is None else f", chunks of {file.chunk_size_mb} MiB"
    version = "" if file.version_id is None else f", version {file.version_id}"
    return printable(f"{etag}{chunks}, {key}{version}")


def raw_file_group(raw_file: RawFilePlan, state: State, note: str, rows: Sequence[Row]) -> Group:
    """Return the line of a raw file, with those of its files folded in.

    Args:
        raw_file: as in the plan.
        state: how it is marked.
        note: why.
        rows: of its files.
    """
    totals = raw_file.totals()
    return Group(
        head=Row(
            name=printable(raw_file.raw_file_id),
            state=state,
            detail=raw_file_place(raw_file),
            note=_with_notes(note, raw_file.notes),
            size_bytes=totals.size_bytes if totals.files else None,
        ),
        label=name_of(raw_file.project_id),
        rows=rows,
    )


def file_row(file: PlannedFile | UnresolvedFile, state: State, note: str) -> Row:
    """Return the line of a file."""
    return Row(
        name=printable(file.relative_path),
        state=state,
        detail=file_origin(file),
        note=_with_notes(note, file.notes),
        size_bytes=file.expected_size,
    )


def _with_notes(said: str, notes: Sequence[str]) -> str:
    return "; ".join(filter(None, [said, notes_text(notes)]))
