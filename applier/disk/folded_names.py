"""Planned files that are two for the plan and one for the file system: equal but for case or Unicode form.

Whether a file system folds names, and how, differs (SMB, macOS, casefolded ext4) and cannot be asked for. So where a
plan has such names at all, which few have, they are tried out in an empty folder of our own.
"""

import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from applier.disk.folders import OutputFolder, closing_descriptor, open_folder, open_or_make_folder
from schemas.errors import DestinationError, PlanError
from schemas.paths import STAGING_FOLDER, folded_path, path_below
from schemas.plan import Plan
from schemas.plan_rules import find_conflicts
from schemas.text import printable


def check_names(plan: Plan, output: OutputFolder) -> None:
    """See that the file system keeps apart what the plan does, before anything is written.

    Raises:
        DestinationError: names all files that would be one; or it cannot be tried out.
    """
    suspects = find_conflicts(plan, folded_path)
    if not suspects:
        return
    names = {name for pair in suspects for claim in pair for name in path_below(claim.path, output.path).split("/")}
    forms: dict[str, str] = {}
    for destination in sorted({claim.raw_file.destination_base or output.path for claim, _ in suspects}):
        try:
            with _folder_of_our_own(output, path_below(destination, output.path)) as folder:
                forms |= {name: form for name, form in _forms(sorted(names), folder) if form != name}
        except OSError as error:
            raise DestinationError(
                f"{printable(destination)}: whether names are kept apart there cannot be tried out: {error.strerror}"
            ) from error

    def form(path: str) -> str:
        return "/".join(forms.get(name, name) for name in path.split("/"))

    if conflicts := find_conflicts(plan, form) if forms else []:
        shown = [f"\n  {claim} and {other}" for claim, other in conflicts[: PlanError.SHOWN]]
        more = f"\n  … and {len(conflicts) - len(shown)} more" if len(conflicts) > len(shown) else ""
        raise DestinationError(
            "nothing was restored: the file system makes one file of names that the plan keeps apart (restore to one "
            f"that does not, with --output-root):{''.join(shown)}{more}"
        )


def _forms(names: Sequence[str], folder: int) -> Iterator[tuple[str, str]]:
    """Yield every name with the first one that is the same to the file system; fills the folder."""
    for number, name in enumerate(names):
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=folder)
            with closing_descriptor(open_folder(name, folder)) as made:
                os.mkdir(str(number), dir_fd=made)
        with closing_descriptor(open_folder(name, folder)) as found:
            (first,) = os.listdir(found)  # noqa: PTH208  # pathlib knows no descriptors
        yield name, names[int(first)]


@contextmanager
def _folder_of_our_own(output: OutputFolder, destination: str) -> Iterator[int]:
    """Make an empty folder in the deepest folder of a destination that is there, and remove it with all in it."""
    own = f"names-{uuid.uuid4().hex[:16]}"
    with output.folder(_deepest(output, destination)) as deepest:
        try:
            with closing_descriptor(open_or_make_folder(STAGING_FOLDER, deepest)) as base:
                try:
                    os.mkdir(own, dir_fd=base)
                    with closing_descriptor(open_folder(own, base)) as folder:
                        yield folder
                finally:
                    shutil.rmtree(own, ignore_errors=True, dir_fd=base)
        finally:
            with suppress(OSError):  # another run uses it
                os.rmdir(STAGING_FOLDER, dir_fd=deepest)


def _deepest(output: OutputFolder, destination: str) -> str:
    while destination:
        with suppress(FileNotFoundError), output.folder(destination):
            return destination
        destination = destination.rpartition("/")[0]
    return ""
