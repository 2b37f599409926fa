"""Approvals of a plan: which count, and what is said of those that do not. The real ssh-keygen signs and checks."""

import json
import os
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
from applier.approvals.ssh_keygen import sign, signing_key
from applier.approvals.trusted_keys import TrustedKeys
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


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('anna@x valid-before="2027-12-31" {anna}', 'line 2: bad options: invalid "valid-before" time'),
        ("anna@x until=tomorrow {anna}", "line 2: bad options: unknown key option"),
    ],
)
def test_a_line_that_ssh_keygen_skips_should_be_named(approvers: Approvers, line: str, words: str) -> None:
    allowed = approvers.allow("ben")
    with allowed.open("a", encoding="utf-8") as file:
        file.write(line.format(anna=approvers.public_key("anna")))
    assert problem(approve(approvers, "anna"), allowed) == f"its key is not among the allowed signers ({words})"


@pytest.mark.parametrize(
    "lines",
    [
        ['annagit@x namespaces="git" {anna}', "anna@x {anna}"],
        ['annagit@x namespaces="git" {anna}', "Anna {ben}", 'anna@x namespaces="kraken-plan" {anna}'],
    ],
)
def test_a_key_should_count_under_any_of_its_names_that_may_sign_plans(approvers: Approvers, lines: list[str]) -> None:
    keys = {name: approvers.public_key(name) for name in ("anna", "ben")}
    allowed = approvers.folder / "allowed_signers"
    allowed.write_text("".join(f"{line.format(**keys)}\n" for line in lines), encoding="utf-8")

    (anna,) = check([approve(approvers, "anna")], allowed)
    (revoked,) = check([approve(approvers, "anna")], allowed, approvers.revoke("anna"))

    assert (anna.problem, anna.person) == (None, "anna@x")
    assert revoked.problem == "the key of anna@x is revoked"


def test_a_key_that_may_sign_other_things_only_should_not_count(approvers: Approvers) -> None:
    allowed = approvers.allow("anna", "boss=anna", options='namespaces="git"')
    words = "the allowed signers file lets its key sign other things only (namespaces=…)"
    assert problem(approve(approvers, "anna"), allowed) == words


def test_an_expired_certificate_should_be_said_to_be_one(approvers: Approvers) -> None:
    authority, public = str(approvers.key("authority")), f"{approvers.key('anna')}.pub"
    certify = ["ssh-keygen", "-q", "-s", authority, "-I", "x", "-n", "anna@x", "-V", "20200101:20200102", public]
    subprocess.run(certify, check=True, stdin=subprocess.DEVNULL, timeout=30)
    statement = approve(approvers, "anna").statement
    expired = Approval(statement=statement, signature=sign(statement.message(), approvers.folder / "anna-cert.pub"))
    allowed = approvers.folder / "allowed_signers"
    allowed.write_text(f"anna@x cert-authority {approvers.public_key('authority')}\n", encoding="utf-8")
    assert problem(expired, allowed).startswith("its certificate has expired, is not valid yet, or names none of")


def test_a_signature_with_other_line_ends_should_be_said_to_be_unreadable(approvers: Approvers) -> None:
    right = approve(approvers, "anna")
    other = replace(right, signature=right.signature.replace("\n", "\r\n"))
    assert problem(other, approvers.allow("anna")).startswith("its signature cannot be read (Couldn't parse signature")


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


@pytest.mark.parametrize(
    "lines",
    [
        ["anna@x,a.lab@x {anna}", "a.lab@x,anna@x {old}"],
        ["anna@x {anna}", "Anna@X {old}"],
        ["anna@x {anna}", "anna@x,work@x {ben}", "work@x {old}"],  # nobody needs to sign with the key in between
        ["anna@x {anna}", "home@x {old}", "home@x {anna}"],  # ssh-keygen names the first line of a key only
        ['"anna, a.lab" {anna}', 'a.lab,other namespaces="kraken-plan,x y" {old}'],
        ["anna@x {anna}\r", "\r", "# of the lab\r", "\tanna@x\t{old}\r"],
        ["\uff41nna@x {anna}", "anna@x {old}"],
    ],
)
def test_people_who_share_a_name_or_a_key_should_be_one(approvers: Approvers, lines: list[str]) -> None:
    keys = {name: approvers.public_key(name) for name in ("anna", "old", "ben")}
    allowed = approvers.folder / "allowed_signers"
    allowed.write_text("".join(f"{line.format(**keys)}\n" for line in lines), encoding="utf-8", newline="")

    checked = check([approve(approvers, "anna"), approve(approvers, "old")], allowed)

    assert [one.problem for one in checked] == [None, "the same person has approved it already"]


