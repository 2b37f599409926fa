"""Sums a run up for people and programs: who ran what, how long it took, how the entries ended, and what failed why.

The results file's last line, `--summary`, notifications and metrics are made of its record; the report and the page of
the same parts.
"""

from dataclasses import dataclass, replace

from applier.reports.causes import FailureGroup, group_failures
from schemas.results import MD5_BYTES, ApplyResult, FileResult, Outcome, RunEnd, RunHead
from schemas.results_file import SUMMARY_VERSION, TIME_FORMAT
from schemas.tally import Fate, Tally
from schemas.version import CREATED_BY

_SUCCEEDED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """A run, or several runs over one plan that were merged, summed up.

    Args:
        head: how it began.
        end: how it ended.
        tally: how the entries of the plan ended.
        causes: why some are not verified: failed ones first, then unresolvable ones, then those not attempted.
    """

    head: RunHead
    end: RunEnd
    tally: Tally
    causes: tuple[FailureGroup, ...]

    @classmethod
    def of(cls, result: ApplyResult, head: RunHead, end: RunEnd) -> "RunSummary":
        """Sum up."""
        fates = (Fate.FAILED, Fate.UNRESOLVABLE, Fate.NOT_ATTEMPTED)
        causes = [group for fate in fates for group in group_failures(result.raw_files, fate)]
        return cls(head=head, end=end, tally=Tally.of(result), causes=tuple(causes))

    def with_exit_code(self, exit_code: int) -> "RunSummary":
        """Return the summary of a run that leaves with another exit code after all."""
        return replace(self, end=replace(self.end, exit_code=exit_code))

    @property
    def duration_seconds(self) -> float:
        """See `RunEnd.duration_seconds`."""
        return self.end.duration_seconds(self.head)

    @property
    def fetched_bytes_per_second(self) -> float:
        """See `RunEnd.fetched_bytes_per_second`."""
        return self.end.fetched_bytes_per_second(self.head)

    @property
    def is_interrupted(self) -> bool:
        """Whether a signal ended the run."""
        return self.end.is_interrupted

    @property
    def succeeded(self) -> bool:
        """Whether every entry is verified and nothing else went wrong, as far as it is known."""
        return self.tally.all_verified and self.end.exit_code in {None, _SUCCEEDED}

    def as_record(self) -> dict[str, object]:
        """Return the summary for JSON; the names in it stay as they are, and more may be added."""
        return {
            "run_summary": SUMMARY_VERSION,
            "plan_digest": self.head.plan_digest,
            "output_location": self.head.output_location,
            "started_at": self.head.started_at.strftime(TIME_FORMAT),
            "ended_at": self.end.ended_at.strftime(TIME_FORMAT),
            "duration_seconds": round(self.duration_seconds, 3),
            "host": self.head.host,
            "user": self.head.user,
            "options": list(self.head.options),
            "approvals": list(self.head.approvals),
            "written_by": CREATED_BY,
            "exit_code": self.end.exit_code,
            "succeeded": self.succeeded,
            "interrupted": self.is_interrupted,
            **self.tally.as_record(),
            "fetched_bytes": self.end.fetched_bytes,
            "causes": [_cause_record(group) for group in self.causes],
            "reports": list(self.end.reports),
        }


def _cause_record(group: FailureGroup) -> dict[str, object]:
    return {
        "cause": group.cause.title,
        "applying_again_helps": group.cause.again,
        "entries": group.entries,
        "first": [
            {
                "raw_file_id": entry.raw_file_id,
                "relative_path": entry.relative_path,
                "failure_kind": entry.failure.kind.name.lower(),
                "message": entry.failure.message,
            }
            for entry in group.first
        ],
    }


def count_fetched_bytes(result: ApplyResult) -> int:
    """Return how much of what a run restored came from S3, and not from parts that were right already."""
    return sum(map(_fetched_bytes, result.files()))


def _fetched_bytes(file: FileResult) -> int:
    if file.outcome not in {Outcome.DOWNLOADED, Outcome.HEALED}:
        return 0
    size_bytes, parts = file.size_bytes or 0, len(file.part_md5s) // MD5_BYTES
    if file.fetched_parts is None or not parts:
        return size_bytes
    return size_bytes * min(file.fetched_parts, parts) // parts
