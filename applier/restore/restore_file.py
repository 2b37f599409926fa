"""The way of one file: check, download, verification, publication, healing.

Each method that returns `Steps` is a station; what can fail on the way is a work of a `Phase`.
"""

import functools
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from applier.disk.folders import OutputFolder
from applier.disk.hashing import WrongSizeError
from applier.disk.local_prefix import LocalPrefix
from applier.disk.publish import Judged, ReplacedMeanwhileError, UnsyncedError, publish, set_aside
from applier.disk.run_folders import Stagings
from applier.restore.check_file import CheckTools, FileCheck, Verdict, is_absent
from applier.restore.decide import Action, LocalKind, judge_encryption
from applier.restore.download import SMALL_FILE_BYTES, Download
from applier.restore.phase import Phase, Steps, Work, failure_of
from applier.restore.progress import Progress
from applier.s3.faults import S3Fault
from applier.s3.fetcher import Fetcher
from applier.s3.protocol import ObjectInfo
from applier.target import Target
from schemas.etag import MIB, Etag
from schemas.results import Failure, FailureKind, FileResult, Outcome
from schemas.text import printable

if TYPE_CHECKING:
    from applier.disk.staging import Staging

logger = logging.getLogger(__name__)

_MAX_DOWNLOADS = 2  # a mismatch is retried once from scratch; an attempt with a local file's bytes does not count
_MAX_REPLACED = 2  # how often another program may come between check and publication
# Nothing is known against the local file then.
_LEAVES_LOCAL_FILE = frozenset({FailureKind.INTERRUPTED, FailureKind.NOT_VERIFIABLE})
_WORTH_RESUMING = frozenset({FailureKind.NETWORK, FailureKind.TIMEOUT, FailureKind.INTERRUPTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreTools:
    """What every file's way needs.

    Args:
        output: the output location.
        fetcher: asks and fetches from S3.
        progress: told the bytes verified.
        stagings: the run's staging folders.
        keep_corrupt: keep a corrupt file's bytes when it is healed.
        claimed: paths relative to the output location, ending as kept corrupt files do, that the plan has files for.
        clock: seconds that only grow.
    """

    output: OutputFolder
    fetcher: Fetcher
    progress: Progress
    stagings: Stagings
    keep_corrupt: bool = False
    claimed: frozenset[str] = frozenset()
    clock: Callable[[], float] = time.monotonic


class FileRestore:
    """One file of the plan on its way to its final name.

    Args:
        target: the file.
        tools: what every file's way needs.
        on_end: told the result, once.
    """

    def __init__(self, target: Target, tools: RestoreTools, on_end: Callable[[FileResult], None]) -> None:
        self._target, self._tools, self._on_end = target, tools, on_end
        self._path = printable(target.file.relative_path)
        self._begun = 0.0
        self._verdict = Verdict(action=Failure(FailureKind.INTERRUPTED))
        self._staging: Staging | None = None
        self._download: Download | None = None
        self._works: Sequence[Work] = ()
        self._downloads = 0
        self._from_scratch = False  # what the local file has was tried in vain
        self._unverifiable: Failure | None = None
        self._corrupt_copy: str | None = None
        self._on_short_cut = False  # the download is the pre-check, too
        self._replaced = 0

    def start(self) -> Steps:
        """Return the first steps."""
        self._begun = self._tools.clock()
        logger.info("%s: start, %s", self._path, printable(str(self._target.location)))
        return self._phase([self._look_for_short_cut], self._looked)

    def _look_for_short_cut(self) -> None:
        """Of a small file that is not there yet, the download is the pre-check too.

        Its If-Match has S3 refuse any other etag than the plan's before a byte is sent: one request in place of two.
        """
        file = self._target.file
        if file.expected_size is None or not 0 < file.expected_size <= SMALL_FILE_BYTES:
            return
        if is_absent(self._tools.output, self._target):
            info = ObjectInfo(etag=file.expected_etag, size_bytes=file.expected_size)
            self._verdict = Verdict(action=Action.DOWNLOAD, info=info)
            self._on_short_cut = True

    def _looked(self, error: Exception | None) -> Steps:
        if error is not None:
            return self._fail(error)
        return self._act(self._verdict) if self._on_short_cut else self._check()

    def _check(self) -> Steps:
        """Look at the file, for the first time or anew: what was staged on another verdict is of no use."""
        self._drop()
        self._on_short_cut, self._downloads, self._from_scratch = False, 0, False
        tools = self._tools
        check = CheckTools(output=tools.output, fetcher=tools.fetcher, progress=tools.progress)
        return FileCheck(self._target, check, self._act).start()

    def _act(self, verdict: Verdict) -> Steps:
        self._verdict = verdict
        if verdict.action is Action.HEAL and verdict.local is not None:
            logger.warning("%s: the local file is wrong (%s), healing", self._path, verdict.local.detail)
        match verdict.action:
            case Failure() as failure:
                return self._end(Outcome.FAILED, failure)
            case Action.SKIP:
                return self._end(Outcome.SKIPPED)
            case Action.VERIFY:  # never where local bytes are read
                return self._fail(ValueError("the local file was not hashed"))
            case Action.DOWNLOAD | Action.HEAL:
                return self._phase([self._begin_download], self._begun_download)

    def _begin_download(self) -> None:
        target, tools, info = self._target, self._tools, self._verdict.info
        if info is None:
            raise ValueError("a download needs the pre-check's answer")
        self._staging = self._staging or tools.stagings.below(target.destination)
        self._download = download = Download(target, info, self._staging, tools.fetcher, tools.progress)
        local = self._verdict.local
        if not self._from_scratch and local is not None and local.kind is LocalKind.WRONG:
            prefix = LocalPrefix.of(tools.output, target, local.identity, info.size_bytes)
            if prefix is not None:
                download.try_local_bytes(prefix)
        if self._from_scratch or not download.has_local_bytes:
            self._downloads += 1
        self._works = download.works()

    def _begun_download(self, error: Exception | None) -> Steps:
        if error is not None:
            return self._fail(error)
        return self._phase(self._works, self._downloaded)

    def _downloaded(self, error: Exception | None) -> Steps:
        download = self._download
        if self._on_short_cut and isinstance(error, S3Fault) and error.failure.kind is FailureKind.VERIFICATION:
            return self._check()  # S3 has another etag: which, and whether it is another form of the same content?
        if download is None or (error is not None and not download.is_refuted_by(error)):
            return self._fail(error)
        expected = Etag.parse(self._target.file.expected_etag)
        found = None if error else _etag_of(download)
        if found == expected:
            if self._on_short_cut:
                logger.info("%s: S3 pre-check passed with the download, If-Match %s", self._path, expected)
            logger.info("%s: verified as read back, etag %s", self._path, expected)
            return self._phase([self._publish], self._published)
        logger.warning("%s: read back with etag %s, expected %s", self._path, found, expected)
        return self._phase([self._ask_encryption], functools.partial(self._refuted, found))

    def _ask_encryption(self) -> None:
        file, location = self._target.file, self._target.location
        self._unverifiable = judge_encryption(file, self._tools.fetcher.encryption(location))

    def _refuted(self, found: Etag | None, error: Exception | None) -> Steps:
        """Decide what follows on bytes that do not have the etag: fetched anew if that can help."""
        if error is not None or self._unverifiable is not None:
            return self._fail(error, self._unverifiable)
        if self._on_short_cut:
            return self._check()
        if self._downloads < _MAX_DOWNLOADS:
            self._drop()
            self._from_scratch = True
            return self._phase([self._begin_download], self._begun_download)
        expected = self._target.file.expected_etag
        detail = f"etag mismatch: downloaded {found}, expected {expected}; tried {self._downloads} times"
        return self._fail(None, Failure(FailureKind.VERIFICATION, detail))

    def _publish(self) -> None:
        target, staging, download = self._target, self._staging, self._download
        if staging is None or download is None:
            raise ValueError("nothing has been downloaded")
        download.sync()
        download.close()
        self._corrupt_copy = publish(staging, download.staged, self._tools.output, target, self._judged())
        _tried(download.forget_journal)

    def _judged(self) -> Judged:
        local = self._verdict.local
        return Judged(
            identity=local.identity if local else None, keep=self._tools.keep_corrupt, claimed=self._tools.claimed
        )

    def _published(self, error: Exception | None) -> Steps:
        if isinstance(error, ReplacedMeanwhileError) and self._replaced < _MAX_REPLACED:
            self._replaced += 1
            logger.info("%s: what stands there has changed meanwhile, looked at again", self._path)
            return self._check()
        if error is not None:
            return self._fail(error)
        if self._verdict.action is Action.HEAL:
            return self._end(Outcome.HEALED)
        return self._end(Outcome.DOWNLOADED)

    def _fail(self, error: Exception | None, failure: Failure | None = None) -> Steps:
        failure = failure_of(error) if error else failure or failure_of(ValueError("no download"))
        download = self._download
        if download is not None and download.can_be_resumed and failure.kind in _WORTH_RESUMING:
            _tried(download.close)
        else:
            self._drop()
        healing_failed = self._verdict.action is Action.HEAL and failure.kind not in _LEAVES_LOCAL_FILE
        judged_wrong = self._verdict.local is not None and self._verdict.local.kind is LocalKind.WRONG
        if healing_failed and judged_wrong and not isinstance(error, UnsyncedError):
            _tried(self._set_aside)
            if self._corrupt_copy is not None:
                detail = f"{failure.detail}; the corrupt local file was moved to {self._corrupt_copy}"
                failure = Failure(failure.kind, detail)
        return self._end(Outcome.FAILED, failure)

    def _set_aside(self) -> None:
        """No wrong file stays under a final name, and no bytes are lost."""
        self._corrupt_copy = set_aside(self._tools.output, self._target, self._judged())

    def _drop(self) -> None:
        download, self._download = self._download, None
        if download is not None:
            download.take_back_progress()
            _tried(download.close)
            _tried(download.forget)

    def _phase(self, works: Sequence[Work], then: Callable[[Exception | None], Steps]) -> Steps:
        return Phase(works, self._tools.fetcher.stop, then).steps()

    def _end(self, outcome: Outcome, failure: Failure | None = None) -> Steps:
        duration_seconds = self._tools.clock() - self._begun
        planned, info = self._target.file.expected_size, self._verdict.info
        size_bytes = planned if planned is not None or info is None else info.size_bytes
        result = FileResult(
            relative_path=self._target.file.relative_path,
            outcome=outcome,
            failure=failure,
            size_bytes=size_bytes,
            duration_seconds=duration_seconds,
            corrupt_copy=self._corrupt_copy,
        )
        if failure is not None:
            logger.error("%s: FAILURE - %s", self._path, failure.message)
        else:
            size_mb = (size_bytes or 0) / MIB
            rate = size_mb / duration_seconds if duration_seconds > 0 else 0.0
            logger.info(
                "%s: %s, %.1f MB in %.1f s (%.1f MB/s)", self._path, outcome.value, size_mb, duration_seconds, rate
            )
        if self._staging is not None:
            self._tools.stagings.give_back(self._target.destination)
        self._tools.progress.file_ended(result)
        self._on_end(result)
        return ()


def _etag_of(download: Download) -> Etag | None:
    try:
        return download.etag()
    except (OSError, WrongSizeError):
        return None


def _tried(clean_up: Callable[[], None]) -> None:
    """Clean up as far as the file system lets us: what failed before is what is reported."""
    try:
        clean_up()
    except OSError as error:
        logger.warning("could not clean up: %s", error)
