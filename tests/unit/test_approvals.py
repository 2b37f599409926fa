"""Approvals of a plan: which count, and what is said of those that do not. The real ssh-keygen signs and checks."""

import json
import subprocess
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from approvers import Approvers, needs_ssh_keygen
from hypothesis import given
from hypothesis import strategies as st

from applier.approvals.approval import Approval, Statement
from applier.approvals.approvals_file import add_approval, read_approvals
from applier.approvals.check_approvals import CheckedApproval, check_approvals, require_approvals
from applier.approvals.ssh_keygen import TrustedKeys, sign
from schemas.errors import ApprovalError, ConfigError
from schemas.site.settings import ApprovalRule, parse_site_settings

DIGEST = "sha256:" + "1" * 64
NOW = datetime(2026, 11, 28, 12, 0, 0, tzinfo=UTC)

pytestmark = needs_ssh_keygen


@pytest.fixture
def approvers(tmp_path: Path) -> Approvers:
    return Approvers(folder=tmp_path)


def approve(approvers: Approvers, key: str, digest: str = DIGEST, at: datetime = NOW, comment: str = "") -> Approval:
    statement = Statement(plan_digest=digest, approved_by=f"{key}@host", approved_at=at, comment=comment)
    return Approval(statement=statement, signature=sign(statement.message(), approvers.key(key)))


def check(approvals: list[Approval], allowed: Path, revoked: Path | None = None) -> tuple[CheckedApproval, ...]:
    trusted = TrustedKeys(allowed_signers=str(allowed), revoked_keys=None if revoked is None else str(revoked))
    return check_approvals(DIGEST, approvals, trusted, NOW, max_age_seconds=3600)


def problem(approval: Approval, allowed: Path, revoked: Path | None = None) -> str:
    (checked,) = check([approval], allowed, revoked)
    return checked.problem or "none"


def test_approvals_of_two_people_should_count(approvers: Approvers) -> None:
    allowed = approvers.allow("anna", "ben", "cleo")

    anna, ben = check([approve(approvers, "anna", comment="ticket 4711"), approve(approvers, "ben")], allowed)

    assert (anna.problem, anna.person, ben.problem, ben.person) == (None, "anna@example.org", None, "ben@example.org")
    assert anna.describe().startswith("anna@example.org, 2026-11-28 12:00:00 UTC, ED25519 key SHA256:")
    assert anna.describe().endswith(', "ticket 4711"')


def test_a_forged_approval_should_not_count(approvers: Approvers) -> None:
    """Signed by another key in somebody's name, or with somebody's signature of something else."""
    allowed = approvers.allow("anna")
    forged = approve(approvers, "mallory")
    in_her_name = replace(forged, statement=replace(forged.statement, approved_by="anna@example.org"))
    other = approve(approvers, "anna", digest="sha256:" + "2" * 64)

    assert problem(forged, allowed) == "its key is not among the allowed signers"
    assert problem(in_her_name, allowed) == "its key is not among the allowed signers"
    assert "it was edited, or copied" in problem(replace(forged, signature=other.signature), allowed)
    assert problem(replace(forged, signature="-----BEGIN SSH SIGNATURE-----\nAAAA\n"), allowed) != "none"
    assert problem(replace(forged, signature=""), allowed) != "none"


def test_a_replayed_approval_should_not_count(approvers: Approvers) -> None:
    """Somebody's approval of another plan, or signature for another purpose over the very same words."""
    allowed = approvers.allow("anna")
    other = approve(approvers, "anna", digest="sha256:" + "2" * 64)
    right = approve(approvers, "anna")
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(approvers.key("anna")), "-n", "git"]
    for_git = subprocess.run(command, input=right.statement.message(), capture_output=True, check=True, timeout=30)

    assert problem(right, allowed) == "none"
    assert problem(other, allowed) == f"it is for another plan, {other.statement.plan_digest}"
    assert problem(replace(right, signature=for_git.stdout.decode()), allowed) == (
        "its signature was made for something else than a plan"
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("comment", "only for a test"),
        ("approved_by", "ben@host"),
        ("approved_at", NOW - timedelta(seconds=1)),
        ("plan_digest", "sha256:" + "2" * 64),
    ],
)
def test_an_edited_approval_should_not_count(approvers: Approvers, field: str, value: str | datetime) -> None:
    approval = approve(approvers, "anna", comment="for real")
    changed: dict[str, Any] = {field: value}
    edited = replace(approval, statement=replace(approval.statement, **changed))

    assert "it was edited, or copied" in problem(edited, approvers.allow("anna"))


