"""Makes and checks signatures by calling OpenSSH's `ssh-keygen -Y`: no cryptography of our own.

Agents and hardware keys work as they do for ssh. Every call is bounded in time.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from applier.approvals.allowed_signers import LentKeys
from applier.approvals.approval import NAMESPACE
from schemas.errors import ApprovalError
from schemas.text import printable

_SIGN_SECONDS = 300  # somebody types a passphrase, or looks for a hardware key
_CHECK_SECONDS = 20
_KEY_NAMES = ("id_ed25519_sk", "id_ed25519", "id_ecdsa_sk", "id_ecdsa", "id_rsa")
_KEY = re.compile(r" with (\S+ key SHA256:\S+)$", re.MULTILINE)
_INSTALL = "it comes with OpenSSH 8.9 or newer (Debian: apt-get install openssh-client)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Who has made a signature.

    Args:
        person: the first name that the allowed signers have for the key and let sign plans.
        key: its type and fingerprint.
        identities: all names and keys of that person.
    """

    person: str
    key: str
    identities: frozenset[str]


class SignatureProblem(Exception):  # noqa: N818  # an answer, not an error
    """Why a signature does not count. Args: the reason."""


def sign(message: bytes, key: Path) -> str:
    """Return a signature over a message; whoever has the key may be asked for a passphrase or a touch.

    Args:
        message: what to sign.
        key: a private key, or the public one of a key that an agent holds.

    Raises:
        ApprovalError: it could not be made.
    """
    done = _run(["-q", "-Y", "sign", "-f", str(key), "-n", NAMESPACE], message, _SIGN_SECONDS, keep_stderr=False)
    if done.returncode or b"-----BEGIN SSH SIGNATURE-----" not in done.stdout:
        raise ApprovalError(f"ssh-keygen could not sign with {printable(str(key))}; what it said stands above")
    return done.stdout.decode("ascii")


def identify_signer(message: bytes, signature: str, trusted: LentKeys) -> Signer:
    """Return who has signed a message.

    Raises:
        SignatureProblem: the signature does not count now.
        ApprovalError: ssh-keygen cannot be asked.
    """
    allowed = str(trusted.allowed_signers)
    with lent_file("signature", signature.encode()) as path:
        found = _run(["-Y", "find-principals", "-s", str(path), "-f", allowed], b"", _CHECK_SECONDS)
        names = found.stdout.decode(errors="backslashreplace").splitlines()
        if found.returncode or not names:
            raise SignatureProblem(_explain_unknown_key(found.stderr, allowed))
        key = _check(message, path)
        fingerprint = key.rpartition(" ")[2]
        names += trusted.people.names.get(fingerprint, ())  # those above are of the first line that has the key
        verify = ["-Y", "verify", "-s", str(path), "-f", allowed, "-n", NAMESPACE]
        person = _first_who_signed(names, verify, message)
        if trusted.revoked_keys is not None:
            verify += ["-I", person, "-r", str(trusted.revoked_keys)]
            if _run(verify, message, _CHECK_SECONDS).returncode:
                raise SignatureProblem(f"the key of {printable(person)} is revoked")
    return Signer(person=person, key=key, identities=trusted.people.identities(names, fingerprint))


def _first_who_signed(names: Sequence[str], verify: Sequence[str], message: bytes) -> str:
    """Return the first of a key's names with which ssh-keygen accepts the signature: lines may restrict the key."""
    refusal = b""
    for name in dict.fromkeys(names):
        verified = _run([*verify, "-I", name], message, _CHECK_SECONDS)
        if verified.returncode == 0:
            return name
        refusal = verified.stderr
    raise SignatureProblem(_explain_bad_signature(refusal))


def check_signature(message: bytes, signature: str) -> str:
    """Return the key that has signed a message, whoever it belongs to.

    Raises:
        SignatureProblem: no key has signed this message.
        ApprovalError: ssh-keygen cannot be asked.
    """
    with lent_file("signature", signature.encode()) as path:
        return _check(message, path)


def _check(message: bytes, signature: Path) -> str:
    checked = _run(["-Y", "check-novalidate", "-n", NAMESPACE, "-s", str(signature)], message, _CHECK_SECONDS)
    if checked.returncode:
        raise SignatureProblem(_explain_bad_signature(checked.stderr))
    return _key_in(checked.stdout)


def find_program() -> str:
    """Return the path of ssh-keygen.

    Raises:
        ApprovalError: it is not installed.
    """
    program = shutil.which("ssh-keygen")
    if program is None:
        raise ApprovalError(f"ssh-keygen is not installed, which signs and checks approvals: {_INSTALL}")
    return program


