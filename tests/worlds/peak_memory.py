"""Measures the most memory that a process had at once."""

import subprocess
import time
from contextlib import suppress
from pathlib import Path


def peak_memory_bytes(process: subprocess.Popen[str]) -> int:
    """Wait for a process and return the most memory that it had at once.

    Not what `wait4` says: that counts what the parent had when it forked, too.
    """
    peak = 0
    while process.poll() is None:
        with suppress(OSError):
            for line in Path(f"/proc/{process.pid}/status").read_text(encoding="ascii").splitlines():
                if line.startswith("VmHWM:"):
                    peak = int(line.split()[1]) * 1024
        time.sleep(0.01)
    return peak
