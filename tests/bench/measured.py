"""Runs a command and prints what the kernel counted for it, as JSON: a small process of its own.

A child starts with its parent's peak memory in its account, so a large parent would hide it.
"""

import json
import os
import subprocess
import sys
import time

begun = time.monotonic()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
process.returncode = os.waitstatus_to_exitcode(status)
counted = {
    "exit_code": process.returncode,
    "wall_seconds": time.monotonic() - begun,
    "cpu_seconds": usage.ru_utime + usage.ru_stime,
    "peak_mib": usage.ru_maxrss / 1024,
}
print(json.dumps(counted))