@contextmanager
def signing_key(named: str | None) -> Iterator[Path]:
    """Lend the key to sign with: the one that is named, else the first of ~/.ssh, else the agent's only one.

    Raises:
        ApprovalError: there is none, or the agent has several.
    """
    if named is not None:
        if Path(named).exists() and not Path(named).is_file():  # ssh-keygen would wait for a pipe
            raise ApprovalError(f"--key {printable(named)} is something else than a file")
        yield Path(named)
        return
    own = (Path("~/.ssh").expanduser() / name for name in _KEY_NAMES)
    if (key := next((path for path in own if path.is_file()), None)) is not None:
        yield key
        return
    keys = _keys_of_agent()
    if len(keys) != 1:
        having = f"the ssh agent has {len(keys)}" if keys else "there is none in ~/.ssh, nor in an ssh agent"
        raise ApprovalError(f"which key to sign with? Give --key FILE: {having} (ssh-keygen -t ed25519 makes one)")
    with lent_file("key.pub", keys[0]) as path:
        yield path


def _keys_of_agent() -> Sequence[bytes]:
    """Return the public keys that an agent holds; none where there is no agent."""
    program = shutil.which("ssh-add")
    if program is None:
        return ()
    try:
        listed = subprocess.run(
            [program, "-L"], stdin=subprocess.DEVNULL, capture_output=True, timeout=_CHECK_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return [line + b"\n" for line in listed.stdout.splitlines() if line] if listed.returncode == 0 else ()


def explain_damage(revocation_list: Path) -> str | None:
    """Return why a binary revocation list cannot be read; None if it can.

    Raises:
        ApprovalError: ssh-keygen cannot be asked.
    """
    done = _run(["-Q", "-l", "-f", str(revocation_list)], b"", _CHECK_SECONDS)
    return _said(done.stderr).replace(str(revocation_list), "it") if done.returncode else None


@contextmanager
def lent_file(name: str, content: bytes) -> Iterator[Path]:
    """Give the path of a file that is there as long as it is needed; closed, or Windows would not lend it."""
    with ExitStack() as opened:
        try:
            folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="kraken-plan-"))
            path = Path(folder) / name
            path.write_bytes(content)
        except OSError as error:
            raise ApprovalError(f"no file can be made for ssh-keygen: {error.strerror or error}") from None
        yield path


def _run(
    arguments: Sequence[str], stdin: bytes, seconds: float, *, keep_stderr: bool = True
) -> subprocess.CompletedProcess[bytes]:
    program = find_program()
    try:
        return subprocess.run(
            [program, *arguments],
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if keep_stderr else None,
            timeout=seconds,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ApprovalError(f"{program} gave no answer for {seconds:.0f} s") from None
    except OSError as error:
        raise ApprovalError(f"{program} cannot be started: {error.strerror or error}") from None


def _explain_unknown_key(stderr: bytes, allowed_signers: str) -> str:
    """Return why no allowed signer was found: the key is not there, not at this time, or in a line that is skipped."""
    lines = [line for line in stderr.splitlines() if line != b"No principal matched."]
    said = _said(b"\n".join(lines).replace(f"{allowed_signers}:".encode(), b"line "))
    if "usage:" in said or "unknown option" in said:
        raise ApprovalError(f"ssh-keygen is too old to check approvals: {_INSTALL}")
    for words in ("key has expired", "key is not yet valid"):
        if words in said:
            return f"the {words}"
    if "no valid principals" in said:
        return f"its certificate has expired, is not valid yet, or names none of the allowed signers ({said})"
    if "sshsig" in said:
        return f"its signature cannot be read ({said})"
    return f"its key is not among the allowed signers{f' ({said})' if said else ''}"


def _explain_bad_signature(stderr: bytes) -> str:
    said = _said(stderr)
    if "not permitted for use in signature namespace" in said:
        return "the allowed signers file lets its key sign other things only (namespaces=…)"
    if "namespace" in said:
        return "its signature was made for something else than a plan"
    if "incorrect signature" in said:
        return "its signature is of other words: it was edited, or copied from elsewhere"
    return f"its signature does not hold{f' ({said})' if said else ''}"


def _said(stderr: bytes) -> str:
    return printable("; ".join(stderr.decode(errors="backslashreplace").splitlines()), 300)


def _key_in(stdout: bytes) -> str:
    found = _KEY.search(stdout.decode(errors="backslashreplace"))
    if found is None:
        raise ApprovalError(f"ssh-keygen answered in words that are not known: {_said(stdout)}")
    return found[1]
