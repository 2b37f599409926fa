"""Keeps the results of every apply in the user's state folder, by the plan's digest: the last ten runs of each plan.

They are for later commands: what failed, and which parts of a file were right when it was verified. Nothing depends on
them, so a state folder that cannot be written to stops nothing.
"""

import json
import logging
import os
import re
import threading
from collections.abc import Sequence
from pathlib import Path

from applier.reports.results_writer import LazyResultsWriter, ResultSink
from schemas.plan import PlannedFile
from schemas.results import MD5_BYTES, RunHead
from schemas.results_file import head_line
from schemas.text import printable

logger = logging.getLogger(__name__)

KEPT_RUNS = 10
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_HAS_PARTS = '"part_md5s": "'


class RunRecords:
    """The results that were kept of the applies of one plan.

    Args:
        state_folder: of the user; it need not exist. None if there is none.
        plan_digest: of the plan, as it was reviewed.
    """

    def __init__(self, state_folder: Path | None, plan_digest: str | None) -> None:
        match = _DIGEST.fullmatch(plan_digest or "")
        self._folder = state_folder / "results" / match[1] if match and state_folder is not None else None
        self._lock = threading.Lock()
        self._parts: dict[tuple[str, int], bytes] | None = None

    def paths(self) -> list[Path]:
        """Return the results files, oldest first; none where they cannot be listed."""
        if self._folder is None:
            return []
        try:
            return sorted(path for path in self._folder.iterdir() if path.suffix == ".jsonl")
        except OSError:
            return []

    def start(self, run: RunHead, run_id: str) -> ResultSink:
        """Return a sink that keeps the results of a new run, and remove those of the oldest ones.

        Args:
            run: how it begins.
            run_id: what no other run has.
        """
        if self._folder is None:
            return ResultSink()
        path = self._folder / f"{run.started_at:%Y%m%dT%H%M%SZ}-{run_id}.jsonl"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for old in self.paths()[: -KEPT_RUNS + 1]:
                old.unlink(missing_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            words = "the results of this run are not kept for later (%s: %s); --state-dir names another folder"
            logger.warning(words, printable(str(self._folder)), error.strerror)
            return ResultSink()
        return LazyResultsWriter(path, descriptor, head_line(run).encode())

    def part_digests(self, file: PlannedFile) -> Sequence[bytes]:
        """Return the binary MD5 of each part of a planned file as a run recorded it; empty if none did."""
        with self._lock:
            if self._parts is None:
                self._parts = {}
                for path in self.paths():
                    self._read_parts(path)
            md5s = self._parts.get((file.expected_etag, file.chunk_size_mb), b"")
        return [md5s[at : at + MD5_BYTES] for at in range(0, len(md5s), MD5_BYTES)]

    def _read_parts(self, path: Path) -> None:
        """Take over what one results file says of parts; a line that makes no sense says nothing."""
        if self._parts is None:
            return
        try:
            with path.open(encoding="utf-8", errors="replace") as lines:
                for line in lines:
                    if _HAS_PARTS in line:
                        key, md5s = _parts_in(line)
                        self._parts[key] = md5s
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            logger.info("%s: no further parts are known from it: %s", printable(str(path)), type(error).__name__)


def _parts_in(line: str) -> tuple[tuple[str, int], bytes]:
    record = json.loads(line)
    return (record["expected_etag"], record["chunk_size_mb"]), bytes.fromhex(record["part_md5s"])
