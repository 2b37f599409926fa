"""Parses a catalog document into a typed record, once. Never fails: what is wrong becomes a value with a reason."""

import re
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, datetime

from planner.catalog import CatalogDocument
from schemas.etag import MAX_PARTS, MIB, Etag
from schemas.text import printable, writable

ETAG_SEPARATOR = "__"
NO_ETAG = "Not verifiable: no ETag recorded"

# S3's limits: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
_MAX_CHUNK_SIZE_MB = 5120
_MAX_SIZE_BYTES = MAX_PARTS * _MAX_CHUNK_SIZE_MB * MIB

_SHORT = reprlib.Repr()  # a document of 16 MB must not be written out to show 100 characters of it
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 200

_MD5 = re.compile(r"[0-9a-f]{32}")
_CHUNK_SIZE = re.compile(r"[1-9][0-9]{0,3}")
_YEARS = range(MINYEAR + 1, MAXYEAR)  # a date that Python cannot hold comes as the first or the last that it can
_LENGTH_WITHOUT_ETAG = 2
_LENGTH_WITH_ETAG = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FileInfoEntry:
    """A file of a raw file that the catalog describes well enough to restore it.

    Args:
        relative_path: as the catalog has it; whether it is safe is told later.
        size_bytes: None if the catalog has none.
        etag: of the upload.
        chunk_size_mb: of the upload's parts.
        md5: of the whole content, where the etag does not say it already; None if the catalog has none.
        notes: what a reviewer should know about it.
    """

    relative_path: str
    size_bytes: int | None
    etag: str
    chunk_size_mb: int
    md5: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusableEntry:
    """A file of a raw file that the catalog does not describe well enough.

    Args:
        relative_path: as the catalog has it.
        reason: why, in the report's words.
        size_bytes: None if the catalog has none that makes sense.
    """

    relative_path: str
    reason: str
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RawFileRecord:
    """A raw file of the catalog.

    Args:
        raw_file_id: its `_id`, in a form that a plan can hold. One that is not text is written with its type, so that
            5 and "5" stay two.
        project_id: None if it has none.
        s3_upload_path: None if it has none.
        entries: its files, as the catalog lists them.
        problem: how its document differs from any known shape, in the report's words; None if it does not.
        status: AlphaKraken's word for how far it was processed; None if it has none. Likewise `backup_status`.
        instrument_id: None if it has none.
        created_at: when it was acquired; None if that is missing or unusable.
        backup_base_path: where AlphaKraken keeps it on the backup pool; None if it does not say.
        backup_path_problem: how that differs from any known shape, which matters to a restore of the pool alone.
        notes: what a reviewer should know about where the record comes from.
    """

    raw_file_id: str
    project_id: str | None
    s3_upload_path: str | None
    entries: tuple[FileInfoEntry | UnusableEntry, ...]
    problem: str | None = None
    status: str | None = None
    backup_status: str | None = None
    instrument_id: str | None = None
    created_at: datetime | None = None
    backup_base_path: str | None = None
    backup_path_problem: str | None = None
    notes: tuple[str, ...] = ()


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


def parse_record(document: CatalogDocument) -> RawFileRecord:
    """Return the record in a catalog document; never fails, see `RawFileRecord.problem`."""
    raw_file_id, file_info, created_at = document["_id"], document.get("file_info") or {}, document.get("created_at")
    names = ("_id", "project_id", "s3_upload_path")
    problems = [problem for name in names if (problem := _explain_no_text(document, name)) is not None]
    if not isinstance(file_info, Mapping):
        problems.append(f"file_info is {_shown(file_info)}, expected a mapping of relative paths")
        file_info = {}
    return RawFileRecord(
        raw_file_id=writable(raw_file_id if isinstance(raw_file_id, str) else _typed(raw_file_id)),
        project_id=_text(document.get("project_id")),
        s3_upload_path=_text(document.get("s3_upload_path")),
        entries=tuple(_parse_entry(str(path), entry) for path, entry in file_info.items()),
        problem=f"RawFile is malformed: {'; '.join(problems)}" if problems else None,
        status=_text(document.get("status")),
        backup_status=_text_or_shown(document.get("backup_status")),
        instrument_id=_text(document.get("instrument_id")),
        created_at=created_at if isinstance(created_at, datetime) and created_at.year in _YEARS else None,
        backup_base_path=_text(document.get("backup_base_path")),
        backup_path_problem=_explain_no_text(document, "backup_base_path"),
    )


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


