"""A bounded pool of threads that many small steps share: parts of one file and files of one batch run at once.

A step is a call that returns the steps that follow from it. Steps of earlier jobs go first, and a new job is begun only
when no step of a begun one waits: what is open at a time is bounded by the number of threads, whatever the number of
jobs and of their steps.
"""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator

from schemas.text import counted

logger = logging.getLogger(__name__)

# Ctrl-C is answered within two seconds: what does not end by then is left to the next run.
PATIENCE_SECONDS = 1.5
_SIGNAL_INTERVAL_SECONDS = 0.1

Step = Callable[[], Iterable["Step"]]


class StepPool:
    """Runs jobs, each given by its first step, on daemon threads.

    Args:
        threads: how many steps run at once.
        stop: once it is set, no new job is begun; steps of begun ones still run, and are expected to end soon.
    """

    def __init__(self, threads: int, stop: threading.Event) -> None:
        self._threads = threads
        self._stop = stop
        self._changed = threading.Condition()
        self._ready: list[tuple[int, int, Step]] = []
        self._order = itertools.count()
        self._running = 0
        self._jobs: Iterator[tuple[int, Step]] = iter(())

    def run(self, jobs: Iterable[Step], *, patience_seconds: float = PATIENCE_SECONDS) -> bool:
        """Run all jobs to their end; the calling thread only waits, so that signals reach it.

        Args:
            jobs: the first step of each, asked for when its turn has come.
            patience_seconds: how long to wait for running steps once `stop` is set.

        Returns:
            False if steps were still running when patience ended.
        """
        self._jobs = enumerate(jobs)
        workers = self._start_workers()
        for worker in workers:
            while worker.is_alive() and not self._stop.is_set():
                worker.join(_SIGNAL_INTERVAL_SECONDS)
        deadline = time.monotonic() + patience_seconds
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        return not any(worker.is_alive() for worker in workers)

    def _start_workers(self) -> list[threading.Thread]:
        """Start as many threads as the system gives, for fewer do it as well.

        Raises:
            RuntimeError: it gives none.
        """
        workers: list[threading.Thread] = []
        for number in range(self._threads):
            worker = threading.Thread(target=self._work, daemon=True, name=f"step-{number}")
            try:
                worker.start()
            except RuntimeError:
                if not workers:
                    raise
                logger.warning("only %s at once: the system starts no more threads", counted(number, "job"))
                break
            workers.append(worker)
        return workers

    def _work(self) -> None:
        while (task := self._next()) is not None:
            job, step = task
            following: Iterable[Step] = ()
            try:
                following = step()
            except Exception:  # a step must not raise: a bug, which must not stop the others
                logger.exception("unforeseen error in a step")
            with self._changed:
                for next_step in following:
                    heapq.heappush(self._ready, (job, next(self._order), next_step))
                self._running -= 1
                self._changed.notify_all()

    def _next(self) -> tuple[int, Step] | None:
        with self._changed:
            while True:
                if self._ready:
                    job, _, step = heapq.heappop(self._ready)
                    self._running += 1
                    return job, step
                if not self._stop.is_set() and (task := next(self._jobs, None)) is not None:
                    self._running += 1
                    return task
                if self._running == 0:
                    return None
                self._changed.wait()
