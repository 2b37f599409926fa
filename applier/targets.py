"""The files of a plan as apply meets them: each destination once, whatever the number of entries that share it."""

from collections.abc import Container, Iterator

from applier.check_file import Target
from schemas.plan import Plan


def distinct_targets(plan: Plan, passed_over: Container[str | None] = ()) -> Iterator[tuple[list[int], Target]]:
    """Yield each file once, with its places in the plan: entries with one destination (and so one content) share it.

    Args:
        plan: as `read_plan` accepted it.
        passed_over: buckets whose files are left out.

    Returns:
        Places among `plan.planned_files()`, and the file as the first of them has it.
    """
    places: dict[str, list[int]] = {}
    for index, (raw_file, file) in enumerate(plan.planned_files()):
        if raw_file.bucket_name not in passed_over:
            places.setdefault(raw_file.absolute_dest_path(file), []).append(index)
    for index, (raw_file, file) in enumerate(plan.planned_files()):
        indices = places.get(raw_file.absolute_dest_path(file), [])
        if indices and index == indices[0]:
            yield indices, Target.of(raw_file, file, plan.output_location)
