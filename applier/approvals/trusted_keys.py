"""Lends ssh-keygen the files that say whose signatures count, once they are seen to hold what they are to hold."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from applier.approvals.allowed_signers import LentKeys, parse_allowed_signers, refuse_no_key_list
from applier.approvals.ssh_keygen import explain_damage, lent_file
from schemas.errors import ApprovalError
from schemas.regular_file import read_regular_file
from schemas.text import printable

_MAX_BYTES = 16 * 1024 * 1024
_REVOCATION_LIST = b"SSHKRL\n\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedKeys:
    """Whose signatures count.

    Args:
        allowed_signers: path of a file as `ssh-keygen(1)` describes it under ALLOWED SIGNERS.
        revoked_keys: path of a key revocation list, or of a file with public keys; None if none are revoked.
    """

    allowed_signers: str
    revoked_keys: str | None = None

    def check_readable(self) -> None:
        """See that the files can be used: of one that cannot, ssh-keygen says at most that no signature is right.

        Raises:
            ApprovalError: one of them cannot be read, or holds something else.
        """
        with self.lent():
            pass

    @contextmanager
    def lent(self) -> Iterator[LentKeys]:
        """Give copies of the files: those that were checked are those that ssh-keygen reads, once for all signatures.

        Raises:
            ApprovalError: one of them cannot be read, or holds something else.
        """
        name = _name_of(self.allowed_signers)
        signers = _read(self.allowed_signers)
        people = parse_allowed_signers(signers, name)
        with ExitStack() as opened:
            revoked = None
            if self.revoked_keys is not None:
                content = _read(self.revoked_keys)
                if not content.startswith(_REVOCATION_LIST):  # ssh-keygen does not take "\r\n" for an empty line
                    content = content.replace(b"\r\n", b"\n")
                revoked = opened.enter_context(lent_file("revoked_keys", content))
                _check_revoked(content, revoked, _name_of(self.revoked_keys))
            allowed = opened.enter_context(lent_file("allowed_signers", signers))
            yield LentKeys(allowed_signers=allowed, revoked_keys=revoked, people=people)


def _name_of(path: str) -> str:
    return f"keys of approvers: {printable(path)}"


def _read(path: str) -> bytes:
    try:
        return read_regular_file(path, _MAX_BYTES)
    except (OSError, ValueError) as error:
        raise ApprovalError(f"{_name_of(path)} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _check_revoked(content: bytes, lent: Path, name: str) -> None:
    """See that a list of revoked keys can be read: from a damaged one ssh-keygen takes no key, or all.

    Raises:
        ApprovalError: it cannot.
    """
    if not content.startswith(_REVOCATION_LIST):
        refuse_no_key_list(content, name)
        return
    if (reason := explain_damage(lent)) is not None:
        raise ApprovalError(
            f"{name}: it is a damaged revocation list, so it is not known which keys are revoked ({reason})"
        )
