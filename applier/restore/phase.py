"""Several pieces of work of one file, run on the pool at once; whoever ends last goes on.

This is the file boundary: whatever a piece of work raises ends its file, and only its file.
"""

import errno
import functools
import logging
import threading
from collections.abc import Callable, Sequence

from applier.restore.step_pool import Step
from applier.s3.faults import S3Fault
from applier.s3.fetcher import Interrupted
from schemas.results import Failure, FailureKind

logger = logging.getLogger(__name__)

Work = Callable[[], None]
Steps = Sequence[Step]


class Phase:
    """Works that may fail, and what follows them.

    Args:
        works: what can run at once; once one has failed or the run is to stop, the others are passed over.
        stop: whether the run is to stop.
        then: goes on when all have ended; takes the first error. It must not raise.
    """

    def __init__(self, works: Sequence[Work], stop: threading.Event, then: Callable[[Exception | None], Steps]) -> None:
        self._works, self._stop, self._then = works, stop, then
        self._pending = len(works)
        self._errors: list[Exception] = []
        self._lock = threading.Lock()

    def steps(self) -> Steps:
        """Return the steps for the pool; a single work is done at once, on this thread."""
        if not self._works:
            return self._then(None)
        if len(self._works) == 1:
            return self._step(self._works[0])
        return [functools.partial(self._step, work) for work in self._works]

    def _step(self, work: Work) -> Steps:
        if not self._errors:
            try:
                if self._stop.is_set():
                    raise Interrupted  # noqa: TRY301  # an interruption ends a file as an error does
                work()
            except Exception as error:  # noqa: BLE001  # the file boundary: `failure_of` names the unforeseen
                with self._lock:
                    self._errors.append(error)
        with self._lock:
            self._pending -= 1
            last = self._pending == 0
        return self._then(self._errors[0] if self._errors else None) if last else ()


def failure_of(error: Exception) -> Failure:
    """Return the failure that an error of a piece of work stands for; the unforeseen is logged with its traceback."""
    match error:
        case S3Fault():
            return error.failure
        case Interrupted():
            return Failure(FailureKind.INTERRUPTED)
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return Failure(FailureKind.DISK_FULL, f"{error.strerror} (free some space, then apply again)")
        case OSError():
            return Failure(FailureKind.CANNOT_WRITE, error.strerror or str(error))
        case _:
            logger.error("unforeseen error", exc_info=error)
            return Failure(FailureKind.UNFORESEEN, f"{type(error).__name__}: {error}")
