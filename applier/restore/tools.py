"""Gathers what the way of every file needs: collaborators, set once for a run."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from applier.disk.folders import OutputFolder
from applier.disk.run_folders import Stagings
from applier.disk.verified_files import VerifiedFiles
from applier.restore.crew import Crew
from applier.restore.find_object import Acceptance
from applier.restore.progress import Progress
from applier.s3.fetcher import Fetcher
from applier.s3.lists.objects_ahead import ObjectsAhead
from schemas.paths import path_below
from schemas.plan import Plan, PlannedFile


class LocalTools(Protocol):
    """What looking at a local file needs: part of `CheckTools`, and all that there is where S3 is not asked."""

    @property
    def output(self) -> OutputFolder:
        """The output location."""

    @property
    def crew(self) -> Crew:
        """Runs pieces of one file at once."""

    @property
    def progress(self) -> Progress:
        """Notified of the bytes hashed."""

    @property
    def accept(self) -> Acceptance:
        """Whether the MD5 of the plan is accepted as a proof."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckTools:
    """What looking at a file needs.

    Args:
        output: the output location.
        fetcher: asks S3.
        ahead: knows what S3 lists of the files that come next.
        crew: runs pieces of one file at once.
        progress: told the bytes hashed.
        accept: which objects are accepted beside the one that the plan names.
    """

    output: OutputFolder
    fetcher: Fetcher
    ahead: ObjectsAhead
    crew: Crew
    progress: Progress
    accept: Acceptance = field(default_factory=Acceptance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """What becomes of corrupt local files.

    Args:
        keep_healed: keep a corrupt file's bytes also where it is healed.
        planned_paths: paths that end as kept corrupt files do, relative to the output location, and that the plan has
            files for.
    """

    keep_healed: bool = False
    planned_paths: frozenset[str] = frozenset()

    @classmethod
    def of(cls, plan: Plan, *, keep_healed: bool) -> "Quarantine":
        """Return the quarantine of a plan, which may have files with the names that kept ones get."""
        planned_paths = frozenset(
            path_below(raw_file.absolute_dest_path(file), plan.output_location)
            for raw_file, file in plan.planned_files()
            if ".corrupted" in file.relative_path
        )
        return cls(keep_healed=keep_healed, planned_paths=planned_paths)


class PartHints(Protocol):
    """Knows the parts' MD5s of files that were verified before."""

    def part_digests(self, file: PlannedFile) -> Sequence[bytes]:
        """Return the binary MD5 of each part of a planned file, as far as anybody knows; empty if nobody does."""


class NoPartHints:
    """Knows of no file."""

    def part_digests(self, file: PlannedFile) -> Sequence[bytes]:  # noqa: ARG002  # the protocol's signature
        """See `PartHints.part_digests`."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreTools:
    """What restoring a file needs.

    Args:
        check: what looking at it needs.
        stagings: the run's staging folders.
        verified_files: what the run has verified or published so far.
        quarantine: what becomes of corrupt local files.
        hints: know which parts of a corrupt file are right.
        s3_name: how the log calls the S3 of the run: endpoint and credentials, without anything secret.
        clock: seconds that only grow.
    """

    check: CheckTools
    stagings: Stagings
    verified_files: VerifiedFiles
    quarantine: Quarantine = field(default_factory=Quarantine)
    hints: PartHints = field(default_factory=NoPartHints)
    s3_name: str = ""
    clock: Callable[[], float] = time.monotonic
