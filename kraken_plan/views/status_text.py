"""What `kraken-plan status` says: lines for people, JSON for programs. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from applier.restore.preflight import Preflight
from applier.restore.status import FileStatus, LocalFile, S3State, Totals, WouldDo
from kraken_plan.views.json_document import document_with_list
from kraken_plan.views.table import Cell, Column, Paint, Tone, Toned, table_lines
from schemas.text import human_size, printable


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanStatus:
    """All that was seen of a plan.

    Args:
        plan_digest: the plan's.
        files: every entry, in the plan's order.
        preflight: buckets, destinations, space.
        hashed: whether local files were read, not only their sizes.
        rate: bytes a second, as the user expects them; None for no estimate of the time: a look fetches nothing and so
            measures none.
    """

    plan_digest: str
    files: Sequence[FileStatus]
    preflight: Preflight
    hashed: bool
    rate: int | None

    @property
    def seconds_to_fetch(self) -> int | None:
        """How long it takes to fetch what is missing, at the rate given."""
        return None if self.rate is None else round(Totals.of(self.files).bytes_to_fetch / self.rate)


_COLUMNS = (
    Column("Apply"),
    Column("S3"),
    Column("Local"),
    Column("Size", right=True),
    Column("File"),
    Column("Why"),
)
_UNKNOWN = "?"
_TONES = {
    WouldDo.SKIP: Tone.GOOD,
    WouldDo.VERIFY: Tone.NOTABLE,
    WouldDo.DOWNLOAD: Tone.NOTABLE,
    WouldDo.HEAL: Tone.NOTABLE,
    WouldDo.CANNOT: Tone.BAD,
}
_GOOD = frozenset({S3State.AS_PLANNED, LocalFile.RIGHT})


def status_lines(status: PlanStatus, paint: Paint) -> Iterator[str]:
    """Yield a table with a line for every entry, and what it comes to."""
    yield from table_lines(_COLUMNS, lambda: map(_row, status.files), paint)
    yield ""
    yield from _summary(status)


def _row(file: FileStatus) -> Sequence[Cell]:
    return (
        Toned(file.would_do.value, _TONES[file.would_do]),
        _state(file.s3),
        _state(file.local),
        _UNKNOWN if file.size_bytes is None else human_size(file.size_bytes),
        printable(file.raw_file_id if file.relative_path is None else file.relative_path),
        printable(file.detail),
    )


def _state(state: S3State | LocalFile) -> Cell:
    return state.value if state in _GOOD else Toned(state.value, Tone.NOTABLE)


def _summary(status: PlanStatus) -> Iterator[str]:
    totals = Totals.of(status.files)
    counts = ", ".join(f"{count:,} {would_do.value}" for would_do, count in totals.files.items() if count)
    entries = "1 entry" if len(status.files) == 1 else f"{len(status.files):,} entries"
    condition = ", if what is unverified is right" if totals.files[WouldDo.VERIFY] else ""
    yield f"{entries}: {counts or 'nothing'}; to be fetched: {human_size(totals.bytes_to_fetch)} at most{condition}"
    if not status.hashed:
        yield "Local files were not read (--no-local-hash): of what is unverified only the size is right"
    for space in status.preflight.spaces:
        yield f"Space: {space} (quotas cannot be seen)"
    if status.rate is not None:
        time = timedelta(seconds=status.seconds_to_fetch or 0)
        yield f"Time: {time} (h:mm:ss) to fetch all of it at {human_size(status.rate)} a second"
    problems = status.preflight.problems()
    if problems:
        yield "As things stand, apply would be refused:"
        yield from (f"  {problem}" for problem in problems)


def status_json(status: PlanStatus) -> Iterator[str]:
    """Yield the same as one JSON document, each entry on a line of its own."""
    return document_with_list(_head(status), "files", map(_file, status.files))


def _head(status: PlanStatus) -> dict[str, object]:
    totals = Totals.of(status.files)
    return {
        "plan_digest": status.plan_digest,
        "nothing_to_do": totals.nothing_to_do,
        "local_files_hashed": status.hashed,
        "totals": {would_do.value: count for would_do, count in totals.files.items()},
        "bytes_to_fetch": totals.bytes_to_fetch,
        "seconds_to_fetch": status.seconds_to_fetch,
        "file_systems": [
            {
                "path": space.path,
                "missing_bytes": space.missing_bytes,
                "needed_bytes": space.needed_bytes,
                "free_bytes": space.free_bytes,
            }
            for space in status.preflight.spaces
        ],
        "apply_would_be_refused": status.preflight.problems(),
    }


def _file(file: FileStatus) -> dict[str, object]:
    return {
        "raw_file_id": file.raw_file_id,
        "relative_path": file.relative_path,
        "apply": file.would_do.value,
        "s3": file.s3.value,
        "local": file.local.value,
        "size_bytes": file.size_bytes,
        "bytes_to_fetch": file.bytes_to_fetch,
        "why": file.detail or None,
    }
