"""Builds the page that shows what differs between two plans."""

from collections import Counter
from collections.abc import Iterable, Iterator

from kraken_plan.views.diff_text import Compared, change_text
from kraken_plan.views.pages.page import BigTable, Figure, Group, Page, Row, State
from kraken_plan.views.pages.plan_rows import file_origin, raw_file_place
from kraken_plan.views.plan_sections import NOTHING, Section, name_of, notes_text
from kraken_plan.views.table import Column, Tone, Toned
from planner.plan_diff import Change, DiffKind, FileDiff, PlanDiff, RawFileDiff
from schemas.plan import PlannedFile, RawFilePlan, UnresolvedFile
from schemas.text import counted, human_size, printable

_NEW_ERROR = State(words=Toned("new error", Tone.BAD), mark="✗", weighs=False)
_STATES = {
    DiffKind.REMOVED: State(words=Toned("removed", Tone.BAD), mark="−", weighs=False),  # noqa: RUF001  # a minus sign
    DiffKind.CHANGED: State(words=Toned("changed", Tone.NOTABLE), mark="~"),
    DiffKind.ADDED: State(words=Toned("added", Tone.GOOD), mark="+"),
}


def diff_page(diff: PlanDiff, old: Compared, new: Compared) -> Page:
    """Return the page that shows what differs."""
    return Page(
        title="Plan changes",
        subtitle="The plans ask for the same" if diff.is_empty else printable(f"{old.name} → {new.name}"),
        figures=[_figure(diff, kind) for kind in DiffKind],
        facts=[fact for side, plan in (("Old", old), ("New", new)) for fact in _facts(side, plan)],
        sections=[section for section in (_whole_plan(diff), _projects(diff)) if section.rows],
        table=None if diff.is_empty else _table(diff),
    )


def _table(diff: PlanDiff) -> BigTable:
    return BigTable(
        title="Raw files and their files that differ",
        states=(_NEW_ERROR, *_STATES.values()),
        groups=_groups(diff),
        size_words="added or changed",
    )


def _figure(diff: PlanDiff, kind: DiffKind) -> Figure:
    totals = diff.totals(kind)
    note = f"{counted(totals.raw_files, 'raw file')}, {human_size(totals.size_bytes)}"
    tone = _STATES[kind].words.tone if totals.raw_files or totals.files else Tone.PLAIN
    return Figure(label=f"Files {kind.value}", value=f"{totals.files:,}", note=note, tone=tone)


def _facts(side: str, compared: Compared) -> Iterator[tuple[str, str]]:
    yield side, printable(compared.name)
    yield f"{side} digest", compared.plan.plan_digest or "no plan"


def _whole_plan(diff: PlanDiff) -> Section:
    return Section(
        title="The plan as a whole",
        columns=(Column("Changed"),),
        rows=[(Toned(change_text(change), Tone.NOTABLE),) for change in diff.changes],
    )


def _projects(diff: PlanDiff) -> Section:
    """Return the bytes and files per project and kind, largest project first."""
    by_project: dict[str | None, list[FileDiff]] = {}
    for raw_file in diff.raw_files:
        by_project.setdefault(_present(raw_file).project_id, []).extend(raw_file.files)
    weights = {project: sum(file.size_bytes for file in files) for project, files in by_project.items()}
    ordered = sorted(by_project, key=lambda project: -weights[project])
    total = sum(weights.values()) or 1
    return Section(
        title="By project",
        columns=(Column("Project"), *(Column(kind.value.capitalize()) for kind in DiffKind)),
        rows=[(name_of(project), *(_files_of(by_project[project], kind) for kind in DiffKind)) for project in ordered],
        shares=[weights[project] / total for project in ordered],
    )


def _files_of(files: list[FileDiff], kind: DiffKind) -> str:
    sizes = [file.size_bytes for file in files if file.kind is kind]
    return f"{counted(len(sizes), 'file')}, {human_size(sum(sizes))}" if sizes else NOTHING


def _groups(diff: PlanDiff) -> Iterator[Group]:
    for raw_file in diff.raw_files:
        present = _present(raw_file)
        yield Group(
            head=Row(
                name=printable(raw_file.raw_file_id),
                state=_raw_file_state(raw_file),
                detail=raw_file_place(present),
                note=_raw_file_note(raw_file, present),
                size_bytes=sum(file.size_bytes for file in raw_file.files) if raw_file.files else None,
            ),
            label=name_of(present.project_id),
            rows=[_row(file) for file in raw_file.files],
        )


def _present(raw_file: RawFileDiff) -> RawFilePlan:
    """Return a raw file as the newer plan has it, or if it was removed, as the older one has it."""
    present = raw_file.old if raw_file.new is None else raw_file.new
    if present is None:
        raise ValueError(f"raw file {raw_file.raw_file_id!r} is in neither plan")
    return present


def _row(file: FileDiff) -> Row:
    present = file.old if file.new is None else file.new
    if present is None:
        raise ValueError(f"file {file.relative_path!r} is in neither plan")
    error = present.error if isinstance(present, UnresolvedFile) and file.kind is not DiffKind.CHANGED else ""
    return Row(
        name=printable(file.relative_path),
        state=_state(file),
        detail=file_origin(present),
        note=_changes_text(file.changes) or printable(error),
        size_bytes=present.expected_size,
    )


def _changes_text(changes: Iterable[Change]) -> str:
    return "; ".join(change_text(change) for change in sorted(changes, key=lambda change: change.name != "error"))


def _raw_file_state(raw_file: RawFileDiff) -> State:
    """Return a raw file's state; a new error in one of its files comes before everything else."""
    files = (_state(file) for file in raw_file.files)
    return _NEW_ERROR if _NEW_ERROR in files else _state(raw_file)


def _state(entry: RawFileDiff | FileDiff) -> State:
    if _error(entry.new) is not None and _error(entry.old) is None:
        return _NEW_ERROR
    return _STATES[entry.kind]


def _error(side: RawFilePlan | PlannedFile | UnresolvedFile | None) -> str | None:
    return None if side is None or isinstance(side, PlannedFile) else side.error


def _raw_file_note(raw_file: RawFileDiff, present: RawFilePlan) -> str:
    if raw_file.kind is not DiffKind.CHANGED:
        return "; ".join(filter(None, [printable(present.error or ""), notes_text(present.notes)]))
    kinds = Counter(file.kind for file in raw_file.files)
    files = [f"{counted(kinds[kind], 'file')} {kind.value}" for kind in DiffKind if kinds[kind]]
    return "; ".join(filter(None, [_changes_text(raw_file.changes), *files]))
