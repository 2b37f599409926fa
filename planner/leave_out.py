"""Leaves raw files out that never were on S3, and counts why. Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from planner.backup_status import explain_no_upload, is_never_uploaded
from planner.find_records import FoundRecords


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """What was left out.

    Args:
        reasons: how many raw files for each reason, the most frequent first.
        first: the names of some of them.
    """

    reasons: Mapping[str, int]
    first: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many raw files."""
        return sum(self.reasons.values())


_MOST_NAMED = 20
NOTHING_LEFT_OUT = LeftOut(reasons={}, first=())


def leave_out_never_uploaded(found: FoundRecords) -> tuple[FoundRecords, LeftOut]:
    """Return what was found without the raw files of which the catalog knows no upload, and what that leaves out."""
    left_out = [record for record in found.records if is_never_uploaded(record)]
    names = {record.raw_file_id for record in left_out}
    kept = replace(
        found,
        raw_file_ids=tuple(raw_file_id for raw_file_id in found.raw_file_ids if raw_file_id not in names),
        records=tuple(record for record in found.records if record.raw_file_id not in names),
    )
    reasons = Counter(map(explain_no_upload, left_out))
    return kept, LeftOut(reasons=dict(reasons.most_common()), first=tuple(sorted(names)[:_MOST_NAMED]))
