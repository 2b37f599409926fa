"""Airflow in an environment of its own: which version, its home, its settings, its programs."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cli import PROGRAM
from embedded_s3 import EmbeddedS3
from needs import need

ROOT = Path(__file__).resolve().parents[2]
DAG_FILE = ROOT / "examples" / "airflow" / "s3_downloader.py"
DAG_FACTS = ROOT / "tests" / "clusters" / "airflow_dag_facts.py"
POOLS_FILE = DAG_FILE.parent / "pools.json"
DAG_ID = "s3_downloader"
# to be fixtures' parameters; workers of xdist take one version each, for what is set up for it takes its time
VERSIONS = [pytest.param(version, marks=pytest.mark.xdist_group(version)) for version in ("2.11.0", "3.3.2")]

# What a test cannot wait for.
_SHORTENED = {
    "RETRY_DELAY = timedelta(minutes=5)": "RETRY_DELAY = timedelta(seconds=1)",
    "REVIEW_TIMEOUT = timedelta(days=7)": "REVIEW_TIMEOUT = timedelta(seconds=20)",
}


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
    def is_2(self) -> bool:
        """Whether it is an Airflow 2."""
        return self.version.startswith("2.")

    @property
    def programs(self) -> Path:
        """The folder of its programs; without its environment the test is skipped."""
        environment = ROOT / ".airflow" / self.version
        ready = (environment / ".ready").exists()
        need(ready, f"Airflow {self.version} is not there (`make .airflow/{self.version}/.ready`, with Python 3.11)")
        return environment / "bin"

    @property
    def environment(self) -> dict[str, str]:
        """All that its processes see in their environment."""
        return {
            "PATH": f"{self.programs}:/usr/bin:/bin",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.home / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            **self.settings,
        }

    def run(self, program: str, *arguments: str | Path, expected: int = 0, timeout_seconds: float = 110) -> str:
        """Run a program of the environment to its end and return what it said.

        Raises:
            RuntimeError: It ended with another exit code; what it said is in the message.
        """
        done = subprocess.run(
            [str(self.programs / program), *map(str, arguments)],
            cwd=self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=timeout_seconds,
            check=False,
        )
        if done.returncode != expected:
            raise RuntimeError(f"{program} {arguments} ended with {done.returncode}:\n{done.stdout}")
        return done.stdout

    def set_up(self) -> None:
        """Make the database, define the pool, and lay the DAG file out, with delays that a test can wait for."""
        text = DAG_FILE.read_text(encoding="utf-8")
        for long, short in _SHORTENED.items():
            assert long in text
            text = text.replace(long, short)
        (self.home / "dags").mkdir()
        (self.home / "dags" / DAG_FILE.name).write_text(text, encoding="utf-8")
        self.run("airflow", "db", "migrate")
        self.run("airflow", "pools", "import", POOLS_FILE)


def aws_connection(server: EmbeddedS3) -> dict[str, str]:
    """The connection `aws_default` to this server, as Airflow's REST API and its environment variables want it."""
    return {
        "conn_type": "aws",
        "login": server.access_key,
        "password": server.secret_key,
        "extra": json.dumps({"region_name": server.region}),
    }


def kraken_plan_variables(folder: Path, config: Path) -> dict[str, str]:
    """The Airflow Variables that the DAG reads."""
    return {
        "kraken_plan_folder": str(folder),
        "kraken_plan_program": str(PROGRAM),
        "kraken_plan_config": str(config),
    }