def test_a_key_with_and_without_a_certificate_should_be_one_person(approvers: Approvers) -> None:
    plain, public, authority = (
        approve(approvers, "anna"),
        f"{approvers.key('anna')}.pub",
        str(approvers.key("authority")),
    )
    certify = ["ssh-keygen", "-q", "-s", authority, "-I", "x", "-n", "boss@x", public]
    subprocess.run(certify, check=True, stdin=subprocess.DEVNULL, timeout=30)
    by_certificate = Approval(
        statement=plain.statement, signature=sign(plain.statement.message(), approvers.folder / "anna-cert.pub")
    )
    allowed = approvers.folder / "allowed_signers"
    allowed.write_text(
        f"anna@x {approvers.public_key('anna')}\nboss@x,chief@x cert-authority {approvers.public_key('authority')}\n",
        encoding="utf-8",
    )

    first, second = check([by_certificate, plain], allowed)

    assert (first.person, first.problem) == ("boss@x", None)
    assert (second.person, second.problem) == ("anna@x", "the same person has approved it already")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("*@x {ben}", r"line 2: \*@x is a pattern"),
        ("!eve,* {ben}", "line 2: !eve is a pattern"),
        ("ben,b?n {ben}", r"line 2: b\?n is a pattern"),
        ('"*" cert-authority,namespaces="git" {ben}', r"line 2: \* is a pattern"),
        ("\ufeffben {ben}", r"line 2: the name \\ufeffben has characters that cannot be seen"),
        ("ben\ufe0f {ben}", r"line 2: the name ben\\ufe0f has characters that cannot be seen"),
        ("ben,\u3164 {ben}", r"line 2: the name \\u3164 has characters that cannot be seen"),
        ("ben\0 {ben}", "line 2: it has a NUL byte"),
        ("ben", "line 2: expected names, then a public key"),
        (", {ben}", "line 2: expected names, then a public key"),
        ("ben ssh-ed25519 AAAAjunk", "line 2: expected names, then a public key"),
        ("ben ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAA", "line 2: expected names, then a public key"),
        ('ben namespaces="a {ben}', "line 2: expected names, then a public key"),
    ],
)
def test_allowed_signers_of_whom_nobody_knows_who_they_are_should_be_refused(
    approvers: Approvers, line: str, words: str
) -> None:
    allowed = approvers.allow("anna")
    with allowed.open("a", encoding="utf-8") as file:
        file.write(line.format(ben=approvers.public_key("ben")))

    with pytest.raises(ApprovalError, match=rf"allowed_signers, {words}"):
        check([approve(approvers, "anna")], allowed)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\0" * 100, "line 1: it has a NUL byte"),
        (b"\0{ben}\n", "line 1: it has a NUL byte"),
        (b"{ben}\n\0{anna}\n", "line 2: it has a NUL byte"),
        (b"{ben}\n{ben}"[:-40] + b"\nAAAA", "line 1|line 2: expected a public key"),
        (b"# gone\r\n{ben}\r\nben {ben}\r\n", "line 3: expected a public key"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\n", "line 1: expected a public key"),
        (b"SSHKRL\n\0" + b"\0\0\0\1" * 5, "it is a damaged revocation list"),
        (b"SSHKRL\n\0", "it is a damaged revocation list"),
        (b"{ben}\r{anna}\n", "line 1: it has a carriage return"),
        (b"SSHKRL\n", "line 1: expected a public key"),
    ],
)
def test_a_damaged_list_of_revoked_keys_should_be_said_to_be_one(
    approvers: Approvers, content: bytes, words: str
) -> None:
    """ssh-keygen would revoke nobody by it, or everybody."""
    allowed, revoked = approvers.allow("anna", "ben"), approvers.folder / "revoked_keys"
    for name in ("anna", "ben"):
        content = content.replace(b"{%s}" % name.encode(), approvers.public_key(name).encode())
    revoked.write_bytes(content)

    with pytest.raises(ApprovalError, match=rf"revoked_keys.*{words}"):
        check([approve(approvers, "anna")], allowed, revoked)


def test_every_kind_of_list_should_revoke_keys(approvers: Approvers) -> None:
    allowed, revoked = approvers.allow("anna", "ben"), approvers.folder / "revoked_keys"
    approvals = [approve(approvers, "anna"), approve(approvers, "ben")]
    public = approvers.key("ben").with_suffix(".pub")
    make_list = ["ssh-keygen", "-q", "-k", "-f", str(revoked), str(public)]
    subprocess.run(make_list, check=True, timeout=30)
    binary = revoked.read_bytes()

    for content in (binary, b"# gone\r\n\r\n\t" + public.read_bytes(), public.read_bytes().strip()):
        revoked.write_bytes(content)
        assert [one.problem for one in check(approvals, allowed, revoked)] == [
            None,
            "the key of ben@example.org is revoked",
        ]
    revoked.write_bytes(b"")
    assert [one.problem for one in check(approvals, allowed, revoked)] == [None, None]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["plan.json.approvals", "allowed_signers", "revoked_keys"])
def test_a_pipe_in_place_of_a_file_should_be_refused_and_not_waited_for(approvers: Approvers, name: str) -> None:
    allowed, revoked, path = approvers.allow("anna"), approvers.revoke("ben"), approvers.folder / "plan.json.approvals"
    approval = approve(approvers, "anna")
    (approvers.folder / name).unlink(missing_ok=True)
    os.mkfifo(approvers.folder / name)

    with pytest.raises(ApprovalError, match=rf"{name} cannot be read: it is a named pipe, expected a file"):
        check([approval, *read_approvals(path)], allowed, revoked)
    with pytest.raises(ApprovalError, match=r"--key .* is something else than a file"), signing_key(str(path.parent)):
        pytest.fail("ssh-keygen would be asked")


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
        ({"required": "1", "allowed_signers": "/s", "max_age": "long"}, "max_age: 'long' is not a duration"),
        (None, "approvals.required is missing"),
        ({}, "approvals.required is missing"),
        ({"max_age": "30d"}, "approvals.required is missing"),
        ({"required": None, "allowed_signers": "/s"}, "approvals.required has no value: set it, or remove it"),
        ({"required": "1", "allowed_signers": "/s", "revoked_keys": None}, "approvals.revoked_keys has no value"),
        ({"required": "", "allowed_signers": "/s"}, "required: expected a single value, found nothing"),
        ({"required": "1", "allowed_signers": "/a\0b"}, "allowed_signers: expected an absolute path"),
        ({"signers": "/s"}, "approvals.signers is not a setting: did you mean allowed_signers?"),
    ],
)
def test_a_site_that_asks_wrongly_should_be_refused(section: dict[str, str | None] | None, words: str) -> None:
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