def parse_etag_from_file_info(entry: Sequence[object]) -> tuple[str, int]:
    """Return the etag and the chunk size in MiB of a `file_info` entry `[size, md5, "<etag>__<chunk_size_mb>"]`.

    Raises:
        ValueError: the entry has none, or a malformed one; the message is the report's.
    """
    stored = entry[2] if len(entry) >= _LENGTH_WITH_ETAG else None
    if stored is None or stored == "":
        raise ValueError(NO_ETAG)
    if not isinstance(stored, str):
        raise ValueError(f"Not verifiable: malformed etag {_shown(stored)} (expected <etag>{ETAG_SEPARATOR}<MB>)")  # noqa: TRY004  # wrong data, not a wrong call
    etag, separator, chunk_size = stored.rpartition(ETAG_SEPARATOR)
    if not separator:
        raise ValueError(
            f"Not verifiable: malformed etag {_shown(stored)} (expected <etag>{ETAG_SEPARATOR}<chunk size in MB>)"
        )
    if not _CHUNK_SIZE.fullmatch(chunk_size) or int(chunk_size) > _MAX_CHUNK_SIZE_MB:
        raise ValueError(
            f"Not verifiable: malformed chunk size {_shown(chunk_size)} (expected 1 to {_MAX_CHUNK_SIZE_MB} MB)"
        )
    try:
        Etag.parse(etag)
    except ValueError as error:
        raise ValueError(f"Not verifiable: {printable(str(error))}") from None
    return etag, int(chunk_size)


def _parse_entry(relative_path: str, entry: object) -> FileInfoEntry | UnusableEntry:
    if not isinstance(entry, list | tuple) or len(entry) not in {_LENGTH_WITHOUT_ETAG, _LENGTH_WITH_ETAG}:
        reason = f"Not verifiable: malformed file_info entry {_shown(entry)} (expected [size, md5, etag])"
        return UnusableEntry(relative_path=relative_path, reason=reason)
    try:
        size_bytes = _parse_size(entry[0])
    except ValueError as error:
        return UnusableEntry(relative_path=relative_path, reason=str(error))
    try:
        etag, chunk_size_mb = parse_etag_from_file_info(entry)
    except ValueError as error:
        return UnusableEntry(relative_path=relative_path, reason=str(error), size_bytes=size_bytes)
    return FileInfoEntry(
        relative_path=relative_path,
        size_bytes=size_bytes,
        etag=etag,
        chunk_size_mb=chunk_size_mb,
        md5=_md5_beside(etag, entry[1]),
    )


def _md5_beside(etag: str, md5: object) -> str | None:
    """Return the MD5 that the catalog has of a content; None where it has none, or where the etag itself is an MD5."""
    is_multipart = Etag.parse(etag).parts is not None
    return md5 if is_multipart and isinstance(md5, str) and _MD5.fullmatch(md5) else None


def _parse_size(size: object) -> int | None:
    """Return a size in bytes; the catalog also has it as a float, or not at all."""
    match size:
        case None:
            return None
        case int() if not isinstance(size, bool) and 0 <= size <= _MAX_SIZE_BYTES:
            return int(size)
        case float() if size.is_integer() and 0 <= size <= _MAX_SIZE_BYTES:
            return int(size)
        case _:
            raise ValueError(f"Not verifiable: malformed size {_shown(size)} (expected whole bytes)")


def _explain_no_text(document: CatalogDocument, name: str) -> str | None:
    """Return that a field holds something else than text; None if it does not."""
    value = document.get(name)
    return None if isinstance(value, str | None) else f"{name} is {_shown(value)}, expected text"


def _text(value: object) -> str | None:
    """Return a text that says something; None for all else."""
    return value if isinstance(value, str) and value.strip() else None


def _text_or_shown(value: object) -> str | None:
    """Return a text that says something, None for nothing, and anything else as it is shown to people."""
    return _text(value) if isinstance(value, str | None) else _shown(value)


def _typed(value: object) -> str:
    return f"_id {_shown(value)} ({type(value).__name__})"


def _shown(value: object) -> str:
    return printable(_SHORT.repr(value), 100)