def test_an_expired_approval_should_not_count(approvers: Approvers) -> None:
    approval = approve(approvers, "anna")

    assert problem(approval, approvers.allow("anna", options='valid-before="20250101"')) == "the key has expired"
    assert problem(approval, approvers.allow("anna", options='valid-after="20990101"')) == "the key is not yet valid"
    allowed = approvers.allow("anna")
    assert problem(approve(approvers, "anna", at=NOW - timedelta(hours=1)), allowed) == "none"
    assert problem(approve(approvers, "anna", at=NOW - timedelta(hours=2)), allowed) == (
        "it is too old: 2 hours, and at most 1 hour are allowed"
    )
    assert problem(approve(approvers, "anna", at=NOW + timedelta(minutes=4)), allowed) == "none"
    assert "from the future" in problem(approve(approvers, "anna", at=NOW + timedelta(minutes=6)), allowed)


def test_a_revoked_key_should_not_count(approvers: Approvers) -> None:
    allowed, revoked = approvers.allow("anna", "ben"), approvers.revoke("ben")

    anna, ben = check([approve(approvers, "anna"), approve(approvers, "ben")], allowed, revoked)

    assert (anna.problem, ben.problem) == (None, "the key of ben@example.org is revoked")


def test_nobody_should_count_twice(approvers: Approvers) -> None:
    """Approving twice, having two keys, or being listed under two names."""
    twice = [approve(approvers, "anna"), approve(approvers, "anna", at=NOW - timedelta(minutes=1))]
    two_keys = [approve(approvers, "anna"), approve(approvers, "old")]

    for approvals, persons in ((twice, ["anna"]), (two_keys, ["anna", "anna=old"]), (twice, ["anna", "boss=anna"])):
        checked = check(approvals, approvers.allow(*persons))
        assert [one.problem for one in checked] == [None, "the same person has approved it already"]


def test_signatures_alone_should_not_count(approvers: Approvers) -> None:
    right, forged = approve(approvers, "anna"), approve(approvers, "anna", comment="x")
    forged = replace(forged, signature=right.signature)

    checked = check_approvals(DIGEST, [right, forged], None, NOW)

    assert [one.key is None for one in checked] == [False, True]
    assert checked[0].describe().startswith("anna@host (unchecked), ")
    assert "name the allowed signers" in str(checked[0].problem)


@pytest.mark.parametrize("missing", ["allowed_signers", "revoked_keys"])
def test_a_file_of_keys_that_cannot_be_read_should_be_named(approvers: Approvers, missing: str) -> None:
    """Or ssh-keygen would say of every approval that it is wrong."""
    allowed, revoked = approvers.allow("anna"), approvers.revoke("ben")
    (approvers.folder / missing).unlink()

    with pytest.raises(ApprovalError, match=rf"{missing} cannot be read: No such file"):
        check([approve(approvers, "anna")], allowed, revoked)


def test_too_few_approvals_should_be_refused_with_what_is_missing(approvers: Approvers) -> None:
    allowed = approvers.allow("anna", "ben")
    rule = ApprovalRule(required=2, allowed_signers=str(allowed), origin="the site")
    anna, mallory, ben = (approve(approvers, name) for name in ("anna", "mallory", "ben"))

    with pytest.raises(ApprovalError) as refused:
        require_approvals(DIGEST, [anna, mallory], rule, NOW, "plan.json")

    message = str(refused.value)
    assert "plan.json is not approved: the site asks for 2 approvals, and it has 1\n" in message
    assert "\n  valid: anna@example.org" in message
    assert "\n  not valid, its key is not among the allowed signers: mallory@host (unchecked)" in message
    assert f"approves {DIGEST} by `kraken-plan approve plan.json`" in message
    valid = require_approvals(DIGEST, [anna, mallory, ben], rule, NOW, "plan.json")
    assert [one.person for one in valid] == ["anna@example.org", "ben@example.org"]


