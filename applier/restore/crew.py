"""Runs tasks on a few threads that lend each other a hand: several files at once, and pieces of one file at once.

A task is straight code. Where it has pieces that can run at once, it shares them: it begins with them itself, and every
thread without a task joins in. Idle threads take waiting pieces before new tasks, and pieces never share. So no more
things run at once than there are threads, no more tasks are under way than that, and nothing can deadlock.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice

from applier.s3.fetcher import Interrupted
from schemas.text import counted

logger = logging.getLogger(__name__)

# Ctrl-C is answered within two seconds: what has not ended by then is left to the next run.
PATIENCE_SECONDS = 1.5
_SIGNAL_INTERVAL_SECONDS = 0.1

Task = Callable[[], None]


class Crew:
    """Threads that run tasks, and pieces of tasks.

    Args:
        threads: how many things run at once.
        stop: once it is set, no task and no piece is begun; those under way are expected to end soon.
    """

    def __init__(self, threads: int, stop: threading.Event) -> None:
        self.threads = threads
        self._stop = stop
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._shares: list[_Share] = []
        self._tasks: Iterator[Task] = iter(())
        self._tasks_running = 0

    def run(
        self, tasks: Iterable[Task], *, at_once: int | None = None, patience_seconds: float = PATIENCE_SECONDS
    ) -> bool:
        """Run all tasks; the calling thread only waits, so that signals reach it.

        Args:
            tasks: each asked for when a thread is free for it. They must not raise.
            at_once: how many threads are enough; by default all of them.
            patience_seconds: how long to wait for what is under way once the run is to stop.

        Returns:
            False if something was still under way when patience ended.

        Raises:
            RuntimeError: the system starts no thread at all.
        """
        self._tasks = iter(tasks)
        workers = self._start_workers(min(self.threads, at_once or self.threads))
        for worker in workers:
            while worker.is_alive() and not self._stop.is_set():
                worker.join(_SIGNAL_INTERVAL_SECONDS)
        deadline = time.monotonic() + patience_seconds
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        return not any(worker.is_alive() for worker in workers)

    def share(self, pieces: Iterable[Task], at_once: int | None = None) -> None:
        """Run pieces of the caller's task, side by side with whoever is idle, and return when all have ended.

        Args:
            pieces: each asked for when its turn has come; they must not share.
            at_once: how many may run at once; by default as many as there are threads.

        Raises:
            Interrupted: the run is to stop.
            BaseException: the first error of a piece; the pieces that were still waiting are dropped.
        """
        pieces = iter(pieces)
        first = list(islice(pieces, 2))
        if len(first) <= 1:  # nearly always: files are small
            for only_piece in first:
                self.raise_if_stopped()
                only_piece()
            return
        share = _Share(chain(first, pieces), at_once or self.threads, self._lock)
        with self._lock:
            self._shares.append(share)
            self._idle.notify(share.at_once - 1)
        while (piece := self._next_of(share)) is not None:
            self._run_piece(share, piece)
        with self._lock:
            self._shares.remove(share)
        if share.error is not None:
            raise share.error

    def raise_if_stopped(self) -> None:
        """Raise `Interrupted` if the run is to stop."""
        if self._stop.is_set():
            raise Interrupted

    def _start_workers(self, count: int) -> list[threading.Thread]:
        """Start as many threads as the system gives: fewer will do."""
        workers: list[threading.Thread] = []
        for number in range(count):
            worker = threading.Thread(target=self._work, daemon=True, name=f"crew-{number}")
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
        while (work := self._next()) is not None:
            share, task = work
            if share is not None:
                self._run_piece(share, task)
            else:
                self._run_task(task)

    def _next(self) -> "tuple[_Share | None, Task] | None":
        """Return a piece with its share, else a new task; wait while there may be pieces; None when all is done."""
        with self._lock:
            while True:
                for share in self._shares:
                    if (piece := self._take(share)) is not None:
                        return share, piece
                if not self._stop.is_set() and (task := next(self._tasks, None)) is not None:
                    self._tasks_running += 1
                    return None, task
                if self._tasks_running == 0:
                    return None
                self._idle.wait()

    def _next_of(self, share: "_Share") -> Task | None:
        """Return a piece of the share; wait while others run the last of them; None when all have ended."""
        with self._lock:
            while (piece := self._take(share)) is None and share.running:
                share.changed.wait()
            return piece

    def _take(self, share: "_Share") -> Task | None:
        if share.running == share.at_once or share.error is not None:
            return None
        if self._stop.is_set():
            share.error = Interrupted()
            return None
        try:
            piece = next(share.pieces, None)
        except BaseException as error:  # noqa: BLE001  # raised by `share`, on the thread that asked for the pieces
            share.error = error
            return None
        share.running += piece is not None
        return piece

    def _run_piece(self, share: "_Share", piece: Task) -> None:
        error: BaseException | None = None
        try:
            piece()
        except BaseException as raised:  # noqa: BLE001  # likewise
            error = raised
        with self._lock:
            share.error = share.error or error
            share.running -= 1
            share.changed.notify()

    def _run_task(self, task: Task) -> None:
        try:
            task()
        except BaseException:  # a task must not raise: a bug, which must not stop the others
            logger.exception("unforeseen error")
        with self._lock:
            self._tasks_running -= 1
            if self._tasks_running == 0:
                self._idle.notify_all()


class _Share:
    """The pieces of one task while they are shared; its state is the crew's, under the crew's lock."""

    def __init__(self, pieces: Iterable[Task], at_once: int, lock: threading.Lock) -> None:
        self.pieces = iter(pieces)
        self.at_once = at_once
        self.running = 0
        self.error: BaseException | None = None
        self.changed = threading.Condition(lock)
