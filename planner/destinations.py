"""Decides where raw files are restored to: below the output location, or where AlphaKraken keeps its backup. Pure."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from planner.records import RawFileRecord
from schemas.paths import is_within, join_path, path_below
from schemas.plan_rules import explain_bad_destination
from schemas.text import printable, writable

_DRIVE = re.compile(r"[A-Za-z]:")


class UnresolvedError(ValueError):
    """A raw file that cannot be resolved as a whole; the message is the report's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where a raw file is restored to.

    Args:
        base: absolute path of the folder.
        notes: what a reviewer should know about it.
    """

    base: str
    notes: tuple[str, ...] = ()


Destinations = Callable[[RawFileRecord], Destination]
"""Returns the destination of a raw file, or raises UnresolvedError."""


def below_output(output_location: str) -> Destinations:
    """Return the destinations of an ordinary restore: a folder for each project below the output location."""

    def destination(record: RawFileRecord) -> Destination:
        if record.project_id is None:
            raise UnresolvedError(record.problem or "RawFile has no project_id")
        base = join_path(output_location, record.project_id)
        reason = explain_bad_destination(base, output_location)
        if "/" in record.project_id:
            reason = "it has a slash, expected the name of one folder"
        if reason is not None:
            raise UnresolvedError(f"Unsafe path: project_id {printable(record.project_id, 300)!r}: {reason}")
        return Destination(base=base)

    return destination


def where_the_backup_was(backup_location: str, restore_to: str) -> Destinations:
    """Return the destinations of a restore of the backup pool itself: each raw file's `backup_base_path`.

    Args:
        backup_location: where the catalog's paths lie, by the site's YAML.
        restore_to: what stands in its place: itself, or where it is mounted here.
    """

    def destination(record: RawFileRecord) -> Destination:
        path, notes = _backup_base_path(record)
        if not path.startswith("/"):
            path = join_path(backup_location, path)
        path = "/" + "/".join(component for component in path.split("/") if component)
        if not is_within(path, backup_location):
            raise UnresolvedError(
                f"Unsafe path: backup_base_path {printable(path, 300)!r} is not within the backup location "
                f"{printable(backup_location, 300)}"
            )
        below = path_below(path, backup_location)
        base = join_path(restore_to, below) if below else restore_to
        if reason := explain_bad_destination(base, restore_to):
            raise UnresolvedError(f"Unsafe path: backup_base_path {printable(path, 300)!r}: {reason}")
        return Destination(base=writable(base), notes=notes)

    return destination


def _explain_bad_backup_path(path: str) -> str | None:
    """Return why a path, which would otherwise become a folder below the pool, is not one of the pool."""
    if "\\" in path or _DRIVE.match(path):
        return "it is a Windows path; expected a path on the backup pool, with forward slashes"
    return "it begins or ends with a blank, so it would name another folder" if path != path.strip() else None


def _backup_base_path(record: RawFileRecord) -> tuple[str, tuple[str, ...]]:
    """Return a raw file's path on the backup pool; where the catalog names none, as AlphaKraken makes it up."""
    if record.backup_path_problem is not None:
        raise UnresolvedError(f"RawFile is malformed: {record.backup_path_problem}")
    if record.backup_base_path is not None:
        if (reason := _explain_bad_backup_path(record.backup_base_path)) is not None:
            path = printable(record.backup_base_path, 300)
            raise UnresolvedError(f"Unsafe path: backup_base_path {path!r}: {reason}")
        return record.backup_base_path, ()
    if record.instrument_id is None or record.created_at is None:
        missing = "instrument_id" if record.instrument_id is None else "created_at"
        raise UnresolvedError(
            record.problem or f"RawFile has no backup_base_path, and no {missing} that it could be made of"
        )
    if "/" in record.instrument_id:
        raise UnresolvedError(f"Unsafe path: instrument_id {printable(record.instrument_id, 300)!r} has a slash")
    path = f"{record.instrument_id}/{record.created_at:%Y_%m}"
    note = f"backup_base_path is not in the catalog: {printable(path, 300)} is made of instrument_id and created_at"
    return path, (note,)
