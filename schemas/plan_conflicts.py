"""Turns files that stand in each other's way into errors, so that everything else can be restored. Pure."""

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from schemas.plan import Plan, PlannedFile, RawFilePlan, UnresolvedFile
from schemas.plan_rules import PlannedPath, explain_conflict
from schemas.text import counted, printable

_MOST_SHOWN = 20

Conflicts = Sequence[tuple[PlannedPath, PlannedPath]]
"""Planned files that stand in another's way, each with one such other, as `find_conflicts` gives them."""


def with_conflicts_as_errors(
    plan: Plan, conflicts: Conflicts, explain: Callable[[PlannedPath, PlannedPath], str] = explain_conflict
) -> Plan:
    """Return the plan with every file that stands in another's way as an `UnresolvedFile`: reported, never attempted.

    Args:
        plan: any plan; its digest stays, so that results and reports still belong to the plan that was reviewed.
        conflicts: of this plan.
        explain: why two files are in each other's way, in words.
    """
    errors = {
        (claim.raw_file.raw_file_id, claim.file.relative_path): f"Conflicts with {other} ({explain(claim, other)})"
        for claim, other in conflicts
    }
    if not errors:
        return plan

    def checked(raw_file: RawFilePlan) -> Iterator[PlannedFile | UnresolvedFile]:
        for file in raw_file.files:
            error = errors.get((raw_file.raw_file_id, file.relative_path))
            if error is None or isinstance(file, UnresolvedFile):
                yield file
            else:
                yield raw_file.unresolved(file, error)

    raw_files = tuple(
        replace(raw_file, files=tuple(checked(raw_file))) if raw_file.error is None else raw_file
        for raw_file in plan.raw_files
    )
    return replace(plan, raw_files=raw_files)


def explain_one_file(_claim: PlannedPath, _other: PlannedPath) -> str:
    """Return why two files conflict whose names the file system does not keep apart."""
    return "the file system makes one file of both names"


def refuse_one_file(conflicts: Conflicts) -> str:
    """Return the message that refuses a plan of whose names the file system makes one file, with what to do."""
    lines = [f"\n  {claim} and {other}" for claim, other in conflicts[:_MOST_SHOWN]]
    more = f"\n  … and {len(conflicts) - _MOST_SHOWN:,} more" if len(conflicts) > _MOST_SHOWN else ""
    excluded = _excluding(claim.file.relative_path for claim, _ in conflicts[:1])
    return (
        f"nothing was restored: the file system makes one file of names that the plan keeps apart, "
        f"{counted(len(conflicts), 'file')}:{''.join(lines)}{more}\n"
        "  Restore with --output-root DIR to a file system that keeps them apart; or leave files out "
        f"(`kraken-plan select PLAN {excluded} -o REST`); or restore all others and report these as failures "
        "(--skip-conflicts)"
    )


def _excluding(relative_paths: Iterable[str]) -> str:
    """Return the options of `select` that leave these files out, for a shell."""
    return " ".join(f"--exclude {printable(shlex.quote(_as_pattern(path)), 300)}" for path in relative_paths)


def _as_pattern(relative_path: str) -> str:
    """Return the shell pattern that matches this path alone."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in relative_path)
