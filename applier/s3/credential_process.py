"""Runs a profile's `credential_process` within bounds of time and output, and shows nothing that it prints.

The helper keeps the terminal, so that it can ask for a code there. What it prints may be a secret, even in an error.
"""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

MAX_SECONDS = 30.0
_MAX_OUTPUT_BYTES = 1024 * 1024
_REAP_SECONDS = 5.0
_EXPECTED = "JSON with Version 1, AccessKeyId and SecretAccessKey; an Expiration must have a time zone"


class CredentialProcessError(Exception):
    """A helper gave no credentials; the message says how, in our own words."""


class HungProcessError(CredentialProcessError):
    """A helper did not end in time."""


# Those that may still run.
_started: set["BoundedProcess"] = set()


def end_helpers() -> None:
    """End every helper that still runs, for a process that ends without waiting for its threads."""
    for helper in list(_started):
        helper.kill()


class BoundedProcess:
    """Stands in for `subprocess.Popen` where botocore starts a helper: same calls, but bounded and silent.

    Args:
        command: program and arguments.
        _streams: how botocore wants the streams; they are always the same here.

    Raises:
        CredentialProcessError: the helper cannot be started.
    """

    def __init__(self, command: Sequence[str], **_streams: object) -> None:
        try:
            self._process = subprocess.Popen(  # the operator's own configuration names it
                list(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except (OSError, ValueError, IndexError) as error:
            reason = getattr(error, "strerror", None) or "it is not a command"
            raise CredentialProcessError(f"it could not be started: {reason}") from error
        self._output = b""
        _started.add(self)

    def communicate(self) -> tuple[bytes, bytes]:
        """Return what the helper wrote to stdout, and nothing in place of its errors.

        Raises:
            CredentialProcessError: it did not end in time, wrote too much or no credentials, or failed.
        """
        reader = threading.Thread(target=self._read, daemon=True, name="credential-process")
        reader.start()
        try:
            reader.join(MAX_SECONDS)
            is_late = reader.is_alive()
            if not is_late and len(self._output) <= _MAX_OUTPUT_BYTES:
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(MAX_SECONDS)
            is_late = is_late or self._process.poll() is None
        finally:  # also where the wait is interrupted
            self._end()
        if len(self._output) > _MAX_OUTPUT_BYTES:
            raise CredentialProcessError("it wrote far more than credentials")
        if is_late:
            raise HungProcessError(f"it gave no answer within {MAX_SECONDS:.0f} s and was ended")
        if self.returncode != 0:
            raise CredentialProcessError(f"it failed with exit code {self.returncode}")
        if not _is_credentials(self._output):
            raise CredentialProcessError(f"it printed something that is not credentials (expected {_EXPECTED})")
        return self._output, b""

    @property
    def returncode(self) -> int:
        """The helper's exit code."""
        return self._process.returncode

    def _read(self) -> None:
        if self._process.stdout is not None:
            with self._process.stdout as stream:
                self._output = stream.read(_MAX_OUTPUT_BYTES + 1)

    def kill(self) -> None:
        """Kill the helper and everything that it started, if it still runs."""
        if self._process.poll() is None:
            for pid in [*_descendants(self._process.pid), self._process.pid]:
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)

    def _end(self) -> None:
        self.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_REAP_SECONDS)
        _started.discard(self)


def _is_credentials(output: bytes) -> bool:
    """Tell whether botocore can use this output. It looks at a part only when it has let go of the keys it had."""
    from botocore.credentials import RefreshableCredentials  # noqa: PLC0415  # commands load this module at once

    # There is no public way; a test holds it.
    parse_time = RefreshableCredentials._expiry_datetime  # type: ignore[attr-defined]  # noqa: SLF001
    try:
        printed = json.loads(output.decode())
        expiration = printed.get("Expiration")
        if expiration is not None and parse_time(expiration).utcoffset() is None:
            return False
        keys = (printed["AccessKeyId"], printed["SecretAccessKey"])
        return printed["Version"] == 1 and all(isinstance(key, str) and key for key in keys)
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError):
        return False


def _descendants(pid: int) -> Iterator[int]:
    """Yield the processes below a process, its children first; none where the system does not tell."""
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, task.read_text(encoding="ascii").split()):
                yield child
                yield from _descendants(child)
