"""Describes a run that has ended, or that was refused, for programs: one JSON object."""

from dataclasses import dataclass
from datetime import datetime

from applier.reports.run_summary import RunSummary
from schemas.results_file import SUMMARY_VERSION, TIME_FORMAT
from schemas.tally import Fate
from schemas.version import CREATED_BY

SUMMARY_BEGINS = b'{"run_summary": '
_EXIT_REFUSED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why nothing was done.

    Args:
        reason: in words.
        at: UTC.
    """

    reason: str
    at: datetime

    def as_record(self) -> dict[str, object]:
        """Return what programs read."""
        return {
            "ended_at": self.at.strftime(TIME_FORMAT),
            "exit_code": _EXIT_REFUSED,
            "succeeded": False,
            "error": self.reason,
            "written_by": CREATED_BY,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRun:
    """How a run has ended.

    Args:
        command: its name.
        plan: as the user named it.
        end: its summary, or why it was refused.
        healing: the summary of the apply that healed what `verify --heal` had found, or why it was refused.
    """

    command: str
    plan: str
    end: RunSummary | Refusal
    healing: RunSummary | Refusal | None = None

    @property
    def exit_code(self) -> int:
        """What it leaves with."""
        if isinstance(self.end, Refusal):
            return _EXIT_REFUSED
        if self.healing is None or isinstance(self.healing, Refusal):
            return self.end.end.exit_code or 0
        return self.healing.end.exit_code or self.exit_code_of_unresolvable

    @property
    def exit_code_of_unresolvable(self) -> int:
        """What it leaves with once everything is healed: the plan's own errors are still there."""
        return int(not isinstance(self.end, Refusal) and self.end.tally.unresolvable.entries > 0)

    @property
    def healed_files(self) -> int:
        """How many local files were wrong, and are right now."""
        ends = [end for end in (self.end, self.healing) if isinstance(end, RunSummary)]
        return sum(end.tally[Fate.HEALED].entries for end in ends)

    @property
    def is_uneventful(self) -> bool:
        """Whether nobody has to know: everything is right, and nothing was found to be wrong on the way."""
        return self.exit_code == 0 and self.healing is None and self.healed_files == 0

    @property
    def ended_at(self) -> datetime:
        """UTC."""
        last = self.end if self.healing is None else self.healing
        return last.at if isinstance(last, Refusal) else last.end.ended_at

    def as_record(self) -> dict[str, object]:
        """Return what programs read; the names in it stay as they are, and more may be added."""
        head: dict[str, object] = {"run_summary": SUMMARY_VERSION, "command": self.command, "plan": self.plan}
        healing = {} if self.healing is None else {"healing": self.healing.as_record()}
        return {**head, **self.end.as_record(), "exit_code": self.exit_code, **healing}
