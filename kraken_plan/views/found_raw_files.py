"""Shows raw files that a search found, line by line: a table for people, JSON lines for programs."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

from kraken_plan.views.plan_sections import NOTHING, name_of, size_or_nothing
from kraken_plan.views.table import Cell, Column, Paint, Tone, Toned, streamed_lines
from planner.backup_status import UPLOAD_DONE
from planner.records import FoundRawFile
from schemas.text import printable

_COLUMNS = (
    Column("Raw file"),
    Column("Project"),
    Column("Instrument"),
    Column("Acquired (UTC)"),
    Column("Files", right=True),
    Column("Size", right=True),
    Column("Backup"),
)


def found_lines(found: Iterable[FoundRawFile], paint: Paint) -> Iterator[str]:
    """Yield a table, a line for each raw file."""
    return (f"{line}\n" for line in streamed_lines(_COLUMNS, map(_row, found), paint))


def found_as_json(found: Iterable[FoundRawFile]) -> Iterator[str]:
    """Yield JSON lines; all but ASCII is escaped."""
    for raw_file in found:
        created_at = None if raw_file.created_at is None else f"{raw_file.created_at:%Y-%m-%dT%H:%M:%SZ}"
        yield json.dumps({**asdict(raw_file), "created_at": created_at}) + "\n"


def _row(raw_file: FoundRawFile) -> Sequence[Cell]:
    return (
        printable(raw_file.raw_file_id),
        name_of(raw_file.project_id),
        name_of(raw_file.instrument_id),
        NOTHING if raw_file.created_at is None else f"{raw_file.created_at:%Y-%m-%d %H:%M}",
        f"{raw_file.files:,}",
        size_or_nothing(raw_file.size_bytes),
        _backup(raw_file),
    )


def _backup(raw_file: FoundRawFile) -> Toned:
    if raw_file.backup_status is None:
        return Toned(NOTHING, Tone.FAINT)
    done = raw_file.backup_status == UPLOAD_DONE
    return Toned(printable(raw_file.backup_status, 100), Tone.GOOD if done else Tone.NOTABLE)
