"""Runs programs as if on other hosts: with another name, machine id and boot id, and with locks of their own."""

import os
import shutil
from pathlib import Path

from failing_syscalls import with_failing
from needs import needs

needs_namespaces = needs(os.geteuid() == 0 and shutil.which("unshare"), "another host's name and ids take root")

# To every run, the locks of all others look free.
HOST_LOCAL_LOCKS = with_failing(flock=0)


def other_host(folder: Path, number: int = 1) -> list[str]:
    """The command that runs a program as if on another host, whose locks nobody else sees.

    Args:
        folder: For the ids of that host.
        number: Which of the other hosts.
    """
    boot_id, machine_id = folder / f"boot-{number}", folder / f"machine-{number}"
    boot_id.write_text(f"{number:08}-1f3d-4c53-9d55-3f2f7f1d0a01\n", encoding="ascii")
    machine_id.write_text(f"{number:032}\n", encoding="ascii")
    script = (
        f"hostname other-{number}; mount --bind {boot_id} /proc/sys/kernel/random/boot_id; "
        f'[ ! -e /etc/machine-id ] || mount --bind {machine_id} /etc/machine-id; exec "$@"'
    )
    return ["/usr/bin/unshare", "--uts", "--mount", "/bin/sh", "-c", script, "sh", *HOST_LOCAL_LOCKS]
