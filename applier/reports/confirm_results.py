"""Merges the results of several runs and confirms them on the disk: what counts as verified has to be in place.

In place means: a regular file of the right size, under its name, reached over no link. Its bytes are not read; that is
what `kraken-plan apply` and `status` do.
"""

import errno
import logging
import os
import stat
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import chain
from typing import NamedTuple

from applier.disk.folders import NotAFolderError, OutputFolder, kind_of_file, open_output_location
from applier.reports.merge_results import RestoredFile, merge_results, warn_of_clocks_ahead
from schemas.errors import DestinationError
from schemas.plan import Plan
from schemas.results import ApplyResult, RecordedRun
from schemas.text import counted, printable

logger = logging.getLogger(__name__)

_FOLDERS_AT_ONCE = 8  # a look at a file of a network file system is mostly waiting
_GONE = "there is no such file now"


class _Found(NamedTuple):
    """What is wrong with a file, or why it could not be looked at (`error`)."""

    file: RestoredFile
    found: str
    error: OSError | None = None


def confirm_results(plan: Plan, runs: Sequence[RecordedRun], now: datetime) -> ApplyResult:
    """Return the result of a plan out of what runs over it, or over parts of it, have recorded.

    Where files cannot be looked at from here, a warning says so, and the runs are believed.

    Args:
        plan: the plan as a whole.
        runs: in any order.
        now: UTC.

    Raises:
        ResultsError: a run has recorded results, and none of them is of this plan.
    """
    merged = merge_results(plan, runs)
    warn_of_clocks_ahead(runs, now)
    merged.warn_of_disagreements()
    return merged.apply_result(find_out_of_place(merged.successes()))


def find_out_of_place(files: Iterable[RestoredFile]) -> dict[RestoredFile, str]:
    """Return which files are not in place, and what was found instead. Warns of those that cannot be looked at."""
    by_location = defaultdict[str, list[RestoredFile]](list)
    for file in files:
        by_location[file.output_location].append(file)
    out_of_place: dict[RestoredFile, str] = {}
    for location, restored in by_location.items():
        unseen = list[_Found]()
        for found in _look_below(location, restored):
            if found.error is None:
                out_of_place[found.file] = found.found
            else:
                unseen.append(found)
        _warn_of_unseen(location, unseen)
    return out_of_place


def _look_below(location: str, files: Sequence[RestoredFile]) -> Iterator[_Found]:
    by_folder = defaultdict[str, list[RestoredFile]](list)
    for file in files:
        by_folder[file.path_below.rpartition("/")[0]].append(file)
    try:
        with open_output_location(location) as output, ThreadPoolExecutor(_FOLDERS_AT_ONCE) as pool:
            looks = pool.map(lambda folder: _look_into(output, folder, by_folder[folder]), by_folder)
            yield from chain.from_iterable(looks)
    except DestinationError as error:
        logger.warning("%s not looked at, the results are believed: %s", counted(len(files), "restored file"), error)


def _look_into(output: OutputFolder, folder: str, files: Sequence[RestoredFile]) -> list[_Found]:
    """Look at the files of one folder, which is below the output location."""
    try:
        with output.folder(folder) as descriptor:
            looks = [_look_at(file, descriptor) for file in files]
    except FileNotFoundError:
        return [_Found(file, _GONE) for file in files]
    except NotAFolderError as error:
        return [_Found(file, f"{error.strerror} ({printable(str(error.filename))})") for file in files]
    except OSError as error:
        return [_Found(file, "", error) for file in files]
    return [found for found in looks if found is not None]


def _look_at(file: RestoredFile, folder: int) -> _Found | None:
    name = file.path_below.rpartition("/")[2]
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            return _Found(file, f"{kind_of_file(name, folder)} is in its place now")
    except OSError as error:
        return _Found(file, _GONE) if error.errno == errno.ENOENT else _Found(file, "", error)
    if file.size_bytes not in {None, status.st_size}:
        return _Found(file, f"it has {status.st_size:,} bytes now, expected {file.size_bytes:,}")
    return None


def _warn_of_unseen(location: str, unseen: Sequence[_Found]) -> None:
    if unseen:
        file, _, error = unseen[0]
        reason = error.strerror or str(error) if error is not None else ""
        words = "%s: %s cannot be looked at from here (%s, for example %s): the results are believed"
        logger.warning(
            words, printable(location), counted(len(unseen), "restored file"), reason, printable(file.path_below, 300)
        )
