"""Airflow's scheduler and web server as processes for the length of a `with` block, and what its REST API says."""

import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from os import killpg
from typing import Any, TypeVar

import urllib3
from airflow_environment import DAG_ID, Airflow
from temporary_process import LOOPBACK, free_ports

_START_SECONDS = 100
_ENDING_SECONDS = 20
_RUN_SECONDS = 100
_ADMIN = "admin"

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskInstance:
    """One task of a run, or one shard of it."""

    task_id: str
    map_index: int
    state: str | None
    tries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """A running Airflow, used through its REST API.

    Attributes:
        airflow: What runs.
        url: Where its web server is.
        headers: What authorizes a request.
    """

    airflow: Airflow
    url: str
    headers: Mapping[str, str]

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401  # JSON
        """Call the REST API, `path` from the version on, and return its answer.

        Raises:
            RuntimeError: It refused.
        """
        url = f"{self.url}/api/{'v1' if self.airflow.is_2 else 'v2'}/{path}"
        answer = urllib3.request(method, url, json=body, headers=self.headers, timeout=30, retries=False)
        if answer.status >= 400:
            raise RuntimeError(f"{method} {url}: {answer.status} {answer.data.decode()}")
        return answer.json()

    def trigger(self, dag_id: str = DAG_ID, /, **params: object) -> str:
        """Do what the trigger form does, and return the run's id."""
        schedule = {} if self.airflow.is_2 else {"logical_date": None}
        return str(self.call("POST", f"dags/{dag_id}/dagRuns", {"conf": params, **schedule})["dag_run_id"])

    def wait(self, run_id: str, dag_id: str = DAG_ID) -> str:
        """Wait for the end of a run and return its state."""
        return wait_until(lambda: self._end_state(run_id, dag_id), f"the end of {run_id}", seconds=_RUN_SECONDS)

    def task_instances(self, run_id: str) -> list[TaskInstance]:
        """All of a run's, in order of their names and shards."""
        found = [
            TaskInstance(
                task_id=each["task_id"], map_index=each["map_index"], state=each["state"], tries=each["try_number"]
            )
            for each in self.call("GET", f"{_run(run_id)}/taskInstances")["task_instances"]
        ]
        return sorted(found, key=lambda each: (each.task_id, each.map_index))

    def question(self, run_id: str, task_id: str) -> dict[str, Any] | None:
        """What a task asks people; None while it asks nothing, or too early for an answer.

        Airflow 3.3 fails a task that is answered before the scheduler has noticed that its first process is gone.
        """
        states = {each.task_id: each.state for each in self.task_instances(run_id)}
        gone = (
            f"state success for task instance TaskInstanceKey(dag_id='{DAG_ID}', task_id='{task_id}', run_id='{run_id}'"
        )
        if states[task_id] not in {"awaiting_input", "deferred"} or gone not in self.said():
            return None
        asked = self.call("GET", f"{_run(run_id)}/taskInstances/{task_id}/-1/hitlDetails")
        assert isinstance(asked, dict)
        return asked

    def answer(self, run_id: str, task_id: str, option: str) -> None:
        """Do what a button under the question does."""
        body = {"chosen_options": [option], "params_input": {}}
        self.call("PATCH", f"{_run(run_id)}/taskInstances/{task_id}/-1/hitlDetails", body)

    def mark_failed(self, run_id: str, task_id: str, map_index: int) -> None:
        """Do what the button does."""
        body = {"new_state": "failed", "dry_run": False} if self.airflow.is_2 else {"new_state": "failed"}
        self.call("PATCH", f"{_run(run_id)}/taskInstances/{task_id}/{map_index}", body)

    def said(self) -> str:
        """What all tasks and services have written to their logs so far."""
        logs = sorted(self.airflow.home.rglob("*.log"))
        return "\n".join(log.read_text(encoding="utf-8", errors="replace") for log in logs)

    def _end_state(self, run_id: str, dag_id: str) -> str | None:
        state = self.call("GET", _run(run_id, dag_id))["state"]
        return state if state in {"success", "failed"} else None


