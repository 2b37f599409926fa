"""The look at every file of a plan, of which `status` and `apply --dry-run` tell. Changes nothing."""

import itertools
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from applier.disk.folders import OutputFolder
from applier.disk.left_runs import find_left_staged
from applier.disk.staging import resumable_file, staged_name
from applier.restore.check_file import CheckTools, FileCheck, Verdict
from applier.restore.phase import Steps
from applier.restore.preflight import plan_buckets
from applier.restore.status import FileStatus, file_statuses
from applier.restore.step_pool import Step, StepPool
from applier.target import distinct_targets
from schemas.plan import Plan
from schemas.results import Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanLook:
    """What was seen of a plan's files.

    Args:
        files: in the plan's order, those that were not resolved among them.
        ended: whether every thread has ended, see `apply_plan`.
    """

    files: list[FileStatus]
    ended: bool


def check_plan(plan: Plan, tools: CheckTools, jobs: int, bucket_failures: Mapping[str, Failure]) -> PlanLook:
    """Look at every file of a plan and change nothing.

    Args:
        plan: as `read_plan` accepted it.
        tools: what every look needs.
        jobs: how many steps run at once.
        bucket_failures: why buckets cannot be used, by their name; S3 is not asked for their files.
    """
    verdicts: dict[int, Verdict] = {}
    lock = threading.Lock()

    def first_steps() -> Iterator[Step]:
        usable = [bucket for bucket in plan_buckets(plan) if bucket not in bucket_failures]
        for indices, target in itertools.chain(
            distinct_targets(plan, bucket_failures), distinct_targets(plan, usable) if bucket_failures else ()
        ):

            def then(verdict: Verdict, indices: list[int] = indices) -> Steps:
                with lock:
                    verdicts.update(dict.fromkeys(indices, verdict))
                return ()

            yield FileCheck(target, tools, then, bucket_failures.get(target.location.bucket_name)).start

    ended = StepPool(jobs, tools.fetcher.stop).run(first_steps())
    with lock:  # threads that have not ended may still tell of what they see
        seen = dict(verdicts)
    return PlanLook(files=list(file_statuses(plan, seen, _staged_bytes(plan, tools.output))), ended=ended)


def _staged_bytes(plan: Plan, output: OutputFolder) -> dict[int, int]:
    """Return what interrupted runs have left staged, by the place of its file in the plan."""
    by_destination: dict[str, dict[str, int]] = {}
    staged: dict[int, int] = {}
    for indices, target in distinct_targets(plan):
        if target.destination not in by_destination:
            by_destination[target.destination] = find_left_staged(output, target.destination)
        left = by_destination[target.destination]
        if left and (bytes_left := left.get(resumable_file(staged_name(target.file)), 0)):
            staged.update(dict.fromkeys(indices, bytes_left))
    return staged
