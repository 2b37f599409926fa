"""Tries out a destination: is it mounted, can it be written, and does it do what a restore relies on?

Tries in a folder of its own, named and locked like a run's, which is removed in the end.
"""

import errno
import fcntl
import os
import unicodedata
from collections.abc import Iterator

from applier.checkup.mounts import Mount, find_mount
from applier.disk.folders import OutputFolder, closing_descriptor, create_file, open_regular_file
from applier.disk.names import folder_of_our_own, forms_of_names
from applier.finding import Finding, right, unknown, warning, wrong
from schemas.atomic_file import CANNOT_SYNC_FOLDERS
from schemas.paths import join_path
from schemas.text import human_size, printable

_CONTENT = b"kraken-plan"
_LOCKS_ADVICE = "nothing is lost, but several runs at once may do the same work twice"


def try_destination(output: OutputFolder, destination: str) -> Iterator[Finding]:
    """Try out one destination, whose folder may still be missing.

    Args:
        output: the output location.
        destination: relative to it.
    """
    path = join_path(output.path, destination).rstrip("/") or "/"
    mount = find_mount(path)
    yield _mounted(path, mount)
    try:
        with output.deepest_folder(destination) as folder:
            status = os.fstatvfs(folder)
        yield _free(path, status)
        with folder_of_our_own(output, destination) as own:
            yield from _try_out(path, own, mount)
    except OSError as error:
        at = f": {printable(str(error.filename))}" if error.filename and error.filename != path else ""
        advice = f"have it opened to this account (uid {os.getuid()}), or restore elsewhere (--output-root DIR)"
        yield wrong("destination", f"{printable(path)}{at}: {error.strerror}", advice)


def _mounted(path: str, mount: Mount | None) -> Finding:
    name = printable(path)
    if mount is None:
        return unknown("mount", f"{name}: this system does not say what is mounted where")
    where = f"{name} is on {printable(mount.kind)}, {printable(mount.source)} at {printable(mount.point)}"
    if mount.point == "/":
        return warning("mount", where, "this is the system's own disk: is the pool mounted?")
    return right("mount", where)


def _free(path: str, status: os.statvfs_result) -> Finding:
    space = human_size(status.f_bavail * status.f_frsize) if status.f_blocks else "unknown space"
    inodes = f"{status.f_favail:,} files (inodes)" if status.f_files else "no limit on files"
    words = f"{printable(path)}: {space} free, {inodes}"
    is_full = (status.f_blocks and not status.f_bavail) or (status.f_files and not status.f_favail)
    return wrong("space", words, "make room") if is_full else right("space", words)


def _try_out(path: str, folder: int, mount: Mount | None) -> Iterator[Finding]:
    name = printable(path)
    for content, file in ((b"old", "old"), (_CONTENT, "new")):
        with closing_descriptor(create_file(file, folder)) as descriptor:
            os.write(descriptor, content)
            os.fsync(descriptor)
    yield right("destination", f"{name} can be written to")
    os.rename("new", "old", src_dir_fd=folder, dst_dir_fd=folder)
    with closing_descriptor(open_regular_file("old", folder)) as descriptor:
        found = os.pread(descriptor, len(_CONTENT) + 1, 0)
    if found == _CONTENT:
        yield right("rename", f"{name}: a file is replaced in one rename")
    else:
        yield wrong("rename", f"{name}: after a rename over a file, other bytes are there", "use another file system")
    yield _folder_sync(name, folder)
    yield _locks(name, folder, mount)
    yield _names(name, folder)


def _folder_sync(name: str, folder: int) -> Finding:
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in CANNOT_SYNC_FOLDERS:
            raise
        words = f"{name}: folders cannot be synced ({error.strerror})"
        return warning("fsync", words, "after a power loss, apply again: the files restored last may be missing")
    return right("fsync", f"{name}: files and folders are synced to the disk")


def _locks(name: str, folder: int, mount: Mount | None) -> Finding:
    with (
        closing_descriptor(open_regular_file("old", folder, os.O_RDWR)) as first,
        closing_descriptor(open_regular_file("old", folder, os.O_RDWR)) as second,
    ):
        try:
            fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return warning("locks", f"{name}: files cannot be locked ({error.strerror})", _LOCKS_ADVICE)
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
                raise
        else:
            return warning("locks", f"{name}: a lock keeps nobody out", _LOCKS_ADVICE)
    if mount is not None and mount.local_lock_option is not None:
        option = printable(mount.local_lock_option)
        return warning("locks", f"{name}: locks hold on this host only (mounted with {option})", _LOCKS_ADVICE)
    if mount is not None and mount.is_shared:
        return right("locks", f"{name}: files are locked, on this host; that others heed it was not tried")
    return right("locks", f"{name}: files are locked")


def _names(name: str, folder: int) -> Finding:
    pairs = {
        "upper and lower case": ("case", "CASE"),
        "composed and decomposed letters": (unicodedata.normalize("NFC", "ü"), unicodedata.normalize("NFD", "ü")),
        "names with and without a dot at the end": ("dot", "dot."),
    }
    merged = []
    for what, pair in pairs.items():
        forms = dict(forms_of_names(pair, folder))
        if len(set(forms.values())) == 1:
            merged.append(what)
    if not merged:
        return right("names", f"{name}: names are kept apart to the letter")
    advice = "a plan with two such names is refused there (--skip-conflicts restores everything else)"
    return warning("names", f"{name}: {' and '.join(merged)} are one name", advice)
