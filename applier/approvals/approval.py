"""Defines an approval: what somebody states about a plan, and the signature over exactly that. Pure."""

import json
from dataclasses import dataclass
from datetime import datetime

NAMESPACE = "kraken-plan"  # a signature made for anything else (git, files, e-mail) is none for a plan
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What an approver signs.

    Args:
        plan_digest: of the plan that is approved; it leaves out when, by whom and from what the plan was compiled.
        approved_by: what approvers call themselves; who they are is decided by their keys.
        approved_at: UTC, by the clock of their computer.
        comment: in their words.
    """

    plan_digest: str
    approved_by: str
    approved_at: datetime
    comment: str = ""

    def as_record(self) -> dict[str, str]:
        """Return it as it stands in the approvals file."""
        return {
            "plan_digest": self.plan_digest,
            "approved_by": self.approved_by,
            "approved_at": self.approved_at.strftime(TIME_FORMAT),
            "comment": self.comment,
        }

    def message(self) -> bytes:
        """Return the bytes that are signed: its record as JSON with sorted keys and no spaces, in UTF-8."""
        return json.dumps(self.as_record(), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A statement with its signature, in the armoured form that `ssh-keygen -Y sign` writes."""

    statement: Statement
    signature: str
