"""Airflow in an environment of its own, as one test sees it: which version, its home, its settings, its programs."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DAG_FILE = ROOT / "examples" / "airflow" / "s3_downloader.py"
VERSIONS = ("2.11.0", "3.3.2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Airflow:
    """One version of Airflow and one home of it.

    Attributes:
        version: As the pins name it.
        home: Its folder for settings, database and logs; its HOME, too.
        settings: Variables of its environment, beside those that every test wants.
    """

    version: str
    home: Path
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def programs(self) -> Path:
        """The folder of its programs.

        Raises:
            FileNotFoundError: nobody has made the environment.
        """
        environment = ROOT / ".airflow" / self.version
        if not (environment / ".ready").exists():
            raise FileNotFoundError(
                f"Airflow {self.version} is not installed: run `make .airflow/{self.version}/.ready`"
            )
        return environment / "bin"

    @property
    def environment(self) -> dict[str, str]:
        """All that its processes see in their environment."""
        return {
            "PATH": f"{self.programs}:/usr/bin:/bin",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            **self.settings,
        }

    def run(self, program: str, *arguments: str | Path, timeout_seconds: float = 90) -> str:
        """Run a program of the environment to its end and return its stdout.

        Raises:
            RuntimeError: it failed; what it said is in the message.
        """
        done = subprocess.run(
            [str(self.programs / program), *map(str, arguments)],
            cwd=self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=timeout_seconds,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{program} {arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done.stdout
