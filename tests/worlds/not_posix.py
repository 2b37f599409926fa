"""Runs the program with all that takes POSIX taken away: `python not_posix.py ARGUMENT...`.

What Python's own modules need of it is loaded before, as on Windows they have other ways.
"""

import getpass  # noqa: F401
import importlib.abc
import logging  # noqa: F401
import multiprocessing  # noqa: F401
import os
import platform  # noqa: F401
import shutil  # noqa: F401
import signal
import ssl  # noqa: F401
import subprocess  # noqa: F401
import sys
import tempfile  # noqa: F401
from typing import NoReturn

MODULES = frozenset(
    {"curses", "fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}
)
OS = (
    "chown fchmod fchown fork geteuid getegid getgid getgroups getuid getxattr killpg listxattr mkfifo posix_fadvise "
    "posix_fallocate pread preadv pwrite register_at_fork sched_getaffinity setsid setxattr statvfs uname "
    "O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK"
)
SIGNAL = (
    "SIGALRM SIGCHLD SIGHUP SIGKILL SIGPIPE SIGQUIT SIGUSR1 SIGUSR2 SIGWINCH alarm pthread_kill pthread_sigmask sigwait"
)


class NotThere(importlib.abc.MetaPathFinder):
    """Finds none of the modules that only POSIX has."""

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> None:
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def main() -> NoReturn:
    for module in MODULES:
        sys.modules.pop(module, None)
    sys.meta_path.insert(0, NotThere())
    for name in OS.split():
        delattr(os, name)
    for name in SIGNAL.split():
        delattr(signal, name)

    from kraken_plan import main as run  # noqa: PLC0415  # it must not be loaded before

    run()


if __name__ == "__main__":
    main()
