"""Says which failure an error stands for: whatever the way of one file raises ends that file, and only that."""

import errno
import logging

from applier.disk.folders import NotAFolderError
from applier.disk.verified_files import SameFileError
from applier.s3.faults import S3Fault
from applier.s3.fetcher import Interrupted
from schemas.results import Failure, FailureKind
from schemas.text import printable

logger = logging.getLogger(__name__)


class FileFailedError(Exception):
    """A file cannot be restored, and this is why."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(failure.message)


def calls_for_a_check(fault: S3Fault) -> bool:
    """Tell whether a download that was to be the pre-check, too, met another object than the planned one.

    S3 has another etag, perhaps another form of the same content; or it has an older version.
    """
    return fault.failure.kind in {FailureKind.VERIFICATION, FailureKind.KEY_NOT_FOUND}


def conflict_with(other: str) -> Failure:
    """Return the failure of a file that the file system takes for another planned one.

    Args:
        other: its path, relative to the output location.
    """
    why = "for the file system the two are one file (a folder mounted twice, or a name that it changes)"
    return Failure(FailureKind.CONFLICT, f"{printable(other)}: {why}; restore one of them elsewhere")


def failure_of(error: BaseException) -> Failure:
    """Return the failure that an error stands for; the unforeseen is logged with its traceback."""
    match error:
        case S3Fault() | FileFailedError():
            return error.failure
        case Interrupted():
            return Failure(FailureKind.INTERRUPTED)
        case SameFileError():
            return conflict_with(error.other)
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return Failure(FailureKind.DISK_FULL, f"{error.strerror} (free some space, then apply again)")
        case OSError():
            what = f" ({printable(str(error.filename))})" if isinstance(error, NotAFolderError) else ""
            return Failure(FailureKind.CANNOT_WRITE, f"{error.strerror or error}{what}")
        case _:
            logger.error("unforeseen error", exc_info=error)
            return Failure(FailureKind.UNFORESEEN, f"{type(error).__name__}: {error}")