def test_a_missing_ssh_keygen_should_be_named(approvers: Approvers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(approvers.folder / "empty"))

    with pytest.raises(ApprovalError, match="ssh-keygen is not installed"):
        check_approvals(DIGEST, [Approval(statement=STATEMENT, signature="x")], None, NOW)


STATEMENT = Statement(plan_digest=DIGEST, approved_by="anna@host", approved_at=NOW, comment='über "alles" \\ 😀')


def test_approvals_should_be_added_to_a_file_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "plan.json.approvals"
    first, second = (Approval(statement=STATEMENT, signature=signature) for signature in ("one\n", "two\n"))

    assert read_approvals(path) == ()
    add_approval(path, first)
    add_approval(path, second)

    assert read_approvals(path) == (first, second)
    record = json.loads(path.read_text(encoding="utf-8"))["approvals"][0]["statement"]
    assert json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() == STATEMENT.message()


RECORD = {"statement": STATEMENT.as_record(), "signature": "one\n"}


def in_file(*records: object, version: str = "1.0") -> str:
    return json.dumps({"format_version": version, "approvals": records})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "holds no approvals"),
        ('{"approvals": 1}', "holds no approvals"),
        (in_file(version="2.0"), "has format_version 2.0, and this program reads 1.0"),
        (in_file(*[RECORD] * 101), "has more than 100 approvals"),
        (in_file(RECORD, 5), "approval 2: expected a statement and a signature"),
        (in_file({**RECORD, "more": 1}), "approval 1: expected a statement and a signature"),
        (in_file({**RECORD, "signature": 5}), "approval 1: signature: expected an SSH signature"),
        (in_file({**RECORD, "statement": {**STATEMENT.as_record(), "x": "y"}}), "expected a statement with "),
        (in_file({**RECORD, "statement": {**STATEMENT.as_record(), "comment": "a\nb"}}), "comment: expected a line"),
        (
            in_file({**RECORD, "statement": {**STATEMENT.as_record(), "comment": "a" * 2000}}),
            "comment: expected a line",
        ),
        (
            in_file({**RECORD, "statement": {**STATEMENT.as_record(), "approved_at": "2026-1-2T3:4:5Z"}}),
            "found 2026-1-2",
        ),
        (" " * 1_100_000, "is too large"),
    ],
)
def test_a_file_that_holds_something_else_should_be_refused_and_kept(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "plan.json.approvals"
    path.write_text(content, encoding="utf-8")

    with pytest.raises(ApprovalError, match=words):
        add_approval(path, Approval(statement=STATEMENT, signature="one\n"))

    assert path.read_text(encoding="utf-8") == content


@given(st.recursive(st.none() | st.text(max_size=5) | st.integers(), lambda x: st.lists(x, max_size=3), max_leaves=5))
def test_nothing_but_our_error_should_come_out_of_any_approval(
    tmp_path_factory: pytest.TempPathFactory, value: object
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.approvals"
    for key in ("statement", "signature"):
        path.write_text(in_file({**RECORD, key: value}), encoding="utf-8")
        with suppress(ApprovalError):
            assert read_approvals(path)[0].signature == value


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"required": "2"}, "approvals.allowed_signers is missing"),
        ({"required": "two", "allowed_signers": "/s"}, "required: expected a number up to 20, found two"),
        ({"required": "21", "allowed_signers": "/s"}, "required: expected a number up to 20, found 21"),
        ({"required": "1", "allowed_signers": "signers"}, "allowed_signers: expected an absolute path, found signers"),
        ({"allowed_signers": "/s", "max_age": "long"}, "max_age: 'long' is not a duration"),
        ({"signers": "/s"}, "approvals.signers is not a setting: did you mean allowed_signers?"),
    ],
)
def test_a_site_that_asks_wrongly_should_be_refused(section: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words.replace("?", r"\?")):
        parse_site_settings({"approvals": section}, "site config x")


def test_a_site_should_ask_for_approvals() -> None:
    section = {"required": "2", "allowed_signers": "/s", "revoked_keys": "/r", "max_age": "30d"}

    assert parse_site_settings({"approvals": section}, "site config x").approvals == ApprovalRule(
        required=2,
        allowed_signers="/s",
        revoked_keys="/r",
        max_age_seconds=30 * 86400,
        origin="site config x: kraken_plan.approvals",
    )
    assert parse_site_settings({}, "site config x").approvals is None
