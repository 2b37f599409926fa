"""Finds planned files that the file system would merge: equal but for case, Unicode form, or dots and blanks at an end.

Whether a file system folds names, and how, differs (SMB, macOS, casefolded ext4) and cannot be asked for. So where a
plan has such names at all, which few have, they are tried out in an empty folder of our own.
"""

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from applier.disk.folders import (
    OutputFolder,
    closing_descriptor,
    create_file,
    list_names,
    open_folder,
    open_regular_file,
)
from applier.disk.left_runs import LOCK_SUFFIX, note_closed, note_open, open_base
from applier.disk.run_owner import this_process
from schemas.errors import DestinationError
from schemas.paths import STAGING_FOLDER, folded_path, path_below
from schemas.plan import Plan
from schemas.plan_rules import PlannedPath, find_conflicts
from schemas.text import printable

_MAX_NUMBER_BYTES = 20


def find_merged_files(plan: Plan, output: OutputFolder) -> list[tuple[PlannedPath, PlannedPath]]:
    """Return every planned file that the file system would merge with another, with one such other.

    Raises:
        DestinationError: it cannot be tried out.
    """
    suspects = find_conflicts(plan, folded_path)
    if not suspects:
        return []
    names = {name for pair in suspects for claim in pair for name in path_below(claim.path, output.path).split("/")}
    forms: dict[str, str] = {}
    for destination in sorted({claim.raw_file.destination_base or output.path for claim, _ in suspects}):
        try:
            with folder_of_our_own(output, path_below(destination, output.path)) as folder:
                forms |= {name: form for name, form in forms_of_names(sorted(names), folder) if form != name}
        except OSError as error:
            raise DestinationError(
                f"{printable(destination)}: whether names are kept apart there cannot be tried out: {error.strerror}"
            ) from error

    def form(path: str) -> str:
        return "/".join(forms.get(name, name) for name in path.split("/"))

    return find_conflicts(plan, form) if forms else []


def forms_of_names(names: Sequence[str], folder: int) -> Iterator[tuple[str, str]]:
    """Yield every name with the first one that the file system takes for the same; fills the folder."""
    for number, name in enumerate(names):
        with suppress(FileExistsError), closing_descriptor(create_file(name, folder)) as made:
            os.write(made, str(number).encode())
        with closing_descriptor(open_regular_file(name, folder)) as found:
            yield name, names[int(os.pread(found, _MAX_NUMBER_BYTES, 0))]


@contextmanager
def folder_of_our_own(output: OutputFolder, destination: str) -> Iterator[int]:
    """Make an empty folder in the deepest folder of a destination that is there, and remove it with all in it.

    It is named and locked like a run's, so that a later run cleans up what a killed one leaves.
    """
    own = this_process().run_name(f"names-{uuid.uuid4().hex[:16]}")
    with output.deepest_folder(destination) as deepest:
        try:
            with closing_descriptor(open_base(deepest)) as base:
                note_open(own)
                try:
                    os.close(create_file(own + LOCK_SUFFIX, base))
                    os.mkdir(own, 0o700, dir_fd=base)
                    with closing_descriptor(open_folder(own, base)) as folder:
                        yield folder
                finally:
                    _remove(own, base)
                    note_closed(own)
        finally:
            with suppress(OSError):  # another run uses it
                os.rmdir(STAGING_FOLDER, dir_fd=deepest)


def _remove(own: str, base: int) -> None:
    with suppress(OSError), closing_descriptor(open_folder(own, base)) as folder:
        for name in list_names(folder):
            with suppress(OSError):
                os.unlink(name, dir_fd=folder)
    with suppress(OSError):
        os.rmdir(own, dir_fd=base)
    with suppress(OSError):
        os.unlink(own + LOCK_SUFFIX, dir_fd=base)
