"""Groups failures by their cause, and says of each cause whether applying the same plan again helps. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import assert_never

from schemas.results import Failure, FailureKind, RawFileResult
from schemas.tally import Fate, fate_of_failure

_UNRESOLVED = Failure(FailureKind.UNRESOLVED, "some of its files could not be resolved: see the plan")


@dataclass(frozen=True, slots=True)
class Cause:
    """Why entries of a plan failed.

    Args:
        title: what it is called, as in the reports.
        again: whether applying again helps, to be read after "Applying again helps: ".
        option: of apply, without which applying again cannot help; None if there is no such option.
    """

    title: str
    again: str
    option: str | None = None


@dataclass(frozen=True, slots=True)
class FailedEntry:
    """An entry of a plan that is not verified: a file, or a raw file as a whole, without a relative path."""

    raw_file_id: str
    relative_path: str | None
    failure: Failure

    @property
    def name(self) -> str:
        """What people call it: its path, which usually begins with its raw file's name, or else both."""
        path = self.relative_path
        if path is None:
            return self.raw_file_id
        begins_so = path == self.raw_file_id or path.startswith(f"{self.raw_file_id}/")
        return path if begins_so else f"{self.raw_file_id}: {path}"


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """The entries that failed for one cause.

    Args:
        cause: theirs.
        entries: how many there are.
        first: the first of them in the plan's order.
    """

    cause: Cause
    entries: int
    first: tuple[FailedEntry, ...]


def cause_of(kind: FailureKind) -> Cause:  # noqa: C901, PLR0911, PLR0912  # a table
    """Return the cause that a kind of failure stands for; docs/failures.md has the same words."""
    match kind:
        case FailureKind.UNRESOLVED:
            return Cause("Unresolvable", "with a plan compiled anew")
        case FailureKind.S3_CORRUPTION:
            return Cause("S3 corruption detected", "no, the object must be put right")
        case FailureKind.OVERWRITTEN:
            return _with_option("S3 object was overwritten", "--recover-versions")
        case FailureKind.OTHER_PARTS:
            return _with_option("S3 object has other parts", "--accept-other-parts")
        case FailureKind.VERIFICATION:
            return Cause("Download verification failed", "perhaps")
        case FailureKind.KEY_NOT_FOUND:
            return Cause("S3 key not found", "if the key appears")
        case FailureKind.DELETED:
            return _with_option("S3 object was deleted", "--recover-versions")
        case FailureKind.BUCKET_MISSING:
            return Cause("S3 bucket does not exist", "with the right S3")
        case FailureKind.ACCESS_DENIED:
            return Cause("Access denied", "with the right credentials or permissions")
        case FailureKind.ARCHIVED:
            return Cause("Archived", "when the object is restored: kraken-plan thaw asks for it")
        case FailureKind.THAWING:
            option = "--wait-for-thaw"
            return Cause("Archived, restore under way", f"when the object is restored: {option} waits for it", option)
        case FailureKind.NETWORK:
            return Cause("Network error", "yes, when S3 is reachable")
        case FailureKind.TIMEOUT:
            return Cause("Timed out", "yes")
        case FailureKind.DISK_FULL:
            return Cause("Disk full", "when there is room")
        case FailureKind.CANNOT_WRITE:
            return Cause("Cannot write", "when it is writable")
        case FailureKind.CONFLICT:
            return Cause("Conflicts", "if one of them is restored elsewhere")
        case FailureKind.NOT_VERIFIABLE:
            return Cause("Not verifiable", "perhaps with --accept-md5")
        case FailureKind.INTERRUPTED | FailureKind.NOT_ATTEMPTED:
            return Cause("Not attempted", "yes")
        case FailureKind.NOT_AS_RESTORED:
            return Cause("Not as restored", "yes")
        case FailureKind.NOT_AS_PLANNED:
            return Cause("Not as planned", "yes")
        case FailureKind.UNFORESEEN:
            return Cause("Unforeseen error", "perhaps")
        case _:
            assert_never(kind)


def _with_option(title: str, option: str) -> Cause:
    return Cause(title, f"with {option}", option)


def helping_options(groups: Iterable["FailureGroup"]) -> list[str]:
    """Return the options of apply without which applying again cannot help with all of these failures."""
    return list(dict.fromkeys(group.cause.option for group in groups if group.cause.option is not None))


def group_failures(
    raw_files: Iterable[RawFileResult], fate: Fate = Fate.FAILED, most_named: int = 3
) -> list[FailureGroup]:
    """Return the entries with one fate by their cause, the most frequent first.

    Args:
        raw_files: of a run, or of one of its destinations.
        fate: failed, unresolvable or not attempted.
        most_named: how many entries of each group to name.
    """
    counts: dict[Cause, int] = {}
    first: dict[Cause, list[FailedEntry]] = {}
    for entry, entries in _failed_entries(raw_files):
        if fate_of_failure(entry.failure.kind) is not fate:
            continue
        cause = cause_of(entry.failure.kind)
        counts[cause] = counts.get(cause, 0) + entries
        named = first.setdefault(cause, [])
        if len(named) < most_named:
            named.append(entry)
    groups = [FailureGroup(cause, entries, tuple(first[cause])) for cause, entries in counts.items()]
    return sorted(groups, key=lambda group: -group.entries)


def _failed_entries(raw_files: Iterable[RawFileResult]) -> Iterator[tuple[FailedEntry, int]]:
    """Yield what is not verified, and how many entries of the plan that is."""
    for raw_file in raw_files:
        if (failure := raw_file.failure) is not None:
            whole = fate_of_failure(failure.kind) is Fate.UNRESOLVABLE
            entries = 1 if whole else raw_file.planned_files - raw_file.unresolved_files
            if entries:
                yield FailedEntry(raw_file.raw_file_id, None, failure), entries
            if raw_file.unresolved_files and not whole:
                yield FailedEntry(raw_file.raw_file_id, None, _UNRESOLVED), raw_file.unresolved_files
        for file in raw_file.files:
            if file.failure is not None:
                yield FailedEntry(raw_file.raw_file_id, file.relative_path, file.failure), 1
