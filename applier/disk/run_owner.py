"""Names a run after the host, boot and process that own it, and tells from such a name whether that process has ended.

A lock alone cannot tell: on some mounts (Lustre with localflock, CIFS with nobrl, NFS with nolock, one folder mounted
twice by FUSE) it holds within one host, or one mount, and every other run's lock looks free.
"""

import functools
import hashlib
import os
import re
import socket
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

RUN_PREFIX = "run-"
_NAME = re.compile(r"run-([0-9a-f]{12})-([0-9a-f]{12})-(\d{1,10})-(\d{1,7})-(\d{1,18})-[\w-]{1,60}", re.ASCII)
_UNKNOWN_NAMESPACE = 0


class Standing(Enum):
    """What can be said of the process that owns a run."""

    ALIVE = auto()
    ENDED = auto()
    EARLIER_BOOT = auto()
    """It ran under another boot of what calls itself this host: ended, unless two hosts share their identity."""
    UNKNOWN = auto()
    """It ran on another host, in another container, or its name does not say where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOwner:
    """The process that a run belongs to.

    Args:
        host: hash of the machine id and the host name; images are cloned with their machine id, so both count.
        boot: hash of the kernel's boot id.
        pid_namespace: inode number of the namespace that the process id belongs to; 0 where it cannot be learnt.
        pid: process id.
        started: when the process started, in the kernel's own count since boot.
    """

    host: str
    boot: str
    pid_namespace: int
    pid: int
    started: int

    def run_name(self, run_id: str) -> str:
        """Return the name of a run of this process.

        Args:
            run_id: unique among all runs; letters, digits, `-` and `_`.
        """
        return f"{RUN_PREFIX}{self.host}-{self.boot}-{self.pid_namespace}-{self.pid}-{self.started}-{run_id}"

    def standing_of(self, name: str) -> Standing:
        """Tell what has become of the owner of a run, as seen from this process.

        Args:
            name: of the run's folder.
        """
        found = _NAME.fullmatch(name)
        if found is None:
            return Standing.UNKNOWN
        host, boot, pid_namespace, pid, started = found.groups()
        if host != self.host:
            return Standing.UNKNOWN
        if boot != self.boot:
            return Standing.EARLIER_BOOT
        if self.pid_namespace == _UNKNOWN_NAMESPACE or int(pid_namespace) != self.pid_namespace:
            return Standing.UNKNOWN
        return Standing.ALIVE if _is_running(int(pid), int(started)) else Standing.ENDED

    def is_own(self, name: str) -> bool:
        """Tell whether a run belongs to this very process."""
        return name.startswith(self.run_name(""))


@functools.cache
def this_process() -> RunOwner:
    """Return what identifies the process that asks."""
    pid = os.getpid()
    try:
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        pid_namespace = Path("/proc/self/ns/pid").stat().st_ino
        process = _look_up(pid)
        is_own_proc = Path("/proc/self").readlink().name == str(pid)  # not that of another namespace
    except OSError:  # without /proc nobody can tell whether a process is running
        boot_id, pid_namespace, process, is_own_proc = "", _UNKNOWN_NAMESPACE, None, False
    return RunOwner(
        host=_hash(f"{_machine_id()}\0{socket.gethostname()}"),
        boot=_hash(boot_id),
        pid_namespace=pid_namespace if process is not None and is_own_proc else _UNKNOWN_NAMESPACE,
        pid=pid,
        started=process.started if process is not None else 0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Process:
    """What the kernel says of a process."""

    has_ended: bool
    started: int


def _machine_id() -> str:
    try:
        return Path("/etc/machine-id").read_text(encoding="ascii", errors="replace").strip()
    except OSError:  # containers often have none
        return ""


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _is_running(pid: int, started: int) -> bool:
    """Tell whether a process of this namespace is running; where in doubt, it is."""
    if not _exists(pid):
        return False
    try:
        process = _look_up(pid)
    except FileNotFoundError:  # it has just ended, or /proc hides it from other users
        return _exists(pid)
    except OSError:
        return True
    return process is None or (process.started == started and not process.has_ended)


def _exists(pid: int) -> bool:
    if pid == 0:  # to kill(), our own group
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        pass
    return True


def _look_up(pid: int) -> _Process | None:
    """Return what the kernel says of a process; None if it says it in a way that we do not know.

    Raises:
        OSError: there is no such process, or none that we may see.
    """
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()  # the name may hold anything
    try:
        state, threads, started = fields[0], int(fields[17]), int(fields[19])
    except (IndexError, ValueError):
        return None
    # A zombie that still has threads may have one that hangs in a write.
    return _Process(has_ended=state in {b"Z", b"X"} and threads <= 1, started=started)
