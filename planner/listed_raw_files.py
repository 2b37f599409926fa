"""Makes raw files out of a bucket's listing: groups keys as AlphaKraken lays them out, and finds the part sizes.

AlphaKraken's layouts: `x.raw`, `x.d/…`, `<id>.wiff/x.wiff…`, in the fallback bucket below `<instrument>/<YYYY_MM>/`. Of
any other bucket, whatever stands at the top is a raw file of its own, so that nothing is left out.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from planner.bucket_listing import BucketListing
from planner.catalog import CatalogDocument
from planner.find_records import FoundRecords
from planner.raw_file_ids import AskedText, read_ids
from planner.records import FileInfoEntry, RawFileRecord, UnusableEntry
from planner.search import Search
from planner.similar_ids import find_similar, long_enough, nearest_ids
from schemas.errors import CatalogError, ConfigError
from schemas.etag import MIB, Etag, part_count
from schemas.s3_location import ListedObject, ListedPlace, explain_bad_bucket_name
from schemas.text import printable, writable

LISTING_SCHEME = "s3://"

_FALLBACK_LAYOUT = re.compile(r"([^/]+/[0-9]{4}_[0-9]{2})/(?=[^/]+\.(?:raw|d|wiff)(?:/|\Z))", re.IGNORECASE)
_SCIEX = ".wiff"
_MOST_MIB = 5120
_ASKED_AT_ONCE = 1000
# Part sizes in MiB that uploads are made with, those of AlphaKraken first, then those of common clients.
_KNOWN_SIZES = ((100, 500), (5, 8, 16, 32, 64, 128, 256, 512, 1024))


@dataclass(frozen=True, slots=True)
class _Upload:
    """A raw file's name, where its objects lie, and which these are."""

    name: str
    path: str
    layout: str
    objects: list[tuple[str, ListedObject]]  # by relative path


def parse_listing_address(address: str) -> ListedPlace:
    """Return what `s3://BUCKET[/PREFIX]` names.

    Raises:
        ConfigError: it names no bucket, or a prefix that no key of AlphaKraken's has.
    """
    bucket_name, _, prefix = address.removeprefix(LISTING_SCHEME).partition("/")
    prefix = prefix.strip("/")
    shown = printable(address, 300)
    if reason := explain_bad_bucket_name(bucket_name):
        raise ConfigError(f"--catalog {shown}: {reason}; expected s3://BUCKET or s3://BUCKET/PREFIX")
    if "//" in prefix or prefix != prefix.strip():
        raise ConfigError(f"--catalog {shown}: expected a prefix without doubled slashes, and without blanks around it")
    return ListedPlace(bucket_name=bucket_name, prefix=prefix)


def find_listed(
    listing: BucketListing, project_id: str, texts: Sequence[AskedText] | None, search: Search
) -> FoundRecords:
    """Return what a bucket has of what is asked for; everything where nothing in particular is.

    Args:
        listing: of the bucket.
        project_id: what the raw files are restored as; a bucket does not say it.
        texts: what is asked for by id, which may turn out to be nothing; None if no ids were given.
        search: of which the patterns count; they choose by name, without the folder that an id may begin with.

    Raises:
        CatalogError: nothing is listed there, or nothing that the patterns ask for.
        S3UnansweredError: S3 gave no answer.
    """
    uploads = _uploads(listing)
    if not uploads:
        raise CatalogError(f"{listing.place} has no objects: nothing can be planned out of it")
    asked = read_ids(texts or (), uploads)
    matching = [raw_file_id for raw_file_id, upload in uploads.items() if search.matches({"_id": upload.name})]
    if search.patterns and not matching:
        raise CatalogError(f"{listing.place} has no raw files of {search}")
    everything = texts is None and not search.patterns
    wanted = dict.fromkeys([*asked.raw_file_ids, *(matching if search.patterns or everything else [])])
    chosen = {raw_file_id: uploads[raw_file_id] for raw_file_id in wanted if raw_file_id in uploads}
    names = long_enough(asked.unknown)
    return FoundRecords(
        raw_file_ids=asked.raw_file_ids,
        records=tuple(_records(listing, chosen.items(), project_id)),
        pasted=asked.pasted,
        nearest=nearest_ids(names, find_similar(names, _names_of(uploads))),
    )


