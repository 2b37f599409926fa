"""Says what a plan needs from S3's archives, and how far its restore has come. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence

from applier.restore.thaw import ThawFile, ThawLook, ThawState
from applier.s3.archive import Archive, RestoreRequest, Tier
from kraken_plan.views.table import Cell, Column, Paint, Tone, Toned, table_lines
from schemas.text import counted, human_size, printable

_MOST_NAMED = 20
_TONES = {
    ThawState.READY: Tone.GOOD,
    ThawState.RIGHT_ALREADY: Tone.GOOD,
    ThawState.UNDER_WAY: Tone.NOTABLE,
    ThawState.ARCHIVED: Tone.NOTABLE,
    ThawState.CANNOT: Tone.BAD,
}
_COLUMNS = (
    Column("State"),
    Column("Archive"),
    Column("Files", right=True),
    Column("Size", right=True),
    Column("A restore takes"),
)
_NOTHING = "-"
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects-retrieval-options.html
_SHALLOW = {Tier.EXPEDITED: "1 to 5 minutes", Tier.STANDARD: "3 to 5 hours", Tier.BULK: "5 to 12 hours"}
_DEEP = {Tier.STANDARD: "up to 12 hours", Tier.BULK: "up to 48 hours"}
_DURATIONS = {
    Archive.GLACIER: _SHALLOW,
    Archive.ARCHIVE_ACCESS: _SHALLOW,
    Archive.DEEP_ARCHIVE: _DEEP,
    Archive.DEEP_ARCHIVE_ACCESS: _DEEP,
}


def thaw_lines(look: ThawLook, request: RestoreRequest, paint: Paint) -> Iterator[str]:
    """Yield a table of how many files are in which state, and then why some cannot be restored."""
    yield from table_lines(_COLUMNS, lambda: _rows(look, request), paint)
    yield from failure_lines(look.of(ThawState.CANNOT))


def failure_lines(files: Sequence[ThawFile]) -> Iterator[str]:
    """Yield why files cannot be restored, the first of them by name."""
    for file in files[:_MOST_NAMED]:
        reason = file.failure.message if file.failure else _NOTHING
        yield f"cannot  {printable(file.target.file.relative_path)}: {reason}"
    if len(files) > _MOST_NAMED:
        yield f"… and {len(files) - _MOST_NAMED:,} more"


def thaw_question(files: Sequence[ThawFile], request: RestoreRequest) -> str:
    """Return what is to be decided before S3 is asked to restore these files."""
    copies = any(file.archive is not None and file.archive.makes_copies for file in files)
    days = f", to keep the copies for {counted(request.days, 'day')}" if copies else ""
    return f"Ask S3 to restore {_amount(files)} with tier {request.tier.value}{days}? AWS charges for that."


def thaw_summary(look: ThawLook) -> str:
    """Return in one line how many files are in which state."""
    counts = Counter(file.state for file in look.files)
    named = ", ".join(f"{counts[state]:,} {state.value}" for state in ThawState if counts[state])
    return f"{counted(len(look.files), 'file')}: {named or 'nothing to restore'}"


def _amount(files: Sequence[ThawFile]) -> str:
    return f"{counted(len(files), 'file')} ({human_size(sum(file.size_bytes or 0 for file in files))})"


def _rows(look: ThawLook, request: RestoreRequest) -> Iterator[Sequence[Cell]]:
    for state in ThawState:
        files = look.of(state)
        for archive in (None, *Archive):
            group = [file for file in files if file.archive is archive]
            if group:
                duration = _NOTHING
                if archive is not None and state is ThawState.ARCHIVED:
                    duration = _DURATIONS[archive].get(request.tier, _NOTHING)
                yield (
                    Toned(state.value, _TONES[state]),
                    _NOTHING if archive is None else archive.value,
                    f"{len(group):,}",
                    human_size(sum(file.size_bytes or 0 for file in group)),
                    duration,
                )
