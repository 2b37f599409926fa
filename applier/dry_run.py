"""What `apply` would do, in words; changes nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from applier.apply_plan import check_plan
from applier.check_file import Verdict
from applier.decide import Action
from applier.restore_file import RestoreTools
from schemas.etag import MIB
from schemas.plan import Plan, PlannedFile, RawFilePlan
from schemas.results import Failure
from schemas.text import printable


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What a dry run has found.

    Args:
        lines: one for each file, in the plan's order.
        well: whether everything can be restored.
        ended: whether every thread has ended, see `apply_plan`.
    """

    lines: list[str]
    well: bool
    ended: bool


def dry_run(plan: Plan, tools: RestoreTools, jobs: int) -> DryRun:
    """Look at everything that a plan names.

    Args:
        plan: as `read_plan` accepted it.
        tools: what every file's way needs.
        jobs: how many steps run at once.
    """
    verdicts: dict[Path, Verdict] = {}

    def tell(raw_file: RawFilePlan, file: PlannedFile, verdict: Verdict) -> None:
        verdicts[Path(raw_file.absolute_dest_path(file))] = verdict

    bucket_failures, ended = check_plan(plan, tools, jobs, tell)

    def lines() -> Iterator[tuple[str, bool]]:
        for raw_file in plan.raw_files:
            name = printable(raw_file.raw_file_id)
            failure = bucket_failures.get(raw_file.bucket_name or "")
            if raw_file.error is not None or failure is not None:
                yield f"cannot    {name}: {printable(raw_file.error or (failure.message if failure else ''))}", False
                continue
            for file in raw_file.files:
                if not isinstance(file, PlannedFile):
                    yield f"cannot    {printable(file.relative_path)}: {printable(file.error)}", False
                    continue
                verdict = verdicts.get(Path(raw_file.absolute_dest_path(file)))
                yield _line(file, verdict), verdict is not None and isinstance(verdict.action, Action)

    told = list(lines())
    return DryRun(lines=[line for line, _ in told], well=all(well for _, well in told), ended=ended)


def _line(file: PlannedFile, verdict: Verdict | None) -> str:
    path = printable(file.relative_path)
    if verdict is None:
        return f"cannot    {path}: not looked at (interrupted)"
    size_mb = (verdict.info.size_bytes if verdict.info else 0) / MIB
    match verdict.action:
        case Failure() as failure:
            return f"cannot    {path}: {failure.message}"
        case Action.SKIP:
            return f"skip      {path}: already exists, verified ({size_mb:.1f} MB)"
        case Action.DOWNLOAD:
            return f"download  {path} ({size_mb:.1f} MB)"
        case Action.HEAL:
            return f"heal      {path}: {verdict.local.detail if verdict.local else ''} ({size_mb:.1f} MB)"
