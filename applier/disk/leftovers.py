"""Which staged files a plan has a use for: at first all of its own, at the end those of files that are not right."""

from applier.disk.staging import staged_name
from schemas.paths import join_path
from schemas.plan import Plan, PlannedFile
from schemas.results import ApplyResult


def planned_names(plan: Plan, destination: str) -> set[str]:
    """Return the staged names of everything that the plan has below a destination.

    Args:
        plan: any plan.
        destination: relative to the output location.
    """
    base = _destination_base(plan, destination)
    return {staged_name(file) for raw_file, file in plan.planned_files() if raw_file.destination_base == base}


def unfinished_names(plan: Plan, result: ApplyResult, destination: str) -> set[str]:
    """Return the staged names of what failed below a destination; of what is right, nobody needs any."""
    base = _destination_base(plan, destination)
    names = set()
    for raw_file, ended in zip(plan.raw_files, result.raw_files, strict=True):
        if raw_file.destination_base != base:
            continue
        right = {file.relative_path for file in ended.files if file.outcome.succeeded}
        names |= {
            staged_name(file)
            for file in raw_file.files
            if isinstance(file, PlannedFile) and file.relative_path not in right
        }
    return names


def _destination_base(plan: Plan, destination: str) -> str:
    return join_path(plan.output_location, destination).rstrip("/")
