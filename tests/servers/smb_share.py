"""A share of Debian's samba on loopback, mounted through smbnetfs (FUSE): SMB as it is, without the kernel's client.

Debian: `apt-get install --no-install-recommends samba smbnetfs iproute2`; takes root and /dev/fuse. Server and client
have a network of their own (a network namespace), so that the port is free and nobody else can reach the share.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from temporary_process import LOOPBACK, installed_program, temporary_process
from waiting import wait_for

PROGRAMS = ("smbd", "smbnetfs", "ip", "unshare", "nsenter")

_PORT = 445
_SHARE = "restore"
_ENDING_SECONDS = 20
_SERVER_FOLDERS = (
    "private dir",
    "lock directory",
    "state directory",
    "cache directory",
    "pid directory",
    "ncalrpc dir",
)
_SERVER = """\
[global]
server role = standalone server
interfaces = lo
bind interfaces only = yes
map to guest = Bad User
guest account = root
disable spoolss = yes
load printers = no
{folders}
[{share}]
path = {content}
read only = no
guest ok = yes
force user = root
"""
_CLIENT = {
    "smb.conf": "[global]\nclient min protocol = SMB2\n",
    "smbnetfs.conf": 'include "smbnetfs.auth"\ninclude "smbnetfs.host"\n',
    "smbnetfs.auth": 'auth "root" ""\n',
    "smbnetfs.host": f"host {LOOPBACK} visible=true\n",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SmbShare:
    """One share.

    Attributes:
        mounted: The share as a client sees it.
        content: The same files, as they lie on the server.
    """

    mounted: Path
    content: Path


def missing_programs() -> list[str]:
    """What is not installed of what a share needs."""
    return [program for program in PROGRAMS if shutil.which(program) is None]


@contextmanager
def smb_share(folder: Path) -> Iterator[SmbShare]:
    """Serve an empty share and mount it; where it cannot be mounted, the test is skipped with what was said."""
    for name in ("state", "content", "server", "client/.smb", "mounted"):
        (folder / name).mkdir(parents=True)
    folders = "".join(f"{kind} = {folder / 'state'}\n" for kind in _SERVER_FOLDERS)
    config = folder / "server/smb.conf"
    config.write_text(_SERVER.format(folders=folders, share=_SHARE, content=folder / "content"), encoding="utf-8")
    for name, text in _CLIENT.items():
        path = folder / "client/.smb" / name
        path.touch(mode=0o600)  # smbnetfs reads no other
        path.write_text(text, encoding="utf-8")
    with _server(config) as network, _client(network, folder / "mounted", folder / "client"):
        yield SmbShare(mounted=folder / "mounted" / LOOPBACK / _SHARE, content=folder / "content")


@contextmanager
def _server(config: Path) -> Iterator[Path]:
    """Run the server in a network of its own; yields the file that stands for this network."""
    start = 'ip link set lo up && exec "$0" "$@"'
    # in a process group of its own, for at its end smbd sends SIGTERM to the whole group
    options = ["--foreground", f"--configfile={config}", "--debug-stdout"]
    command = [installed_program("unshare"), "--net", "/bin/sh", "-c", start, installed_program("smbd"), *options]
    with temporary_process(command, folder=config.parent) as process:
        network = Path(f"/proc/{process.pid}/ns/net")
        try:
            wait_for(lambda: process.poll() is not None or _listens(network), "the SMB server")
            if process.poll() is not None:
                pytest.skip(f"no SMB server here: {_said(config.parent)}")
            yield network
        finally:
            process.terminate()  # killed, it would leave its own processes behind
            process.wait(_ENDING_SECONDS)


def _listens(network: Path) -> bool:
    # /proc/PID/net is the network of that process
    listening = (network.parent.parent / "net/tcp").read_text(encoding="ascii")
    return f":{_PORT:04X} " in listening


@contextmanager
def _client(network: Path, mount: Path, folder: Path) -> Iterator[None]:
    """Mount all shares of the server that is in this network."""
    command = [installed_program("nsenter"), f"--net={network}", installed_program("smbnetfs"), str(mount), "-f"]
    options = f"config={folder / '.smb/smbnetfs.conf'}"
    with temporary_process([*command, "-o", options], folder=folder) as process:
        wait_for(lambda: mount.is_mount() or process.poll() is not None, "the mount")
        if process.poll() is not None:
            pytest.skip(f"no SMB through FUSE here: {_said(folder)}")
        try:
            yield
        finally:
            subprocess.run([installed_program("umount"), "--lazy", mount], check=True)


def _said(folder: Path) -> str:
    return (folder / "process.log").read_text(encoding="utf-8")