def wait_until(found: Callable[[], _Found | None], what: str, *, seconds: float = _START_SECONDS) -> _Found:
    """Wait till something is found, and return it.

    Raises:
        TimeoutError: It was not.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = found()
        if value is not None:
            return value
        time.sleep(0.2)
    raise TimeoutError(f"waited {seconds:.0f} s for {what}")


@contextmanager
def airflow_services(installed: Airflow) -> Iterator[Services]:
    """Set an Airflow up and run its services, until the DAG is known and ready to be triggered.

    Raises:
        TimeoutError: It does not come to that; the logs are in its home.
    """
    (port,) = free_ports(1)
    url = f"http://{LOOPBACK}:{port}"
    airflow = replace(installed, settings={**installed.settings, **_settings(installed, url)})
    airflow.set_up()
    if airflow.is_2:
        person = ["--firstname", "A", "--lastname", "B", "--email", "a@example.org"]
        airflow.run("airflow", "users", "create", "-u", _ADMIN, "-p", _ADMIN, "-r", "Admin", *person)
    with ExitStack() as started:
        for command in _commands(airflow, port):
            started.enter_context(_service(airflow, command))
        headers = wait_until(lambda: _authorization(airflow, url), f"an answer of {url}")
        services = Services(airflow=airflow, url=url, headers=headers)
        wait_until(lambda: _dag_if_known(services), f"{DAG_ID} at {url}")
        yield services


def _settings(airflow: Airflow, url: str) -> dict[str, str]:
    """Return the variables that all processes of an Airflow share: LocalExecutor, and as prompt as can be."""
    shared = {
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__FERNET_KEY": "c2VjcmV0LW9mLWEtdGVzdC1vbi1sb29wYmFjay0wMDA=",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    }
    if airflow.is_2:
        return shared | {
            "AIRFLOW__API__AUTH_BACKENDS": "airflow.api.auth.backend.basic_auth",
            "AIRFLOW__SCHEDULER__LOCAL_TASK_JOB_HEARTBEAT_SEC": "1",
            "AIRFLOW__WEBSERVER__SECRET_KEY": secrets.token_hex(16),
            "AIRFLOW__WEBSERVER__WORKERS": "1",
        }
    return shared | {
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    }


def _commands(airflow: Airflow, port: int) -> list[list[str]]:
    if airflow.is_2:
        return [["webserver", "--port", str(port), "--hostname", LOOPBACK], ["scheduler"]]
    return [["api-server", "--port", str(port), "--host", LOOPBACK], ["scheduler"], ["dag-processor"]]


@contextmanager
def _service(airflow: Airflow, command: list[str]) -> Iterator[None]:
    """Run one service in a process group of its own, which is ended with it."""
    with (airflow.home / f"{command[0]}.log").open("ab") as log:
        process = subprocess.Popen(
            ["/usr/bin/setpriv", "--pdeathsig", "TERM", "--", str(airflow.programs / "airflow"), *command],
            cwd=airflow.home,
            env=airflow.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_ENDING_SECONDS)
        with suppress(ProcessLookupError):
            killpg(process.pid, signal.SIGKILL)
        process.wait()


def _authorization(airflow: Airflow, url: str) -> dict[str, str] | None:
    """Return the headers of an authorized request; None while nothing answers."""
    try:
        if airflow.is_2:
            answer = urllib3.request("GET", f"{url}/health", timeout=5, retries=False)
            return urllib3.make_headers(basic_auth=f"{_ADMIN}:{_ADMIN}") if answer.status == 200 else None
        answer = urllib3.request("GET", f"{url}/auth/token", timeout=5, retries=False)
    except urllib3.exceptions.HTTPError:
        return None
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def _dag_if_known(services: Services) -> str | None:
    try:
        return str(services.call("GET", f"dags/{DAG_ID}")["dag_id"])
    except RuntimeError:
        return None


def _run(run_id: str, dag_id: str = DAG_ID) -> str:
    return f"dags/{dag_id}/dagRuns/{run_id}"
