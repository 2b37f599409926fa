"""Runs the program with a terminal for its questions, and somebody who answers them."""

import os
import pty
import select
import signal
import subprocess
import time
from pathlib import Path

from cli import PROGRAM, Cli, CliResult

_DEADLINE_SECONDS = 60


def run_on_terminal(run_cli: Cli, *arguments: str | Path, answer: str | int) -> CliResult:
    """Run to the end; stdin and stderr are a terminal, stdout is not.

    Args:
        run_cli: its folder and environment are used.
        arguments: the command line.
        answer: what is typed, once a question stands there, or the signal that is sent then.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["/usr/bin/env", "--default-signal=INT,TERM,HUP", str(PROGRAM), *map(str, arguments)],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        cwd=run_cli.folder,
        env=dict(run_cli.environment),
        start_new_session=True,
    )
    os.close(theirs)
    run_cli.started.append(process)  # type: ignore[arg-type]  # killed after the test
    said, answered, deadline = b"", False, time.monotonic() + _DEADLINE_SECONDS
    while time.monotonic() < deadline:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            said += piece
        if not answered and said.rstrip().endswith(b"[y/N]"):
            answered = True
            if isinstance(answer, str):
                os.write(ours, answer.encode())
            else:
                process.send_signal(signal.Signals(answer))
    stdout, _ = process.communicate(timeout=_DEADLINE_SECONDS)
    os.close(ours)
    result = CliResult(exit_code=process.returncode, stdout=stdout.decode(), stderr=said.decode())
    run_cli.check(result)
    assert answered, f"nothing was asked:\n{result.stderr}"
    return result
