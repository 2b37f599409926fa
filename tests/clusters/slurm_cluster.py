"""A real Slurm of one node, with a munge of its own: for the length of a block, by whoever runs the tests.

Debian: `apt-get install --no-install-recommends slurmctld slurmd slurm-client munge`.
"""

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from temporary_process import LOOPBACK, free_ports, installed_program, temporary_process
from waiting import wait_for

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scancel", "scontrol", "squeue")

# The node says that it is larger than it is, so that jobs get what the examples ask for.
_CONFIG = """\
ClusterName=test
SlurmctldHost={host}({address})
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CommunicationParameters=NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
MpiDefault=none
KillWait=20
SlurmdParameters=config_overrides
NodeName={host} NodeAddr={address} CPUs=64 RealMemory=64000 State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmCluster:
    """A running cluster; `environment` is what its programs need."""

    environment: Mapping[str, str]

    def ask(self, program: str, *arguments: str) -> str:
        """Run a program of Slurm's and return what it prints."""
        command = [installed_program(program), *arguments]
        return subprocess.run(command, env=self.environment, check=True, capture_output=True, encoding="utf-8").stdout

    def job(self, job: str) -> dict[str, str]:
        """What Slurm says of a job, or of a task as `1_2`."""
        words = self.ask("scontrol", "show", "job", "--oneliner", job).split()
        return dict(word.split("=", 1) for word in words if "=" in word)


def missing_programs() -> list[str]:
    """What is not installed of what a cluster needs."""
    return [program for program in PROGRAMS if shutil.which(program) is None]


@contextmanager
def slurm_cluster(folder: Path) -> Iterator[SlurmCluster]:
    """Run a cluster; its logs and states are in the folder. What runs or waits at the end is cancelled."""
    controller_port, node_port = free_ports(2)
    host, config = socket.gethostname().partition(".")[0], folder / "slurm.conf"
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(1024))
    config.write_text(
        _CONFIG.format(
            host=host,
            address=LOOPBACK,
            controller_port=controller_port,
            node_port=node_port,
            user=getpass.getuser(),
            folder=folder,
        )
    )
    munge = [f"--{name}-file={folder}/munge.{name}" for name in ("key", "pid", "log", "seed")]
    commands = (
        ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *munge],
        ["slurmctld", "-D", "-f", str(config)],
        ["slurmd", "-D", "-f", str(config)],
    )
    with ExitStack() as running:
        for program, *options in commands:
            (folder / program).mkdir()
            command = [installed_program(program), *options]
            running.enter_context(temporary_process(command, folder=folder / program))
            if program == "munged":
                wait_for((folder / "munge.socket").exists, "munge")
        cluster = SlurmCluster(environment={"PATH": os.environ["PATH"], "SLURM_CONF": str(config)})
        wait_for(lambda: _is_idle(cluster), "the node")
        yield cluster
        cluster.ask("scancel", f"--user={getpass.getuser()}")
        wait_for(lambda: not cluster.ask("squeue", "--noheader"), "the end of all jobs")


def _is_idle(cluster: SlurmCluster) -> bool:
    try:
        return "State=IDLE " in cluster.ask("scontrol", "show", "node", "--oneliner")
    except subprocess.CalledProcessError:  # the controller does not listen yet
        return False
