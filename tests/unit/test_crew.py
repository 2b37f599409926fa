import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from applier.restore.crew import Crew, Task
from applier.s3.fetcher import Interrupted


def test_crew_should_run_every_task_and_every_piece_that_it_shares() -> None:
    done: list[str] = []
    crew = Crew(3, threading.Event())

    def task(name: str) -> Task:
        def piece() -> None:
            done.append(f"{name} piece")

        def run() -> None:
            crew.share([piece, piece])
            done.append(f"{name} ended")

        return run

    assert crew.run([task("a"), task("b")], patience_seconds=1)
    assert sorted(done) == ["a ended", "a piece", "a piece", "b ended", "b piece", "b piece"]


def test_idle_threads_should_take_pieces_before_new_tasks() -> None:
    # given two threads; the first task shares two pieces, of which each waits for the other
    log: list[str] = []
    crew = Crew(2, threading.Event())
    meeting = threading.Barrier(2, timeout=10)

    def piece() -> None:
        meeting.wait()
        log.append("piece")

    def sharing() -> None:
        shared.set()
        crew.share([piece, piece])

    def tasks() -> Iterator[Task]:
        yield sharing
        yield short
        yield lambda: log.append("third task")

    shared = threading.Event()

    def short() -> None:
        assert shared.wait(10)
        time.sleep(0.2)  # the first thread is in its piece by now

    # when / then
    assert crew.run(tasks(), patience_seconds=1)
    assert log == ["piece", "piece", "third task"]


def test_no_more_pieces_than_asked_for_should_run_at_once() -> None:
    crew = Crew(8, threading.Event())
    running, peak, lock = [0], [0], threading.Lock()

    def piece() -> None:
        with lock:
            running[0] += 1
            peak[0] = max(peak[0], running[0])
        time.sleep(0.01)
        with lock:
            running[0] -= 1

    assert crew.run([lambda: crew.share([piece] * 30, at_once=3)], patience_seconds=1)
    assert peak == [3]


def test_pieces_should_run_on_all_threads_at_once() -> None:
    crew = Crew(4, threading.Event())
    meeting = threading.Barrier(4, timeout=10)

    def piece() -> None:
        meeting.wait()

    assert crew.run([lambda: crew.share([piece] * 4)], patience_seconds=1)
    assert not meeting.broken


def test_pieces_should_be_asked_for_one_by_one() -> None:
    # given endless pieces of which the third fails
    crew = Crew(1, threading.Event())
    asked: list[int] = []

    def pieces() -> Iterator[Task]:
        while True:
            asked.append(len(asked))
            yield (lambda: None) if len(asked) < 3 else fail

    def fail() -> None:
        raise ValueError("third")

    # when / then
    with pytest.raises(ValueError, match="third"):
        crew.share(pieces())
    assert asked == [0, 1, 2]


class NoExceptionError(BaseException):
    """As a library panics."""


@pytest.mark.parametrize("error", [OSError("disk"), NoExceptionError("panic")])
def test_share_should_raise_the_first_error_once_every_piece_has_ended(error: BaseException) -> None:
    crew = Crew(2, threading.Event())
    raised: list[BaseException] = []
    slow_ended = threading.Event()
    meeting = threading.Barrier(2, timeout=10)

    def fail() -> None:
        meeting.wait()
        raise error

    def slow() -> None:
        meeting.wait()
        time.sleep(0.1)
        slow_ended.set()

    def task() -> None:
        try:
            crew.share([fail, slow])
        except BaseException as found:  # noqa: BLE001  # any error at all
            assert slow_ended.is_set()
            raised.append(found)

    assert crew.run([task], patience_seconds=1)
    assert raised == [error]


def test_an_error_in_asking_for_a_piece_should_be_raised_by_share() -> None:
    def pieces() -> Iterator[Task]:
        yield lambda: None
        raise OSError("asked")

    with pytest.raises(OSError, match="asked"):
        Crew(2, threading.Event()).share(pieces())


@pytest.mark.parametrize("error", [ValueError("bug"), NoExceptionError("panic")])
def test_a_task_that_raises_should_not_stop_the_others(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    done: list[int] = []

    def raising() -> None:
        raise error

    assert Crew(1, threading.Event()).run([raising, lambda: done.append(2)], patience_seconds=1)
    assert done == [2]
    assert "unforeseen error" in caplog.text


def test_stopped_crew_should_begin_no_task_and_let_end_what_was_begun() -> None:
    # given a task that asks to stop
    stop = threading.Event()
    log: list[str] = []

    def first() -> None:
        stop.set()
        log.append("first task ended")

    # when / then
    assert Crew(1, stop).run([first, lambda: log.append("second task")], patience_seconds=5)
    assert log == ["first task ended"]


def test_stopped_crew_should_begin_no_piece() -> None:
    stop = threading.Event()
    log: list[str] = []

    with pytest.raises(Interrupted):
        Crew(2, stop).share([stop.set, lambda: log.append("second piece")])
    assert log == []


def test_stopped_crew_should_not_wait_for_a_task_that_hangs() -> None:
    stop, release = threading.Event(), threading.Event()

    def hang() -> None:
        stop.set()
        release.wait(30)

    begun = time.monotonic()
    ended = Crew(1, stop).run([hang], patience_seconds=0.2)
    release.set()

    assert not ended
    assert time.monotonic() - begun < 10


def test_crew_without_tasks_should_end() -> None:
    assert Crew(4, threading.Event()).run([], patience_seconds=1)


def test_many_sharing_tasks_should_all_end() -> None:
    # given more tasks than threads, each sharing in turns, with pieces that others are free to take
    crew = Crew(6, threading.Event())
    lock = threading.Lock()
    counts = [0] * 200

    def task(number: int) -> Task:
        def piece() -> None:
            with lock:
                counts[number] += 1

        def run() -> None:
            for _ in range(3):
                crew.share([piece] * 7, at_once=1 + number % 5)

        return run

    assert crew.run(map(task, range(200)), patience_seconds=1)
    assert counts == [21] * 200


# In a process of its own: addresses that another test has left free, or a thread of the test runner, would count, too.
LIMITED = """
import logging, resource, sys, threading, time
from pathlib import Path
from applier.restore.crew import Crew

STACK_BYTES, COUNT = 1024**3, int(sys.argv[1])
refused = threading.Event()
logging.basicConfig(stream=sys.stdout, format="%(message)s")
logging.getLogger("applier.restore.crew").addFilter(lambda _: refused.set() or True)

def job(number):
    def task():  # no thread ends before the system has refused one
        assert refused.wait(timeout=30)
        done.append(number)
    return task

done = []
threading.stack_size(STACK_BYTES)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
limit = used + COUNT * STACK_BYTES + STACK_BYTES // 2
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    ended = Crew(8, threading.Event()).run(map(job, range(100)), patience_seconds=1)
except RuntimeError as error:
    print(error)
else:
    print(ended, sorted(done) == list(range(100)))
"""


def run_with_room_for_threads(count: int) -> str:
    """Run a hundred jobs where the system starts no more than so many threads: each asks for a stack."""
    command = [sys.executable, "-c", LIMITED, str(count)]
    return subprocess.run(command, capture_output=True, check=True, encoding="utf-8", timeout=60).stdout


def test_crew_should_make_do_with_the_threads_that_the_system_starts() -> None:
    assert run_with_room_for_threads(3) == ("only 3 jobs at once: the system starts no more threads\nTrue True\n")


def test_crew_without_any_thread_should_say_so() -> None:
    assert run_with_room_for_threads(0) == "can't start new thread\n"
