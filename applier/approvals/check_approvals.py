"""Decides which approvals of a plan count, and whether they are enough."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from applier.approvals.allowed_signers import LentKeys
from applier.approvals.approval import Approval
from applier.approvals.ssh_keygen import SignatureProblem, check_signature, identify_signer
from applier.approvals.trusted_keys import TrustedKeys
from schemas.errors import ApprovalError
from schemas.site.settings import ApprovalRule
from schemas.text import counted, counted_span, printable

_CLOCKS_MAY_DIFFER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedApproval:
    """An approval, and whether it counts.

    Args:
        approval: as it stands in the file.
        key: type and fingerprint of the key that signed it; None if the signature does not hold.
        person: whom the allowed signers name for the key; None if nobody was found, or asked for.
        problem: why it does not count; None if it does.
    """

    approval: Approval
    key: str | None = None
    person: str | None = None
    problem: str | None = None

    def describe(self) -> str:
        """Return who approved it when, with which key, and in which words."""
        statement = self.approval.statement
        who = self.person or f"{statement.approved_by} (unchecked)"
        key = f", {self.key}" if self.key else ""
        comment = f', "{statement.comment}"' if statement.comment else ""
        return printable(f"{who}, {statement.approved_at:%Y-%m-%d %H:%M:%S} UTC{key}{comment}")

    def describe_fully(self) -> str:
        """Return the same, and before it whether it counts."""
        return f"{'valid' if self.problem is None else f'not valid, {self.problem}'}: {self.describe()}"


def check_approvals(
    plan_digest: str,
    approvals: Sequence[Approval],
    trusted: TrustedKeys | None,
    now: datetime,
    max_age_seconds: int | None = None,
) -> tuple[CheckedApproval, ...]:
    """Check every approval on its own, and that no person or key counts twice.

    Args:
        plan_digest: of the plan that they are to be for.
        approvals: as they stand in the file.
        trusted: whose signatures count; None, and only the signatures themselves are checked, so that none counts.
        now: UTC.
        max_age_seconds: older ones do not count.

    Raises:
        ApprovalError: ssh-keygen, or a file with keys, cannot be used.
    """
    checked = []
    seen = set[str]()
    with ExitStack() as opened:
        keys = None if trusted is None else opened.enter_context(trusted.lent())
        for approval in approvals:
            one, identities = _check(plan_digest, approval, keys, now, max_age_seconds)
            if one.problem is None:
                if identities & seen:
                    one = replace(one, problem="the same person has approved it already")
                seen |= identities
            checked.append(one)
    return tuple(checked)


def _check(
    plan_digest: str, approval: Approval, trusted: LentKeys | None, now: datetime, max_age_seconds: int | None
) -> tuple[CheckedApproval, frozenset[str]]:
    """Return an approval, checked on its own, and all names and keys of who has signed it."""
    statement = approval.statement
    try:
        if trusted is None:
            key = check_signature(statement.message(), approval.signature)
            unknown = "whose key this is was not checked: name the allowed signers"
            return CheckedApproval(approval=approval, key=key, problem=unknown), frozenset()
        signer = identify_signer(statement.message(), approval.signature, trusted)
    except SignatureProblem as problem:
        return CheckedApproval(approval=approval, problem=str(problem)), frozenset()
    age = now - statement.approved_at
    problem_ = None
    if statement.plan_digest != plan_digest:
        problem_ = f"it is for another plan, {printable(statement.plan_digest, 80)}"
    elif age < -_CLOCKS_MAY_DIFFER:
        problem_ = "it is from the future: is a clock wrong?"
    elif max_age_seconds is not None and age.total_seconds() > max_age_seconds:
        most = counted_span(max_age_seconds)
        problem_ = f"it is too old: {counted_span(age.total_seconds())}, and at most {most} are allowed"
    checked = CheckedApproval(approval=approval, key=signer.key, person=signer.person, problem=problem_)
    return checked, signer.identities


def require_approvals(
    plan_digest: str, approvals: Sequence[Approval], rule: ApprovalRule, now: datetime, name: str
) -> tuple[CheckedApproval, ...]:
    """Return the approvals of a plan that count.

    Args:
        plan_digest: of the plan that is to be applied.
        approvals: as they stand in the file.
        rule: how many of whom are asked for.
        now: UTC.
        name: how the user named the plan, for messages.

    Raises:
        ApprovalError: they are not enough; it says what is there, and what is missing.
    """
    trusted = TrustedKeys(allowed_signers=rule.allowed_signers, revoked_keys=rule.revoked_keys)
    checked = check_approvals(plan_digest, approvals, trusted, now, rule.max_age_seconds)
    valid = tuple(one for one in checked if one.problem is None)
    if len(valid) >= rule.required:
        return valid
    lines = [
        f"{name} is not approved: {rule.origin} asks for {counted(rule.required, 'approval')}, and it has {len(valid)}",
        *(f"  {one.describe_fully()}" for one in checked),
        f"  whoever has reviewed it approves {plan_digest} by `kraken-plan approve {name}`",
    ]
    raise ApprovalError("\n".join(lines))
