"""Copies what another run has staged and may still write to: a run of another host, container or account.

Its files are only read, and never published: the copies go to our own staged file, where they are hashed like bytes
that were fetched. A wrong copy costs a fetch.
"""

import logging
import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass

from applier.disk.folders import OutputFolder, closing_descriptor, open_regular_file
from applier.disk.hashing import ByteRange
from applier.disk.journal import StagedContent, StagedState, read_journal
from applier.disk.local_bytes import copy_range
from applier.disk.staging import JOURNAL_SUFFIX, MAX_JOURNAL_BYTES, resumable_file
from schemas.text import printable

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedElsewhere:
    """A staged file of another run.

    Args:
        output: the output location.
        folder: the other run's folder, relative to the output location.
        name: under which the file is staged there.
        landed: the byte ranges that its journal records as written.
    """

    output: OutputFolder
    folder: str
    name: str
    landed: frozenset[ByteRange]

    def copy(self, byte_range: ByteRange, staged: int, raise_if_stopped: Callable[[], None]) -> bool:
        """Copy a range to the same place of our staged file, and tell whether all of it could be copied.

        Args:
            byte_range: half-open.
            staged: descriptor of our staged file.
            raise_if_stopped: called between pieces; what it raises is passed on.
        """
        if byte_range not in self.landed:
            return False
        try:
            with (
                self.output.folder(self.folder) as folder,
                closing_descriptor(open_regular_file(resumable_file(self.name), folder)) as source,
            ):
                # a planted link to a private file would be copied to where others can read it
                return os.fstat(source).st_nlink == 1 and copy_range(source, staged, byte_range, raise_if_stopped)
        except OSError as error:
            logger.info("bytes %d to %d cannot be copied from another run: %s", *byte_range, error.strerror)
            return False


def find_staged_elsewhere(
    output: OutputFolder, base: str, runs: Iterable[str], name: str, content: StagedContent
) -> StagedElsewhere | None:
    """Return the other run's staged file of this content of which most has landed; None if there is none.

    Args:
        output: the output location.
        base: the folder of all runs, relative to it.
        runs: those whose staged files may be read.
        name: under which the file is staged, in every run.
        content: what the file is going to be.
    """
    found = None
    for run in runs:
        folder = f"{base}/{run}"
        landed = _landed(output, folder, name, content)
        if landed and (found is None or len(landed) > len(found.landed)):
            found = StagedElsewhere(output=output, folder=folder, name=name, landed=landed)
    if found is not None:
        logger.info("copying what another run (%s) has staged", printable(found.folder))
    return found


def _landed(output: OutputFolder, folder: str, name: str, content: StagedContent) -> frozenset[ByteRange]:
    try:
        with ExitStack() as opened:
            run = opened.enter_context(output.folder(folder))
            journal = opened.enter_context(closing_descriptor(open_regular_file(name + JOURNAL_SUFFIX, run)))
            text = os.pread(journal, MAX_JOURNAL_BYTES, 0).decode("ascii", errors="replace")
    except OSError:  # not there, or not for us to read
        return frozenset()
    state = read_journal(text, content) or StagedState()
    return frozenset(state.landed)
