"""Makes a smaller plan out of a plan: by raw file, project and path, what failed, what can be resolved. Pure."""

import fnmatch
import re
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, replace

from planner.raw_file_ids import AskedText, read_ids
from planner.similar_ids import find_similar, long_enough, nearest_ids
from schemas.errors import ConfigError
from schemas.plan import Plan, PlannedFile, RawFilePlan, UnresolvedFile
from schemas.results import ApplyResult, FileResult
from schemas.tally import Fate, fate_of_file
from schemas.text import explain_unknown, printable

_MAX_NAMED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is asked for; what is empty asks for everything.

    Args:
        raw_file_ids: any of these raw files.
        project_ids: of any of these projects.
        include: shell patterns; a file's relative path matches one of them. `*` matches slashes, too.
        exclude: shell patterns; it matches none of these.
    """

    raw_file_ids: tuple[str, ...] = ()
    project_ids: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


def read_raw_files(plan: Plan, texts: Iterable[str]) -> tuple[str, ...]:
    """Return the raw files of a plan that texts ask for, read as `planner.raw_file_ids` reads them.

    Raises:
        ConfigError: names what the plan has not, and the nearest that it has.
    """
    ids = {raw_file.raw_file_id for raw_file in plan.raw_files}
    asked = read_ids([AskedText(text) for text in texts], ids)
    names = long_enough(asked.unknown)
    nearest = nearest_ids(names, find_similar(names, ({"_id": raw_file.raw_file_id} for raw_file in plan.raw_files)))

    def hint(name: str) -> str:
        return f" (nearest: {', '.join(printable(known, 300) for known in nearest[name])})" if name in nearest else ""

    _refuse_unknown("raw file", asked.unknown, ids, hint)
    return asked.raw_file_ids


def check_projects(plan: Plan, project_ids: Iterable[str]) -> None:
    """See that the plan has every project that is asked for.

    Raises:
        ConfigError: names those that it has not, and what it has instead.
    """
    known = {raw_file.project_id for raw_file in plan.raw_files}
    names = [project_id for project_id in known if project_id is not None]
    _refuse_unknown("project", project_ids, known, lambda name: f" ({printable(explain_unknown(name, names), 600)})")


def select_from_plan(plan: Plan, selection: Selection) -> Plan:
    """Return the plan with what is asked for by all of the selection, in the plan's order, still without a digest.

    A raw file that failed as a whole has no paths: it is left out where paths are included, and stays otherwise.
    """
    raw_file_ids, project_ids = set(selection.raw_file_ids), set(selection.project_ids)
    included, excluded = _any_of(selection.include), _any_of(selection.exclude)

    def is_wanted(file: PlannedFile | UnresolvedFile) -> bool:
        path = file.relative_path
        return (not selection.include or included(path)) and not excluded(path)

    raw_files = [
        raw_file
        for raw_file in plan.raw_files
        if (not raw_file_ids or raw_file.raw_file_id in raw_file_ids)
        and (not project_ids or raw_file.project_id in project_ids)
        and (raw_file.error is None or not selection.include)
    ]
    kept = ((raw_file, [file for file in raw_file.files if is_wanted(file)]) for raw_file in raw_files)
    return _with_raw_files(plan, kept)


def select_failed(plan: Plan, result: ApplyResult) -> Plan:
    """Return the plan with what has failed or was not attempted, still without a digest.

    Args:
        plan: any plan.
        result: of this plan, as `merge_results` gives it.
    """
    kept = (
        (
            raw_file,
            raw_file.files
            if found.failure is not None
            else [file for file, said in zip(raw_file.files, found.files, strict=True) if not said.outcome.succeeded],
        )
        for raw_file, found in zip(plan.raw_files, result.raw_files, strict=True)
    )
    return _with_raw_files(plan, kept)


def select_wrong(plan: Plan, result: ApplyResult) -> Plan:
    """Return the plan with those files that were looked at and are not as planned, still without a digest.

    Args:
        plan: any plan.
        result: of this plan, every file in its place.
    """
    kept = (
        (raw_file, [file for file, said in zip(raw_file.files, found.files, strict=True) if _is_wrong(said)])
        for raw_file, found in zip(plan.raw_files, result.raw_files, strict=True)
        if raw_file.error is None
    )
    return _with_raw_files(plan, kept)


def select_resolvable(plan: Plan) -> Plan:
    """Return the plan with what can be restored, still without a digest."""
    resolved = [raw_file for raw_file in plan.raw_files if raw_file.error is None]
    kept = ((raw_file, [file for file in raw_file.files if isinstance(file, PlannedFile)]) for raw_file in resolved)
    return _with_raw_files(plan, kept)


def _with_raw_files(plan: Plan, kept: Iterable[tuple[RawFilePlan, Iterable[PlannedFile | UnresolvedFile]]]) -> Plan:
    """Return the plan with these raw files and files only, less raw files of which no file is left.

    A raw file that is in error as a whole stays as it is.
    """
    cut = (replace(raw_file, files=tuple(files)) if raw_file.error is None else raw_file for raw_file, files in kept)
    left = tuple(raw_file for raw_file in cut if raw_file.files or raw_file.error is not None)
    return replace(plan, raw_files=left, plan_digest=None)


def _is_wrong(result: FileResult) -> bool:
    return fate_of_file(result) is Fate.FAILED


def _any_of(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Return whether a path matches any of the patterns, case and all."""
    matches = [re.compile(fnmatch.translate(pattern)).match for pattern in patterns]
    return lambda path: any(match(path) for match in matches)


def _refuse_unknown(
    noun: str, asked: Iterable[str], known: Container[str | None], hint: Callable[[str], str] = lambda _: ""
) -> None:
    unknown = [printable(name, 300) + hint(name) for name in asked if name not in known]
    if unknown:
        more = f" (and {len(unknown) - _MAX_NAMED:,} more)" if len(unknown) > _MAX_NAMED else ""
        raise ConfigError(f"the plan has no {noun} {', '.join(unknown[:_MAX_NAMED])}{more}")
