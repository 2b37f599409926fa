"""What runs leave below a destination that ended in disorder: on this host, on another, under an earlier boot."""

from dataclasses import replace
from pathlib import Path

from applier.disk.run_owner import this_process

HERE = this_process()
ENDED_HERE = replace(HERE, started=HERE.started - 1)  # the process id has been used again since
EARLIER_BOOT = replace(HERE, boot="0" * 12)
OTHER_HOST = replace(HERE, host="0" * 12, boot="1" * 12)
OTHER_CONTAINER = replace(HERE, pid_namespace=HERE.pid_namespace + 1)


def plant_ended_run(destination: Path, run_id: str = "dead-0") -> Path:
    """Make the empty staging folder of a run that was killed on this host, with its lock."""
    folder = destination / ".kraken-plan" / ENDED_HERE.run_name(run_id)
    folder.mkdir(parents=True)
    folder.with_name(f"{folder.name}.lock").touch()
    return folder
