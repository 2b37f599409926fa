"""What must hold before the first byte: buckets, writable destinations, space. Only looks; all that is wrong is told.

Duplicates and everything else that the plan alone shows were refused when it was read.
"""

import functools
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from applier.disk.folders import OutputFolder
from applier.disk.space import FileSystemSpace, SpaceLook
from applier.disk.verified_files import VerifiedFiles
from applier.finding import Finding, State, right, wrong
from applier.restore.crew import Crew
from applier.restore.output_root import find_destination_problems
from applier.s3.faults import S3Fault
from applier.s3.fetcher import Fetcher, Interrupted
from applier.target import distinct_targets
from schemas.plan import Plan
from schemas.results import Failure, FailureKind
from schemas.text import counted, printable

SPACE = "space"
_SHOWN_BUCKETS = 20
_SHOWN_CLASHES = 20
_NO_BUCKET_ANSWERS = frozenset({FailureKind.NETWORK, FailureKind.TIMEOUT, FailureKind.ACCESS_DENIED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """What was seen before the first byte.

    Args:
        buckets: the plan's, sorted.
        bucket_failures: why some of them cannot be used, by their name.
        destination_problems: which destinations cannot be written, and why.
        spaces: every file system on which something is missing.
        clashes: planned paths that are one file for the file system, each with the other.
    """

    buckets: tuple[str, ...]
    bucket_failures: Mapping[str, Failure]
    destination_problems: tuple[str, ...]
    spaces: tuple[FileSystemSpace, ...]
    clashes: Mapping[str, str] = field(default_factory=dict)

    def problems(self, *, skip_space_check: bool = False, s3_name: str = "") -> list[str]:
        """Return why the plan cannot be applied as things stand, a line each; none if it can.

        A bucket that cannot be used while another can is its own raw files' failure.

        Args:
            skip_space_check: whether the space that there is does not matter.
            s3_name: which S3 was asked, and as whom, for messages.
        """
        reason, name = self._why_no_bucket_answers(), f": {s3_name}" if s3_name else ""
        return [
            *([] if reason is None else [f"S3 cannot be used{name}: {reason}"]),
            *(
                finding.line
                for finding in self.findings()
                if finding.stops and not (skip_space_check and finding.topic == SPACE)
            ),
        ]

    def findings(self) -> Iterator[Finding]:
        """Yield all that was seen; what stops a run first, as far as it is known at once."""
        for problem in self.destination_problems:
            yield Finding(topic="destination", state=State.WRONG, words=problem, stops=True)
        yield from self._bucket_findings()
        pairs = sorted({tuple(sorted(pair)) for pair in self.clashes.items()})
        for path, other in pairs[:_SHOWN_CLASHES]:
            words = (
                f"{printable(path)} and {printable(other)} are one file for the file system (a folder mounted twice, "
                "or a name that it changes)"
            )
            advice = "restore one of them elsewhere (select, --output-root DIR)"
            yield Finding(topic="names", state=State.WRONG, words=words, advice=advice, stops=True)
        for space in self.spaces:
            is_enough = space.is_enough
            advice = "" if is_enough else "make room, restore elsewhere (--output-root DIR), or give --skip-space-check"
            state = State.RIGHT if is_enough else State.WRONG
            yield Finding(topic=SPACE, state=state, words=str(space), advice=advice, stops=not is_enough)

    def _bucket_findings(self) -> Iterator[Finding]:
        failures = [self.bucket_failures.get(bucket) for bucket in self.buckets]
        if failures and all(failure and failure.kind is FailureKind.BUCKET_MISSING for failure in failures):
            named = ", ".join(printable(bucket) for bucket in self.buckets[:_SHOWN_BUCKETS])
            more = f" and {len(self.buckets) - _SHOWN_BUCKETS:,} more" if len(self.buckets) > _SHOWN_BUCKETS else ""
            words = f"no bucket of the plan exists: {named}{more}"
            question = "is this the right S3 (--endpoint-url, --region, --profile)?"
            yield Finding(topic="bucket", state=State.WRONG, words=words, advice=question, stops=True)
            return
        for bucket, failure in zip(self.buckets, failures, strict=True):
            yield wrong("bucket", failure.message) if failure else right("bucket", f"{printable(bucket)} is there")

    def _why_no_bucket_answers(self) -> str | None:
        """Return why S3 cannot be used at all: it is not reached, or refuses the credentials; None if it can."""
        failures = [self.bucket_failures.get(bucket) for bucket in self.buckets]
        if not failures or not all(failure and failure.kind in _NO_BUCKET_ANSWERS for failure in failures):
            return None
        first = next(failure for failure in failures if failure is not None)
        others = f" (and {counted(len(failures) - 1, 'other bucket')} likewise)" if len(failures) > 1 else ""
        return f"{first.message}{others}"


def look_before_flight(
    plan: Plan, output: OutputFolder, fetcher: Fetcher | None, jobs: int, *, keep_corrupt: bool = False
) -> Preflight:
    """Look at buckets, destinations and space.

    Args:
        plan: as `read_plan` accepted it.
        output: the output location.
        fetcher: asks S3; None, and nothing is said about buckets.
        jobs: how many files are on their way at once.
        keep_corrupt: whether a healed file's old bytes stay.
    """
    bucket_failures = {} if fetcher is None else find_bucket_failures(plan, fetcher, jobs)
    stop = threading.Event() if fetcher is None else fetcher.stop
    missing = (target for _, target in distinct_targets(plan, bucket_failures))
    seen = VerifiedFiles(output)
    spaces = SpaceLook(output, jobs, stop, seen, keep_corrupt=keep_corrupt).look(missing)
    return Preflight(
        buckets=() if fetcher is None else plan_buckets(plan),
        bucket_failures=bucket_failures,
        destination_problems=tuple(find_destination_problems(plan, output)),
        spaces=tuple(spaces),
        clashes=seen.clashes,
    )


def plan_buckets(plan: Plan) -> tuple[str, ...]:
    """Return the buckets that a plan restores from, sorted."""
    named = {raw_file.bucket_name for raw_file in plan.raw_files if raw_file.error is None}
    return tuple(sorted(bucket for bucket in named if bucket))


def find_bucket_failures(plan: Plan, fetcher: Fetcher, jobs: int) -> dict[str, Failure]:
    """Ask once for each bucket of the plan whether it is there, and return why some cannot be used, by their name.

    What an interruption cut short is no failure: the files will say that they were not attempted.
    """
    failures: dict[str, Failure] = {}

    def ask(bucket: str) -> None:
        try:
            fetcher.retry.call(lambda: fetcher.store.check_bucket(bucket), fetcher.stop)
        except Interrupted:
            pass
        except S3Fault as fault:
            if not fetcher.stop.is_set():
                failures[bucket] = fault.failure

    questions = [functools.partial(ask, bucket) for bucket in plan_buckets(plan)]
    Crew(min(jobs, len(questions)), fetcher.stop).run(questions)
    return failures
