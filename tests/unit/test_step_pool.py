import subprocess
import sys
import threading
import time
from collections.abc import Iterator

from applier.restore.step_pool import Step, StepPool


def no_steps() -> tuple[Step, ...]:
    return ()


def test_pool_should_run_every_job_and_the_steps_that_follow() -> None:
    done: list[str] = []

    def job(name: str) -> Step:
        def last() -> tuple[Step, ...]:
            done.append(f"{name} last")
            return ()

        def first() -> tuple[Step, ...]:
            done.append(f"{name} first")
            return (last, last)

        return first

    assert StepPool(3, threading.Event()).run([job("a"), job("b")], patience_seconds=1)
    assert sorted(done) == ["a first", "a last", "a last", "b first", "b last", "b last"]


def test_pool_should_begin_a_job_only_when_no_begun_one_waits() -> None:
    # given one thread and jobs of three steps
    log: list[str] = []

    def job(name: str) -> Step:
        def step(number: int) -> Step:
            def run() -> tuple[Step, ...]:
                log.append(f"{name}{number}")
                return (step(number + 1),) if number < 3 else ()

            return run

        return step(1)

    def jobs() -> Iterator[Step]:
        for name in "ab":
            log.append(f"begin {name}")
            yield job(name)

    # when
    StepPool(1, threading.Event()).run(jobs(), patience_seconds=1)

    # then
    assert log == ["begin a", "a1", "a2", "a3", "begin b", "b1", "b2", "b3"]


def test_pool_should_run_steps_of_one_job_at_once() -> None:
    meeting = threading.Barrier(4, timeout=10)

    def step() -> tuple[Step, ...]:
        meeting.wait()
        return ()

    assert StepPool(4, threading.Event()).run([lambda: (step,) * 4], patience_seconds=1)
    assert not meeting.broken


def test_stopped_pool_should_begin_no_job_and_end_what_was_begun() -> None:
    # given a job whose first step asks to stop
    stop = threading.Event()
    log: list[str] = []

    def last() -> tuple[Step, ...]:
        log.append("last step of the first job")
        return ()

    def first() -> tuple[Step, ...]:
        stop.set()
        return (last,)

    def never() -> tuple[Step, ...]:
        log.append("second job")
        return ()

    # when / then
    assert StepPool(1, stop).run([first, never], patience_seconds=5)
    assert log == ["last step of the first job"]


def test_stopped_pool_should_not_wait_for_a_step_that_hangs() -> None:
    stop, release = threading.Event(), threading.Event()

    def hang() -> tuple[Step, ...]:
        stop.set()
        release.wait(30)
        return ()

    begun = time.monotonic()
    ended = StepPool(1, stop).run([hang], patience_seconds=0.2)
    release.set()

    assert not ended
    assert time.monotonic() - begun < 10


def test_pool_without_jobs_should_end() -> None:
    assert StepPool(4, threading.Event()).run([], patience_seconds=1)


# In a process of its own: addresses that another test has left free, or a thread of the test runner, would count, too.
LIMITED = """
import logging, resource, sys, threading, time
from pathlib import Path
from applier.restore.step_pool import StepPool

STACK_BYTES, COUNT = 1024**3, int(sys.argv[1])
refused = threading.Event()
logging.basicConfig(stream=sys.stdout, format="%(message)s")
logging.getLogger("applier.restore.step_pool").addFilter(lambda _: refused.set() or True)

def job(number):
    def step():  # no thread ends before the system has refused one
        assert refused.wait(timeout=30)
        done.append(number)
        return ()
    return step

done = []
threading.stack_size(STACK_BYTES)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
limit = used + COUNT * STACK_BYTES + STACK_BYTES // 2
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    ended = StepPool(8, threading.Event()).run(map(job, range(100)), patience_seconds=1)
except RuntimeError as error:
    print(error)
else:
    print(ended, sorted(done) == list(range(100)))
"""


def run_with_room_for_threads(count: int) -> str:
    """Run a hundred jobs where the system starts no more than so many threads: each asks for a stack."""
    command = [sys.executable, "-c", LIMITED, str(count)]
    return subprocess.run(command, capture_output=True, check=True, encoding="utf-8", timeout=60).stdout


def test_pool_should_make_do_with_the_threads_that_the_system_starts() -> None:
    assert run_with_room_for_threads(3) == ("only 3 jobs at once: the system starts no more threads\nTrue True\n")


def test_pool_without_any_thread_should_say_so() -> None:
    assert run_with_room_for_threads(0) == "can't start new thread\n"
