"""Runs the installed `kraken-plan` as a user would: as a process of its own, in an environment of its own."""

import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from screen_sums import assert_sums_agree

_SECRET_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "MONGO_PASSWORD")
_PASSWORD_IN_URI = re.compile(r"://[^:/@\s]*:([^/@\s]+)[^@\s]*@")
# What a presigned URL or a signed request's header consists of.
_SIGNED = (b"x-amz-signature", b"x-amz-credential", b"x-amz-security-token", b"aws4-hmac-sha256")

PROGRAM = Path(sys.executable).parent / "kraken-plan"


def shell(script: str) -> list[str]:
    """The command that runs the program where a shell script says `exec "$@"`."""
    return ["/bin/sh", "-c", script, "sh"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CliResult:
    """How a run ended and what it said."""

    exit_code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cli:
    """Where and with what the program runs.

    Attributes:
        folder: The current folder of every run, and its HOME.
        environment: All that it sees in its environment.
        secrets: What it must never say nor write; those that a run is given are added by themselves.
    """

    folder: Path
    environment: Mapping[str, str]
    secrets: set[str] = field(default_factory=set)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def __call__(
        self,
        *arguments: str | Path,
        stdin: str = "",
        environment: Mapping[str, str | None] | None = None,
        timeout_seconds: float = 60,
        allow_traceback: bool = False,
        under: Sequence[str] = (),
    ) -> CliResult:
        """Run to the end.

        Args:
            arguments: The command line, paths as they are.
            stdin: What the program can read there.
            environment: Variables on top of the clean environment; None takes one away.
            timeout_seconds: After this the process is killed and `subprocess.TimeoutExpired` raised.
            allow_traceback: Whether a traceback on stderr may pass.
            under: A command that runs the program, such as `prlimit --nofile=64`.
        """
        done = subprocess.run(
            [*under, *self._command(arguments)],
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            timeout=timeout_seconds,
            cwd=self.folder,
            env=self._environment(environment),
            check=False,
        )
        result = CliResult(exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr)
        self.check(result, allow_traceback=allow_traceback)
        assert_sums_agree([*map(str, arguments)], result.stdout, result.stderr)
        return result

    def start(
        self,
        *arguments: str | Path,
        environment: Mapping[str, str | None] | None = None,
        under: Sequence[str] = (),
    ) -> subprocess.Popen[str]:
        """Start and return at once, for tests that send signals; what still runs is killed after the test.

        Signals do what they do in a terminal, even if this process was started by a script that ignores them.
        """
        process = subprocess.Popen(
            ["/usr/bin/env", "--default-signal=INT,TERM,HUP", *under, *self._command(arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            cwd=self.folder,
            env=self._environment(environment),
        )
        self.started.append(process)
        return process

    def finish(
        self, process: subprocess.Popen[str], *, timeout_seconds: float = 60, allow_traceback: bool = False
    ) -> CliResult:
        """Wait for a started process; its exit code is negative if a signal ended it."""
        stdout, stderr = process.communicate(timeout=timeout_seconds)
        result = CliResult(exit_code=process.returncode, stdout=stdout, stderr=stderr)
        self.check(result, allow_traceback=allow_traceback)
        assert isinstance(process.args, list)
        assert_sums_agree([*map(str, process.args)], stdout, stderr)
        return result

    def check(self, result: CliResult, *, allow_traceback: bool = False) -> None:
        """Fail if the run showed a traceback or a secret."""
        assert allow_traceback or "Traceback" not in result.stderr, result.stderr
        self._check_content((result.stdout + result.stderr).encode(), "what was printed")

    def check_files(self) -> None:
        """Fail if a file below the folder holds a secret."""
        for path in self.folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                self._check_content(path.read_bytes(), str(path))

    def end_started(self) -> None:
        """Kill what was started and still runs."""
        for process in self.started:
            process.kill()
            process.communicate()

    def _command(self, arguments: tuple[str | Path, ...]) -> list[str]:
        self.secrets.update(_passwords_in(map(str, arguments)))
        return [str(PROGRAM), *map(str, arguments)]

    def _environment(self, changes: Mapping[str, str | None] | None) -> dict[str, str]:
        merged = {**self.environment, **(changes or {})}
        environment = {name: value for name, value in merged.items() if value is not None}
        self.secrets.update(environment[name].strip() for name in _SECRET_VARIABLES if environment.get(name))
        self.secrets.update(_passwords_in(environment.values()))
        return environment

    def _check_content(self, content: bytes, place: str) -> None:
        for secret in self.secrets:
            assert secret.encode() not in content, f"A secret stands in {place}."
        lowered = content.lower()
        for mark in _SIGNED:
            assert mark not in lowered, f"Part of a signed request stands in {place}."


def _passwords_in(texts: Iterable[str]) -> set[str]:
    """The passwords of all URIs among the texts, as they stand there and decoded."""
    return {form for text in texts for found in _PASSWORD_IN_URI.findall(text) for form in (found, unquote(found))}
