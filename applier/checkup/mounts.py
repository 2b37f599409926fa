"""Finds the mount that a folder is on, and what its options mean for locks. Linux; elsewhere nothing is known."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from schemas.paths import is_within

MOUNTINFO = Path("/proc/self/mountinfo")
_OCTAL = re.compile(r"\\([0-7]{3})")
_OF_NETWORKS = re.compile(r"nfs4?|cifs|smb3|lustre|gpfs|beegfs|ceph|glusterfs|9p|fuse\..*")
# Options with which locks hold on one host only.
_LOCAL_LOCKS = frozenset({"nolock", "local_lock=all", "local_lock=flock", "nobrl", "localflock"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A mounted file system.

    Args:
        point: the folder that it is mounted on.
        kind: of file system, as the kernel names it.
        source: what is mounted.
        options: of the mount and of the file system.
    """

    point: str
    kind: str
    source: str
    options: frozenset[str]

    @property
    def is_shared(self) -> bool:
        """Whether other hosts may have it mounted, too."""
        return _OF_NETWORKS.fullmatch(self.kind) is not None

    @property
    def local_lock_option(self) -> str | None:
        """The option with which locks hold on one host only; None where there is none."""
        return next(iter(sorted(self.options & _LOCAL_LOCKS)), None)


def find_mount(path: str) -> Mount | None:
    """Return the mount that a folder is on; None where the system does not tell."""
    try:
        lines = MOUNTINFO.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    return choose_mount(os.path.realpath(path), lines)


def choose_mount(path: str, lines: Iterable[str]) -> Mount | None:
    """Return the mount that a path without links is on, out of the lines of `proc_pid_mountinfo(5)`."""
    found = None
    for line in lines:
        mount = _parse(line)
        if mount is None or not is_within(path, mount.point):
            continue
        if found is None or len(mount.point) >= len(found.point):  # the last one on a folder hides those before
            found = mount
    return found


def _parse(line: str) -> Mount | None:
    own, _, rest = line.partition(" - ")
    fields, others = own.split(" "), rest.split(" ")
    if len(fields) < 6 or len(others) < 3:  # noqa: PLR2004  # see proc_pid_mountinfo(5)
        return None
    return Mount(
        point=_unescape(fields[4]),
        kind=others[0],
        source=_unescape(others[1]),
        options=frozenset([*fields[5].split(","), *others[2].split(",")]),
    )


def _unescape(text: str) -> str:
    return _OCTAL.sub(lambda found: chr(int(found[1], 8)), text)
