import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from applier.step_pool import Step, StepPool

GIB = 1024**3


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


@contextmanager
def room_for_threads(count: int, stack_bytes: int) -> Iterator[None]:
    """Let the system start no more than so many threads: each asks for a stack, and addresses are limited."""
    _, hard = limits = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    stack_size = threading.stack_size(stack_bytes)
    resource.setrlimit(resource.RLIMIT_AS, (used + count * stack_bytes + stack_bytes // 2, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
        threading.stack_size(stack_size)


def test_pool_should_make_do_with_the_threads_that_the_system_starts(caplog: pytest.LogCaptureFixture) -> None:
    # given jobs that no thread ends before the system has refused one
    done: list[int] = []

    def job(number: int) -> Step:
        def step() -> tuple[Step, ...]:
            deadline = time.monotonic() + 10
            while not caplog.records and time.monotonic() < deadline:
                time.sleep(0.01)
            done.append(number)
            return ()

        return step

    # when
    with room_for_threads(3, stack_bytes=GIB):
        ended = StepPool(8, threading.Event()).run(map(job, range(100)), patience_seconds=1)

    # then
    assert ended
    assert sorted(done) == list(range(100))
    assert "only 3 jobs at once: the system starts no more threads" in caplog.text


def test_pool_without_any_thread_should_say_so() -> None:
    with room_for_threads(0, stack_bytes=2 * GIB), pytest.raises(RuntimeError, match="thread"):
        StepPool(8, threading.Event()).run([no_steps], patience_seconds=1)
