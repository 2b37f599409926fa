"""Runs a program for which chosen system calls fail: what it sees of a file system that cannot do them.

`python failing_syscalls.py flock=95 -- PROGRAM ARGUMENT…`. The kernel itself refuses the calls, by a filter
(seccomp) that the program inherits. Takes no privileges. Linux on x86_64 and aarch64.
"""

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterable

_EXTENDED_ATTRIBUTES = (
    *("setxattr", "lsetxattr", "fsetxattr", "getxattr", "lgetxattr", "fgetxattr"),
    *("listxattr", "llistxattr", "flistxattr", "removexattr", "lremovexattr", "fremovexattr"),
)
_NUMBERS = {
    "x86_64": {
        "flock": 73,
        "fsync": 74,
        "unlinkat": 263,
        "linkat": 265,
        "fchmodat": 268,
        "fallocate": 285,
        "renameat2": 316,
        "copy_file_range": 326,
        **dict(zip(_EXTENDED_ATTRIBUTES, range(188, 200), strict=True)),
    },
    "aarch64": {
        "flock": 32,
        "unlinkat": 35,
        "linkat": 37,
        "fallocate": 47,
        "fchmodat": 53,
        "fsync": 82,
        "renameat2": 276,
        "copy_file_range": 285,
        **dict(zip(_EXTENDED_ATTRIBUTES, range(5, 17), strict=True)),
    },
}
_LOAD_NUMBER, _SKIP_UNLESS_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _FAIL_WITH = 0x7FFF0000, 0x00050000
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _FILTER_MODE = 22, 38, 2


def with_failing(**calls: int) -> list[str]:
    """The command that runs a program for which these calls fail, each with its error number.

    With 0 a call does nothing, and says that it has succeeded.
    """
    named = [f"{name}={number}" for name, number in calls.items()]
    return [sys.executable, __file__, *named, "--"]


def without_extended_attributes() -> list[str]:
    """The command that runs a program for which no file can have extended attributes."""
    return with_failing(**dict.fromkeys(_EXTENDED_ATTRIBUTES, errno.EOPNOTSUPP))


def _program(failing: Iterable[tuple[int, int]]) -> bytes:
    steps = [(_LOAD_NUMBER, 0, 0)]
    for number, error_number in failing:
        steps += [(_SKIP_UNLESS_EQUAL, 1, number), (_RETURN, 0, _FAIL_WITH | error_number)]
    steps.append((_RETURN, 0, _ALLOW))
    return b"".join(struct.pack("HBBI", code, 0, skip, value) for code, skip, value in steps)


def _install(program: bytes) -> None:
    steps = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HP", len(program) // 8, ctypes.addressof(steps))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (_PR_SET_SECCOMP, _FILTER_MODE, header, 0, 0)):
        if libc.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def main() -> None:
    """Install the filter and become the program."""
    separator = sys.argv.index("--")
    numbers = _NUMBERS[platform.machine()]
    named = [call.split("=") for call in sys.argv[1:separator]]
    _install(_program((numbers[name], int(error)) for name, error in named))
    command = sys.argv[separator + 1 :]
    os.execv(command[0], command)  # noqa: S606  # a program of its own choice, without a shell


if __name__ == "__main__":
    main()
