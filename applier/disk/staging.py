"""Creates, resumes and removes staged files in a run's own folder. Whose folder it is: see `run_folders`."""

import hashlib
import logging
import os
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, suppress
from typing import Protocol

from applier.disk.folders import closing_descriptor, create_file, list_names, open_regular_file
from applier.disk.hashing import ByteRange
from applier.disk.journal import Journal, StagedContent, StagedState, read_journal
from applier.disk.rights import are_plain, give_rights, rights_of_new_file
from schemas.plan import PlannedFile

logger = logging.getLogger(__name__)

REPORT = "report"
_REPORT_RESERVE_BYTES = 256 * 1024  # of some 1,500 files

PART_SUFFIX = ".part"
JOURNAL_SUFFIX = ".journal"
MAX_JOURNAL_BYTES = 16 * 1024 * 1024


def staged_name(file: PlannedFile) -> str:
    """Return the name under which a file is staged: the same in every run that wants the same bytes there."""
    key = "\0".join([file.relative_path, file.expected_etag, str(file.chunk_size_mb)])
    return hashlib.sha256(key.encode()).hexdigest()[:40]


class SegmentSource(Protocol):
    """Something that has bytes of a file already, so that they need not be fetched; they may be wrong."""

    def copy(self, byte_range: ByteRange, staged: int, raise_if_stopped: Callable[[], None]) -> bool:
        """Copy a half-open range to the same place of a staged file; return whether all of it could be copied."""


class Staging:
    """One run's staging folder below one destination.

    Args:
        descriptor: of the run's own folder.
        find_elsewhere: finds what other runs, which may still be alive, have staged under a name of a content.
    """

    def __init__(
        self,
        descriptor: int,
        find_elsewhere: Callable[[str, StagedContent], SegmentSource | None] = lambda _name, _content: None,
    ) -> None:
        self.descriptor = descriptor
        self.find_elsewhere = find_elsewhere
        self._sample: os.stat_result | None = None  # of a file that this run has created here
        self._plain_folders: set[tuple[int, int]] = set()  # where new files get the rights that they have here

    def create(self, name: str) -> int:
        """Create a staged file that no later run can resume."""
        return create_file(name, self.descriptor)

    def remove(self, name: str) -> None:
        """Remove a staged file if it is there."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.descriptor)

    def has(self, name: str) -> bool:
        """Tell whether a staged file is there."""
        with suppress(OSError):
            os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
            return True
        return False

    def reserve_report(self) -> None:
        """Reserve the space of a report while there is some: a full disk has to be reported, too."""
        descriptor = self.create(REPORT)
        with closing_descriptor(descriptor), suppress(OSError):
            self._sample = os.fstat(descriptor)
            os.posix_fallocate(descriptor, 0, _REPORT_RESERVE_BYTES)

    def give_rights_of_new_file(self, name: str, folder: int) -> None:
        """Give a staged file the rights that it would have if it had been created in its final folder by this run."""
        if self._sample is None:
            return
        status = os.fstat(folder)
        place = status.st_dev, status.st_ino
        is_of_this_run = not name.endswith(PART_SUFFIX)  # an earlier one may have had another umask
        if is_of_this_run and place in self._plain_folders:
            return
        wanted = rights_of_new_file(folder, self.descriptor, self._sample)
        if are_plain(wanted, self._sample):
            self._plain_folders.add(place)
        if not is_of_this_run or place not in self._plain_folders:
            give_rights(wanted, name, self.descriptor)

    def open_report(self) -> int:
        """Open the file that a report is written to before it gets its name."""
        try:
            return open_regular_file(REPORT, self.descriptor, os.O_RDWR)
        except FileNotFoundError:  # the one before it has got its name
            return self.create(REPORT)

    def create_resumable(self, name: str, content: StagedContent) -> tuple[int, Journal, StagedState]:
        """Open a staged file with its journal: one left of this content if there is one, else a new one."""
        if (left := self._reopen(name, content)) is not None:
            return left
        self.remove_resumable(name)
        journal = Journal(create_file(name + JOURNAL_SUFFIX, self.descriptor))
        try:
            journal.start(content)
            return create_file(resumable_file(name), self.descriptor), journal, StagedState()
        except OSError:
            journal.close()
            with suppress(OSError):
                self.remove_resumable(name)
            raise

    def remove_resumable(self, name: str) -> None:
        """Remove a staged file and its journal if they are there."""
        self.remove(name + JOURNAL_SUFFIX)
        self.remove(resumable_file(name))

    def keep_only(self, resumable_names: Callable[[], AbstractSet[str]]) -> None:
        """Remove the staged files with journals that nobody wants; asks only if there are any."""
        with suppress(OSError):  # what stays, the next run deals with
            if left := resumable_names_among(list_names(self.descriptor)):
                for name in left - resumable_names():
                    self.remove_resumable(name)

    def _reopen(self, name: str, content: StagedContent) -> tuple[int, Journal, StagedState] | None:
        with ExitStack() as opened:
            try:
                journal = open_regular_file(name + JOURNAL_SUFFIX, self.descriptor, os.O_RDWR | os.O_APPEND)
                opened.callback(os.close, journal)
                staged = open_regular_file(resumable_file(name), self.descriptor, os.O_RDWR)
                opened.callback(os.close, staged)
            except OSError:
                return None
            if any(os.fstat(descriptor).st_nlink != 1 for descriptor in (journal, staged)):
                return None  # planted: writing to it would write to another file
            text = os.pread(journal, MAX_JOURNAL_BYTES, 0).decode("ascii", errors="replace")
            state = read_journal(text, content)
            if state is None:
                return None
            opened.pop_all()
            return staged, Journal(journal), state


def resumable_file(name: str) -> str:
    """Return the file name of a staged file that has a journal."""
    return name + PART_SUFFIX


def resumable_names_among(entries: Iterable[str]) -> set[str]:
    """Return the names of the journals among these entries of a folder; of a killed run, some may stand alone."""
    return {entry.removesuffix(JOURNAL_SUFFIX) for entry in entries if entry.endswith(JOURNAL_SUFFIX)}
