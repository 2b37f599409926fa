"""Checks what a JSON Schema cannot express: safe paths, possible etags, no two files in each other's way."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from schemas.etag import Etag, explain_impossible
from schemas.paths import (
    explain_long_path,
    explain_unsafe_absolute_path,
    explain_unsafe_relative_path,
    is_within,
    join_path,
    path_below,
)
from schemas.plan import Plan, PlannedFile, RawFilePlan
from schemas.s3_location import explain_bad_bucket_name
from schemas.text import printable


@dataclass(frozen=True, slots=True)
class PlannedPath:
    """One planned file seen as a claim on a path of the file system."""

    raw_file: RawFilePlan
    file: PlannedFile

    @property
    def path(self) -> str:
        """The absolute destination."""
        return self.raw_file.absolute_dest_path(self.file)

    def agrees_with(self, other: "PlannedPath") -> bool:
        """Tell whether two entries may share a destination: as far as both describe their bytes, these are the same."""
        one, two = self.file, other.file
        same_chunks = "-" not in one.expected_etag or one.chunk_size_mb == two.chunk_size_mb
        same_size = None in {one.expected_size, two.expected_size} or one.expected_size == two.expected_size
        return one.expected_etag == two.expected_etag and same_chunks and same_size

    def __str__(self) -> str:
        return f"{printable(self.raw_file.raw_file_id)}: {printable(self.file.relative_path)}"


def find_rule_issues(plan: Plan) -> list[str]:
    """Return every rule that a plan breaks, one line each, naming the entry."""
    issues = []
    if reason := explain_unsafe_absolute_path(plan.output_location):
        issues.append(f"output_location {printable(plan.output_location)!r} is unsafe: {reason}")
    for raw_file in plan.raw_files:
        issues += [
            f"raw file {printable(raw_file.raw_file_id)!r}: {issue}" for issue in _raw_file_issues(plan, raw_file)
        ]
    if not issues:  # conflicts can only be found between safe paths
        for claim, other in find_conflicts(plan):
            issues.append(f"{claim} conflicts with {other}: {explain_conflict(claim, other)}")
    return issues


def find_conflicts(plan: Plan, form: Callable[[str], str] = str) -> list[tuple[PlannedPath, PlannedPath]]:
    """Return every planned file that is in another's way, paired with one of those, in the plan's order.

    Takes memory and time in proportion to the plan's text, however deep its paths are.

    Args:
        plan: its paths are safe.
        form: gives the form under which the file system knows a path: two paths with one form are one file. By default,
            every path is a file of its own.

    Two entries conflict if they have one destination path but not the same content, or if one is a folder on the
    other's path (`a` and `a/b` are both legal keys, and impossible as files).
    """
    paths = [form(claim.path) for claim in _claims(plan)]
    if _are_apart(paths):  # as in nearly every plan
        return []
    claims = list(_claims(plan))
    others: dict[int, int] = {}  # the place of a claim in the plan -> that of one in its way
    for same_path, nested in _nested_paths(paths):
        first, *more = same_path
        rivals = [index for index in more if not claims[first].agrees_with(claims[index])]
        for index in same_path:
            if rivals:
                others[index] = first if index in rivals else rivals[0]
            elif nested is not None:
                others[index] = nested
    return [(claims[index], claims[others[index]]) for index in sorted(others)]


def _are_apart(paths: Sequence[str]) -> bool:
    """Tell whether no path stands there twice and none is a folder on another's way."""
    files = set(paths)
    if len(files) < len(paths):
        return False
    above: list[str] = []  # folders with files, each within the one before it
    for folder in sorted({path.rpartition("/")[0] for path in paths}, key=_folders_first):
        while above and not folder.startswith(f"{above[-1]}/"):
            above.pop()
        # a file in the way of this folder lies in one of those above; towards the outer ones it was looked for before
        end = folder.find("/", len(above[-1]) + 1) if above else len(folder)
        if (folder if end < 0 else folder[:end]) in files:
            return False
        above.append(folder)
    return True


