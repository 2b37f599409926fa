"""The worker of examples/alphakraken in a docker-compose.yaml that is laid out as AlphaKraken's is."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from real_blocks import ROOT

EXAMPLE = ROOT / "examples" / "alphakraken"
SERVICE = "airflow-worker-s3-downloader"

# What AlphaKraken's file has that the worker refers to.
_BEFORE = """\
x-airflow-common: &airflow-common
  build:
    context: .
    dockerfile: airflow_src/Dockerfile
  user: "${AIRFLOW_UID:?error}:0"
  environment: &airflow-common-env
    AIRFLOW__CORE__EXECUTOR: CeleryExecutor
    ENV_NAME: ${ENV_NAME:?error}
    MONGO_HOST: ${MONGO_HOST:?error}
    MONGO_PORT: ${MONGO_PORT:?error}
  volumes:
    - ${MOUNTS_PATH:?error}/airflow_logs:/opt/airflow/logs:rw
x-airflow-worker: &airflow-worker
  <<: *airflow-common
  profiles: ["workers"]
  environment:
    <<: *airflow-common-env
    DUMB_INIT_SETSID: "0"
    AIRFLOW__CELERY__WORKER_CONCURRENCY: 32
    MONGO_USER: ${MONGO_USER_READWRITE:?error}
    MONGO_PASSWORD: ${MONGO_PASSWORD_READWRITE:?error}
  restart: always
services:
  airflow-scheduler:
    profiles: ["local", "infrastructure"]
    <<: *airflow-common
    command: scheduler
"""


def compose_text() -> str:
    """The whole file."""
    return f"{_BEFORE}\n{(EXAMPLE / 'worker.yaml').read_text(encoding='utf-8')}"


def worker(variables: Mapping[str, str]) -> dict[str, Any]:
    """The worker as docker compose would have it with these variables in its environment.

    Raises:
        KeyError: A variable is missing that compose would ask for.
    """

    def value(found: re.Match[str]) -> str:
        name, operator, default = found.groups()
        return variables.get(name, default) if operator == ":-" else variables[name]

    text = re.sub(r"\$\{(\w+)(:[-?])(\w*)\}", value, compose_text())
    service: dict[str, Any] = yaml.safe_load(text)["services"][SERVICE]
    return service


def mounts(service: Mapping[str, Any]) -> dict[Path, str]:
    """The worker's mounts: what is on the host -> path and mode in the container."""
    return {Path(source): rest for source, _, rest in (volume.partition(":") for volume in service["volumes"])}
