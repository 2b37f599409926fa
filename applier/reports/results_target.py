"""Opens the file that the user wants results in, and refuses to: over anything but earlier results of the same plan.

A file is written by one run: it is locked meanwhile, and looked at once more at the end, because on some file systems a
lock does not reach other hosts.
"""

import fcntl
import json
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from applier.reports.results_writer import ResultSink, ResultsWriter
from schemas.errors import ConfigError
from schemas.paths import REPORT_PREFIX, STAGING_FOLDER, folded_path, join_path, path_below
from schemas.plan import Plan
from schemas.results import RunHead
from schemas.results_file import HEAD_BEGINS, head_line
from schemas.text import printable

logger = logging.getLogger(__name__)

_LOOKED_AT_BYTES = 64 * 1024  # more than a head has


@contextmanager
def results_sink(
    path: Path | None, source: str, plan: Plan, run: RunHead, *, adds: bool = False
) -> Iterator[ResultSink]:
    """Give the sink of a run: a results file, or nothing.

    Args:
        path: of the file; earlier results of this plan are replaced, anything else is left untouched.
        source: the plan's path, which must not be overwritten.
        plan: as it is applied.
        run: how the run begins.
        adds: leave the earlier results of this plan in the file, and add those of this run.

    Raises:
        ConfigError: the file cannot be written, another run is writing it, it holds the results of another plan, or it
            would be in the plan's way.
    """
    if path is None:
        yield ResultSink()
        return
    if reason := _explain_bad_place(path, source, plan):
        raise ConfigError(f"--results {printable(str(path))}: {reason}")
    descriptor = _open_results(path, run.plan_digest, adds=adds)
    writer = ResultsWriter(path, descriptor, head_line(run).encode())
    try:
        yield writer
    finally:
        writer.close()


def _open_results(path: Path, plan_digest: str, *, adds: bool) -> int:
    """Return a descriptor of the file, locked, and empty unless results are to be added."""
    name = printable(str(path))
    try:
        if path.exists() and not path.is_file():  # opening a FIFO would wait for its other end
            reason: str | None = "something that is not a file already exists there"
        else:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            reason = _make_ours(descriptor, plan_digest, adds=adds)
    except OSError as error:
        reason = error.strerror or str(error)
    if reason is not None:
        raise ConfigError(f"--results {name}: {reason}")
    return descriptor


def _make_ours(descriptor: int, plan_digest: str, *, adds: bool) -> str | None:
    """Lock an open file, and empty it unless results are added; where that must not be, close it and return why."""
    with ExitStack() as undo:
        undo.callback(os.close, descriptor)
        if not _lock(descriptor):
            return "another run is writing to it; give each run a file of its own"
        begin = os.pread(descriptor, _LOOKED_AT_BYTES, 0)
        if begin and not begin.startswith(HEAD_BEGINS):
            return "a file that does not hold results already exists there; it was left untouched"
        if (other := _digest_in(begin)) not in {None, plan_digest}:
            return (
                f"it holds the results of another plan, {printable(other or '')}, and was left untouched: "
                "move it away, or name another file"
            )
        if not adds:
            os.ftruncate(descriptor, 0)
        undo.pop_all()
    return None


def _digest_in(begin: bytes) -> str | None:
    """Return the plan_digest in the head of a results file; None where a kill has left no whole head."""
    try:
        digest = json.loads(begin.partition(b"\n")[0])["plan_digest"]
    except (ValueError, KeyError, TypeError):
        return None
    return digest if isinstance(digest, str) else None


def _lock(descriptor: int) -> bool:
    """Lock a file until it is closed, and tell whether nobody else has it; where nothing can be locked, nobody has."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        logger.info("the results file cannot be locked: %s", error.strerror)
    return True


def _explain_bad_place(path: Path, source: str, plan: Plan) -> str | None:
    """Return why no results may be written to a path; None if they may."""
    with suppress(OSError):  # of what cannot be looked at, opening it says more
        if Path(source).exists() and path.samefile(source):
            return "this is the plan itself"
    name = folded_path(path.name)
    if STAGING_FOLDER in folded_path(os.path.realpath(path)).split("/") or name.startswith(REPORT_PREFIX):
        return f"{STAGING_FOLDER} and {REPORT_PREFIX}… are kraken-plan's own names"
    if any(_is_same_folder(path.parent, folder) for folder in _folders_with(name, plan)):
        return "the plan restores a file to this place, or below it"
    return None


def _folders_with(name: str, plan: Plan) -> set[str]:
    """Return the folders in which a plan needs this name, folded, for a file or for a folder on the way to one."""
    folders = set()
    for raw_file, file in plan.planned_files():
        below = path_below(raw_file.absolute_dest_path(file), plan.output_location)
        if name not in folded_path(below):
            continue
        components = below.split("/")
        for depth, component in enumerate(components):
            if folded_path(component) == name:
                folders.add(join_path(plan.output_location, "/".join(components[:depth])))
    return folders


def _is_same_folder(one: Path, other: str) -> bool:
    """Tell whether two paths are one folder, through links and mounts; what is not there is none."""
    try:
        return one.samefile(other)
    except OSError:
        return False