def find_part_size_mb(etag: Etag, size_bytes: int, first_part_bytes: int | None) -> tuple[int, str | None]:
    """Return the size in MiB of the parts that an object was uploaded in, and a note where it had to be inferred.

    Args:
        etag: whose suffix is the number of parts.
        size_bytes: of the object.
        first_part_bytes: as S3 says it; None if it does not, or says something that cannot be.

    Raises:
        ValueError: it stays open; the message is the report's.
    """
    if etag.parts is None or etag.parts == 1:
        return min(_MOST_MIB, max(1, -(-size_bytes // MIB))), None
    if first_part_bytes and part_count(size_bytes, first_part_bytes) == etag.parts:
        if first_part_bytes % MIB:
            raise ValueError(f"Not verifiable: its parts have {first_part_bytes:,} bytes, not a whole number of MiB")
        return first_part_bytes // MIB, None
    smallest = max(1, -(-size_bytes // (etag.parts * MIB)))
    largest = min(_MOST_MIB, (size_bytes - 1) // ((etag.parts - 1) * MIB))
    possible = range(smallest, largest + 1)
    for sizes in (possible if len(possible) == 1 else (), *_KNOWN_SIZES):
        fitting = [size for size in sizes if size in possible]
        if len(fitting) == 1:
            note = f"chunk size {fitting[0]} MB is inferred from the size and the number of parts: S3 does not tell it"
            return fitting[0], note
    open_sizes = f"may have {smallest} to {largest} MB each" if possible else "are not of a size in whole MB"
    raise ValueError(
        f"Not verifiable: S3 does not tell the size of its parts, and {etag.parts} of {size_bytes:,} bytes {open_sizes}"
    )


def _uploads(listing: BucketListing) -> dict[str, _Upload]:
    """Return the raw files of a listing by id, in its order; those that share a name are named by their paths."""
    found_uploads: dict[tuple[str, str], _Upload] = {}
    for found in listing.list_objects():
        if found.key.endswith("/") and found.size_bytes == 0:
            continue  # the mark of a folder, which some programs leave
        layout, own_folder, name, relative_path = _split(found.key[len(listing.place.key_begin) :])
        upload_path = str(listing.place) + "".join(f"{folder}/" for folder in (layout, own_folder) if folder)
        upload = found_uploads.setdefault((upload_path, name), _Upload(name, upload_path, layout, []))
        upload.objects.append((relative_path, found))
    of_one_name = Counter(upload.name for upload in found_uploads.values())
    uploads: dict[str, _Upload] = {}
    for upload in found_uploads.values():
        is_shared = of_one_name[upload.name] > 1 and upload.layout
        raw_file_id = f"{upload.layout}/{upload.name}" if is_shared else upload.name
        # `s.wiff` and `s.wiff/s.wiff` may lie side by side
        uploads[raw_file_id if raw_file_id not in uploads else f"{raw_file_id}/{upload.name}"] = upload
    return uploads


def _names_of(uploads: Mapping[str, _Upload]) -> Iterator[CatalogDocument]:
    """Yield the ids and names of uploads, as a catalog has them."""
    return ({"_id": raw_file_id, "original_name": upload.name} for raw_file_id, upload in uploads.items())


def _split(path: str) -> tuple[str, str, str, str]:
    """Return a key's `<instrument>/<YYYY_MM>`, the folder of a raw file of Sciex, the id and the relative path.

    >>> _split("astral1/2025_01/x.d/y"), _split("s.wiff/s.wiff.scan"), _split("other/y.bin")
    (('astral1/2025_01', '', 'x.d', 'x.d/y'), ('', 's.wiff', 's.wiff', 's.wiff.scan'), ('', '', 'other', 'other/y.bin'))
    """
    match = _FALLBACK_LAYOUT.match(path)
    layout = match[1] if match else ""
    path = path[len(layout) + 1 :] if layout else path
    top, slash, below = path.partition("/")
    if slash and below and top.lower().endswith(_SCIEX):
        return layout, top, top, below
    return layout, "", top or path, path


def _records(
    listing: BucketListing, uploads: Iterable[tuple[str, _Upload]], project_id: str
) -> Iterator[RawFileRecord]:
    """Yield the records of uploads, asking S3 for the parts of a thousand objects at a time."""
    pending: list[tuple[str, _Upload]] = []
    waiting = 0
    for raw_file_id, upload in uploads:
        pending.append((raw_file_id, upload))
        waiting += len(upload.objects)
        if waiting >= _ASKED_AT_ONCE:
            yield from _records_of_some(listing, pending, project_id)
            pending, waiting = [], 0
    yield from _records_of_some(listing, pending, project_id)


def _records_of_some(
    listing: BucketListing, uploads: Sequence[tuple[str, _Upload]], project_id: str
) -> Iterator[RawFileRecord]:
    in_parts = [found for _, upload in uploads for _, found in upload.objects if _has_parts(found.etag)]
    sizes = dict(zip((found.key for found in in_parts), listing.first_part_sizes(in_parts), strict=True))
    for raw_file_id, upload in uploads:
        yield RawFileRecord(
            raw_file_id=writable(raw_file_id),
            project_id=project_id,
            s3_upload_path=upload.path,
            entries=tuple(_entry(path, found, sizes.get(found.key)) for path, found in upload.objects),
            backup_base_path=upload.layout or None,
            notes=(f"made from the listing of {listing.place}: nothing but S3 itself vouches for its etags",),
        )


def _has_parts(etag: str) -> bool:
    try:
        return (Etag.parse(etag).parts or 1) > 1
    except ValueError:
        return False


def _entry(relative_path: str, found: ListedObject, first_part_bytes: int | None) -> FileInfoEntry | UnusableEntry:
    try:
        etag = Etag.parse(found.etag)
    except ValueError as error:
        reason = f"Not verifiable: {printable(str(error))}"
        return UnusableEntry(relative_path=relative_path, reason=reason, size_bytes=found.size_bytes)
    try:
        chunk_size_mb, note = find_part_size_mb(etag, found.size_bytes, first_part_bytes)
    except ValueError as error:
        return UnusableEntry(relative_path=relative_path, reason=str(error), size_bytes=found.size_bytes)
    return FileInfoEntry(
        relative_path=relative_path,
        size_bytes=found.size_bytes,
        etag=found.etag,
        chunk_size_mb=chunk_size_mb,
        notes=(note,) if note else (),
    )
