"""Reads who the people are in a file of allowed signers, and sees that a list of keys holds keys. Pure.

ssh-keygen decides whether a signature is right; it names one line of the file for a key. Here it is decided who is one
person: whoever shares a name or a key, in whatever line. What ssh-keygen would skip in silence, or take for a key of
everybody, is refused by the number of its line.
"""

import base64
import binascii
import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import ApprovalError
from schemas.text import is_visible, printable

_PRINCIPALS = re.compile(r'[ \t]*(?:"([^"]*)"|([^ \t"]+))[ \t]+')
_OPTIONS = re.compile(r'(?:\\"|"(?:\\"|[^"\\]|\\(?!"))*"|[^ \t"\\]|\\(?!"))+[ \t]+')
_KEY = re.compile(r"[ \t]*([A-Za-z0-9@.-]{1,100})[ \t]+([A-Za-z0-9+/]+={0,2})(?:[ \t].*)?")
_AUTHORITY = re.compile(r"(?:^|,)cert-authority(?=,|[ \t]|$)", re.IGNORECASE)
_QUOTED = re.compile(r'"(?:\\"|[^"])*"')
_PATTERN_SIGNS = frozenset("*?!")


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedSigners:
    """Who is whom.

    Args:
        people: of each person all names and keys, whatever lines they stand in.
        names: of each key, by its fingerprint, in the order of the lines.
    """

    people: tuple[frozenset[str], ...]
    names: Mapping[str, tuple[str, ...]]

    def identities(self, names: Iterable[str], fingerprint: str) -> frozenset[str]:
        """Return all names and keys of whoever has some of these names, or this key.

        Args:
            names: as ssh-keygen found them for the key.
            fingerprint: of the key that signed.
        """
        own = frozenset({*map(_folded, names), fingerprint})
        return own.union(*(person for person in self.people if person & own))


@dataclass(frozen=True, slots=True, kw_only=True)
class LentKeys:
    """Whose signatures count, ready for ssh-keygen.

    Args:
        allowed_signers: path of a copy.
        revoked_keys: path of a copy; None if none are revoked.
        people: who is one person with whom.
    """

    allowed_signers: Path
    revoked_keys: Path | None
    people: AllowedSigners


def parse_allowed_signers(content: bytes, name: str) -> AllowedSigners:
    """Return who the allowed signers are.

    Args:
        content: of the file.
        name: of the file, for messages.

    Raises:
        ApprovalError: a line cannot be understood, or has a pattern for a name: then nobody knows who it is.
    """
    people: list[frozenset[str]] = []
    names: dict[str, tuple[str, ...]] = {}
    for place, line in _lines(content, name):
        own_names, key = _names_and_key(line, place)
        if key is None:
            continue
        names[key] = (*names.get(key, ()), *own_names)
        one = frozenset({*map(_folded, own_names), key})
        same = [person for person in people if person & one]
        people = [*(person for person in people if not person & one), one.union(*same)]
    return AllowedSigners(people=tuple(people), names=names)


def refuse_no_key_list(content: bytes, name: str) -> None:
    """See that a list of revoked keys holds a public key in every line: from others ssh-keygen takes no key, or all.

    Raises:
        ApprovalError: it does not.
    """
    for place, line in _lines(content, name):
        if _fingerprint(line) is None:
            raise ApprovalError(
                f"{place}: expected a public key, as in: ssh-ed25519 AAAA…; so it is not known which keys are revoked"
            )


def _lines(content: bytes, name: str) -> Iterator[tuple[str, str]]:
    """Yield the lines that say something, each with where it stands."""
    for number, line in enumerate(content.split(b"\n"), 1):
        place = f"{name}, line {number}"
        if b"\0" in line:
            raise ApprovalError(f"{place}: it has a NUL byte, so it is not the text that it is to be, or is damaged")
        text = line.decode(errors="surrogateescape").strip(" \t\r")
        if "\r" in text:
            raise ApprovalError(
                f"{place}: it has a carriage return, so it may be several lines: end them with newlines"
            )
        if text and not text.startswith("#"):
            yield place, text


def _names_and_key(line: str, place: str) -> tuple[list[str], str | None]:
    """Return what a line says about a person: names and key; None for the key where it is an authority's."""
    found = _PRINCIPALS.match(line)
    names = [name for one in (found[1] or found[2] or "").split(",") if (name := one.strip())] if found else []
    rest = line[found.end() :] if found else ""
    key, options = _fingerprint(rest), ""
    if key is None and (option := _OPTIONS.match(rest)):
        key, options = _fingerprint(rest[option.end() :]), option[0]
    if not names or key is None:
        raise ApprovalError(f"{place}: expected names, then a public key, as in: anna@example.org ssh-ed25519 AAAA…")
    _refuse_unclear(names, place)
    return names, None if _AUTHORITY.search(_QUOTED.sub("", options)) else key


def _fingerprint(text: str) -> str | None:
    """Return that of the public key that a text is, as ssh-keygen shows it; None if it is something else."""
    found = _KEY.fullmatch(text)
    if found is None:
        return None
    try:
        blob = base64.b64decode(found[2], validate=True)
    except binascii.Error:
        return None
    kind = found[1].encode()
    if len(blob) <= len(kind) + 4 or not blob.startswith(len(kind).to_bytes(4, "big") + kind):
        return None
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _refuse_unclear(names: Iterable[str], place: str) -> None:
    for name in names:
        if _PATTERN_SIGNS & set(name):
            raise ApprovalError(
                f"{place}: {printable(name, 100)} is a pattern, which names nobody: nobody would know how many people "
                "have approved a plan. Give each person a line, with a name of their own"
            )
        if not is_visible(name):
            raise ApprovalError(
                f"{place}: the name {printable(name, 100)} has characters that cannot be seen: write it anew"
            )


def _folded(name: str) -> str:
    """Return a name as it is compared: however it is written, it is the same person."""
    return unicodedata.normalize("NFKC", name).casefold()
