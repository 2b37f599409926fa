"""Looks at every file of a plan, for `status` and `apply --dry-run`. Changes nothing."""

import functools
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from applier.disk.folders import OutputFolder
from applier.disk.left_runs import find_left_staged
from applier.disk.staging import resumable_file, staged_name
from applier.look.status import FileStatus, Seen, file_statuses
from applier.restore.check_file import Look, Verdict, check_file
from applier.restore.decide import LocalState
from applier.restore.failures import failure_of
from applier.restore.small_files import Placed, group_small_files, look_at_small_files, most_listed_together
from applier.restore.tools import CheckTools
from applier.target import Target, distinct_targets, location_of
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


def check_plan(plan: Plan, tools: CheckTools, look: Look, bucket_failures: Mapping[str, Failure]) -> PlanLook:
    """Look at every file of a plan and change nothing.

    Args:
        plan: as `read_plan` accepted it.
        tools: what looking at a file needs.
        look: how far to look.
        bucket_failures: why buckets cannot be used, by their name; S3 is not asked for their files.
    """
    seen: dict[int, Seen] = {}
    lock = threading.Lock()

    def check(indices: list[int], target: Target, local: LocalState | None) -> None:
        try:
            verdict = check_file(target, tools, look, bucket_failures.get(target.location.bucket_name), local)
        except BaseException as error:  # noqa: BLE001  # one file's fault is its own, as in `restore_file`
            verdict = Verdict(action=failure_of(error))
        with lock:
            seen.update(dict.fromkeys(indices, Seen.of(verdict)))
        tools.progress.file_checked(len(indices))

    reads = look is not Look.THREE_WAY_BY_SIZE

    def check_together(group: list[Placed]) -> None:
        right = look_at_small_files([target for _, target in group], tools) if reads else {}
        for indices, target in group:
            check(indices, target, right.get(target.path))

    targets = tools.ahead.look_ahead(distinct_targets(plan), location_of)
    together = most_listed_together(plan.totals().files, tools.crew.threads) if reads else 1
    groups = group_small_files(targets, lambda _: True, most_listed=together)  # nothing is touched, whatever S3 lists
    ended = tools.crew.run(functools.partial(check_together, group) for _, group in groups)
    with lock:  # threads that have not ended may still add what they see
        seen_so_far = dict(seen)
    statuses = file_statuses(plan, seen_so_far, find_staged_bytes(plan, tools.output))
    return PlanLook(files=list(statuses), ended=ended)


def find_staged_bytes(plan: Plan, output: OutputFolder) -> dict[int, int]:
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