def _folders_first(path: str) -> str:
    """Return what to sort safe paths by, so that what lies below a path follows it directly: nothing precedes a NUL."""
    return path.replace("/", "\0")


@dataclass(slots=True)
class _ClaimedPath:
    """A path with the claims on it, by their places in the plan, and the first claim below it."""

    path: str
    claims: list[int]
    folder: "_ClaimedPath | None"
    first_below: int | None = None


def _nested_paths(paths: Sequence[str]) -> Iterator[tuple[list[int], int | None]]:
    """Yield the claims on each path, with the first claim below it, else one on the nearest folder on its way."""
    order = sorted(range(len(paths)), key=lambda index: _folders_first(paths[index]))
    folder: _ClaimedPath | None = None
    for path, claims in groupby(order, key=paths.__getitem__):
        while folder is not None and not path.startswith(f"{folder.path}/"):
            yield from _left(folder)
            folder = folder.folder
        folder = _ClaimedPath(path, list(claims), folder)
    while folder is not None:
        yield from _left(folder)
        folder = folder.folder


def _left(claimed: _ClaimedPath) -> Iterator[tuple[list[int], int | None]]:
    """Yield a path whose last claim below has been seen, and tell the folder that it is in."""
    folder, below = claimed.folder, claimed.first_below
    if folder is not None:
        seen = (claimed.claims[0], below, folder.first_below)
        folder.first_below = min(index for index in seen if index is not None)
    yield claimed.claims, folder.claims[0] if below is None and folder is not None else below


def explain_conflict(claim: PlannedPath, other: PlannedPath) -> str:
    """Return in words why two entries conflict.

    The words stand in plans as errors, and so in their digests: others would give the same catalog another digest.
    """
    if claim.path == other.path and claim.file.expected_etag == other.file.expected_etag:
        return (
            f"one destination and etag, but {claim.file.expected_size} and {other.file.expected_size} bytes, in chunks "
            f"of {claim.file.chunk_size_mb} and {other.file.chunk_size_mb} MB"
        )
    if claim.path == other.path:
        return f"one destination, but etag {claim.file.expected_etag} and {other.file.expected_etag}"
    return "one would have to be a file and the folder of the other"


def explain_bad_file(file: PlannedFile, destination_base: str) -> str | None:
    """Return why a planned file can never be restored, in the report's words; None if it can."""
    path = file.relative_path
    if reason := explain_unsafe_relative_path(path) or explain_long_path(join_path(destination_base, path)):
        return f"Unsafe path: {reason}"
    try:
        etag = Etag.parse(file.expected_etag)
    except ValueError as error:
        return f"Not verifiable: {error}"
    if reason := explain_impossible(etag, file.expected_size, file.chunk_size_mb):
        return f"Not verifiable: {reason}"
    return None


def explain_bad_destination(destination_base: str, output_location: str) -> str | None:
    """Return why this cannot be a destination in a plan with this output location; None if it can."""
    if reason := explain_unsafe_absolute_path(destination_base):
        return reason
    if not is_within(destination_base, output_location):
        return f"it is not within the output_location {printable(output_location)}"
    below = path_below(destination_base, output_location)
    return explain_unsafe_relative_path(below) if below else None


def _claims(plan: Plan) -> Iterator[PlannedPath]:
    return (PlannedPath(raw_file, file) for raw_file, file in plan.planned_files())


def _raw_file_issues(plan: Plan, raw_file: RawFilePlan) -> Iterable[str]:
    if raw_file.destination_base is not None and (
        reason := explain_bad_destination(raw_file.destination_base, plan.output_location)
    ):
        yield f"destination_base {printable(raw_file.destination_base)!r} is unsafe: {reason}"
    if raw_file.error is not None:
        return
    if raw_file.bucket_name is not None and (reason := explain_bad_bucket_name(raw_file.bucket_name)):
        yield f"bucket_name: {reason}"
    for file in raw_file.files:
        if isinstance(file, PlannedFile) and (reason := explain_bad_file(file, raw_file.destination_base or "")):
            yield f"file {printable(file.relative_path, 300)!r}: {reason}"
