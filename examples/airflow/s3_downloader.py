"""Restores raw files from their S3 backup with kraken-plan.

Trigger by hand with the ids of raw files. `compile_plan` resolves them out of the catalog into a plan and cuts it into
shards of equal bytes, `download_files` restores each shard, verified byte for byte, and `write_reports` writes one txt
report per destination, whatever happened before. The run fails if any file could not be restored, and its last task
names the reports. What is right already is verified and skipped, so any run may be repeated.

Plans and results of a run lie below the folder named by the Airflow Variable `kraken_plan_folder`.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

try:  # Airflow 3
    from airflow.sdk import DAG, BaseHook, BaseOperator, Context, Param, Variable
    from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowNotFoundException
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.exceptions import AirflowException, AirflowFailException, AirflowNotFoundException
    from airflow.hooks.base import BaseHook
    from airflow.models import BaseOperator, Variable
    from airflow.models.param import Param
    from airflow.utils.context import Context


class Dags:
    """DAG names."""

    S3_DOWNLOADER = "s3_downloader"


class Tasks:
    """Task names."""

    COMPILE_PLAN = "compile_plan"
    DOWNLOAD_FILES = "download_files"
    WRITE_REPORTS = "write_reports"


class DagParams:
    """Keys of the values that the trigger form asks for."""

    RAW_FILE_IDS = "raw_file_ids"
    SHARDS = "shards"
    EXPECT_DIGEST = "expect_digest"


class Pools:
    """Pool names; pools.json beside this file defines them."""

    S3_DOWNLOAD_POOL = "s3_download_pool"


class Queues:
    """Queue names: the workers that listen here have kraken-plan and see the shared file system."""

    S3_DOWNLOAD_QUEUE = "kraken_queue_s3_download"


class AirflowVars:
    """Keys of Airflow Variables; each can also be set as AIRFLOW_VAR_<KEY> in the workers' environment."""

    # folder on the shared file system for plans and results; there is no default
    KRAKEN_PLAN_FOLDER = "kraken_plan_folder"
    # path of the console script in its own environment; default: `kraken-plan` on the PATH
    KRAKEN_PLAN_PROGRAM = "kraken_plan_program"
    # path of alphakraken.<env>.yaml; default: KRAKEN_PLAN_CONFIG of the workers' environment
    KRAKEN_PLAN_CONFIG = "kraken_plan_config"


AWS_CONNECTION = "aws_default"
TAGS = ("s3", "download", "manual", "restoration", "batch")
MOST_SHARDS = 64
RETRIES = 2
RETRY_DELAY = timedelta(minutes=5)
EXECUTION_TIMEOUT = timedelta(hours=12)
# How long kraken-plan may take to end in order before it is killed, which is safe as well.
ENDING_SECONDS = 60

# kraken-plan's exit codes
WELL, NOT_WELL, REFUSED = 0, 1, 2

# What no second try can mend (`failure_kind` in the results): somebody has to do something first. A try is not free,
# for it verifies every local file again.
FINAL_FAILURES = frozenset(
    {"unresolved", "s3_corruption", "key_not_found", "bucket_missing", "access_denied", "archived", "not_verifiable"}
)

PARAMS = {
    DagParams.RAW_FILE_IDS: Param(
        type="string",
        minLength=3,
        title="Raw file ids",
        description="Ids of the raw files to restore, as in the catalog, separated by commas or one a line. They come "
        "back to output_location/project_id; what is right there already is skipped.",
        examples=["20250115_sample.raw", "20250115_sample.d,20250116_sample.raw"],
    ),
    DagParams.SHARDS: Param(
        1,
        type="integer",
        minimum=1,
        maximum=MOST_SHARDS,
        title="Shards",
        description="Parts of equal bytes that are restored side by side; how many run at once, the pool decides. "
        "One is enough below a few TB.",
    ),
    DagParams.EXPECT_DIGEST: Param(
        None,
        type=["null", "string"],
        pattern="^(sha256:)?[0-9a-f]{64}$",
        title="Expected digest",
        description="plan_digest of the plan that was reviewed (optional): if what is compiled now is another plan, "
        "nothing is downloaded.",
    ),
}


class KrakenPlanOperator(BaseOperator):
    """Runs kraken-plan as a process of its own; what it says goes to the task's log."""

    child: subprocess.Popen[str] | None = None

    def kraken_plan(self, *arguments: str, credentials: Mapping[str, str] | None = None) -> tuple[int, list[str]]:
        """Run a command of kraken-plan to its end.

        Args:
            arguments: the command line.
            credentials: variables for the program's environment.

        Returns:
            Its exit code, 0 or 1, and the lines of its stdout.

        Raises:
            AirflowFailException: it refused, or could not be started; a retry would be no different.
            AirflowException: it was interrupted or killed; a retry goes on where it stopped.
        """
        command = [*_heeding_its_parent(), _program(), *arguments]
        with tempfile.TemporaryFile("w+", encoding="utf-8") as stdout:
            exit_code = self._run(command, _environment(credentials or {}), stdout.fileno())
            stdout.seek(0)
            printed = stdout.read().splitlines()
        for line in printed:
            self.log.info("%s", line)
        if exit_code == REFUSED:
            raise AirflowFailException(f"kraken-plan {arguments[0]} refused, nothing was touched: see above")
        if exit_code not in (WELL, NOT_WELL):
            raise AirflowException(f"kraken-plan {arguments[0]} was interrupted (exit code {exit_code})")
        return exit_code, printed

    def on_kill(self) -> None:
        """Have kraken-plan write down what it did and end: one SIGTERM, since a second one would end it at once."""
        child, self.child = self.child, None
        if child is not None:
            child.terminate()

    def _run(self, command: list[str], environment: Mapping[str, str], stdout: int) -> int:
        try:
            # in a session of its own, or it would hear twice when Airflow signals the task's process group
            child = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="backslashreplace",
                start_new_session=True,
            )
        except OSError as error:
            raise AirflowFailException(f"kraken-plan cannot be started: {error}") from error
        self.child = child
        try:
            for line in child.stderr or ():
                self.log.info("%s", line.rstrip("\n"))
            return child.wait()
        finally:
            self.on_kill()
            try:
                child.communicate(timeout=ENDING_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()


class CompilePlan(KrakenPlanOperator):
    """Compiles the run's plan and splits it; returns the paths of the shards."""

    def execute(self, context: Context) -> list[str]:
        """Do it; what cannot be resolved stands in the plan, and in the reports at the end."""
        params = context["params"]
        plan = _plan_path(context)
        try:
            plan.parent.mkdir(parents=True, exist_ok=True)
            plan.unlink(missing_ok=True)  # an earlier try's, which must not be taken for this one's
            ids_file = plan.with_name("ids.txt")  # as a whole, for ids may hold commas and blanks: compile tells
            ids_file.write_text(f"{params[DagParams.RAW_FILE_IDS]}\n", encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise AirflowFailException(f"{error}: does this worker see the shared file system?") from error
        self.kraken_plan("compile", "-o", str(plan), "--ids-file", str(ids_file))
        if params[DagParams.EXPECT_DIGEST]:
            _check_digest(plan, params[DagParams.EXPECT_DIGEST])
        _, shards = self.kraken_plan("split", str(plan), "-n", str(params[DagParams.SHARDS]))
        return shards


class DownloadFiles(KrakenPlanOperator):
    """Applies one shard; returns the path of its results."""

    template_fields = ("shard",)

    def __init__(self, *, shard: str, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.shard = shard

    def execute(self, context: Context) -> str:
        """Do it; where something failed that a later try may mend, the task fails and is tried again."""
        results = Path(f"{self.shard}.try-{context['ti'].try_number}.results")
        apply = ("apply", self.shard, "--no-report", "--results", str(results))
        exit_code, _ = self.kraken_plan(*apply, credentials=_credentials())
        if exit_code == NOT_WELL:
            failed = f"not all of {self.shard} could be restored, see the report that {Tasks.WRITE_REPORTS} writes"
            kinds = _failure_kinds(results)
            if kinds and kinds <= FINAL_FAILURES:
                raise AirflowFailException(f"{failed}; another try would not help")
            raise AirflowException(failed)
        return str(results)


class WriteReports(KrakenPlanOperator):
    """Writes the reports out of all results that there are; returns their paths."""

    def execute(self, context: Context) -> list[str]:
        """Do it, and fail unless every file of the plan is restored."""
        plan = _plan_path(context)
        if not plan.exists():
            raise AirflowFailException(f"there is no plan, so nothing was restored: see {Tasks.COMPILE_PLAN}")
        results = sorted(map(str, plan.parent.glob("*.results")))
        if not results:
            raise AirflowFailException(f"no shard of {plan} was begun, so nothing was restored")
        exit_code, reports = self.kraken_plan("report", "--plan", str(plan), *results)
        if exit_code == NOT_WELL:
            raise AirflowFailException(f"not every file is restored and reported, see the reports: {' '.join(reports)}")
        return reports


def _plan_path(context: Context) -> Path:
    """Return where the run's plan is; its shards and results are beside it."""
    folder = Variable.get(AirflowVars.KRAKEN_PLAN_FOLDER, None)
    if not folder:
        raise AirflowFailException(
            f"set the Airflow Variable {AirflowVars.KRAKEN_PLAN_FOLDER} to a folder on the shared file system"
        )
    run = re.sub(r"[^A-Za-z0-9._-]", "_", context["run_id"])
    return Path(folder, f"{Dags.S3_DOWNLOADER}__{run}", "plan.json")


def _check_digest(plan: Path, expected: str) -> None:
    digest = json.loads(plan.read_bytes())["plan_digest"]
    if digest != f"sha256:{expected.removeprefix('sha256:')}":
        raise AirflowFailException(f"expected a plan with the digest {expected}, {plan} has {digest}: review it first")


def _failure_kinds(results: Path) -> set[str]:
    """Return why files failed, as apply wrote it down; nothing if that could not be written."""
    with results.open(encoding="utf-8") as lines:
        return {kind for line in lines if (kind := json.loads(line).get("failure_kind"))}


def _program() -> str:
    """Return the path of the console script."""
    named = Variable.get(AirflowVars.KRAKEN_PLAN_PROGRAM, None) or "kraken-plan"
    found = shutil.which(named)
    if found is None:
        raise AirflowFailException(
            f"this worker has no program {named}: set the Airflow Variable {AirflowVars.KRAKEN_PLAN_PROGRAM}"
        )
    return found


def _heeding_its_parent() -> list[str]:
    """Return what to put before a command for it to hear SIGTERM if the task's process is killed (Linux)."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []


def _environment(credentials: Mapping[str, str]) -> dict[str, str]:
    """Return the program's environment: the worker's, without what is meant for Airflow and its Python."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "_AIRFLOW", "PYTHON"))
    }
    config = Variable.get(AirflowVars.KRAKEN_PLAN_CONFIG, None)
    if config:
        environment["KRAKEN_PLAN_CONFIG"] = config
    if "AWS_ACCESS_KEY_ID" in credentials or "AWS_PROFILE" in credentials:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
            environment.pop(name, None)  # never half of one identity and half of another
    return {**environment, **credentials}


def _credentials() -> dict[str, str]:
    """Return the connection as the variables of the standard AWS chain; an empty one leaves all to that chain."""
    try:
        connection = BaseHook.get_connection(AWS_CONNECTION)
    except AirflowNotFoundException as error:
        raise AirflowFailException(
            f"there is no connection {AWS_CONNECTION}: add one of type aws, empty if the workers have credentials"
        ) from error
    extra = connection.extra_dejson
    if extra.get("role_arn"):
        raise AirflowFailException(
            f"role_arn of connection {AWS_CONNECTION} is not supported: put the role into a profile of the workers' "
            "AWS configuration, and that profile's name into profile_name"
        )
    variables = {
        "AWS_ACCESS_KEY_ID": connection.login,
        "AWS_SECRET_ACCESS_KEY": connection.password,
        "AWS_SESSION_TOKEN": extra.get("aws_session_token"),
        "AWS_PROFILE": extra.get("profile_name"),
        "AWS_REGION": extra.get("region_name"),
        "AWS_ENDPOINT_URL": extra.get("endpoint_url"),
    }
    return {name: value for name, value in variables.items() if value}


with DAG(
    dag_id=Dags.S3_DOWNLOADER,
    description="Restore raw files from their S3 backup, verified byte for byte",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    tags=list(TAGS),
    params=PARAMS,
    default_args={"queue": Queues.S3_DOWNLOAD_QUEUE},
) as dag:
    compile_plan = CompilePlan(task_id=Tasks.COMPILE_PLAN)
    download_files = DownloadFiles.partial(
        task_id=Tasks.DOWNLOAD_FILES,
        pool=Pools.S3_DOWNLOAD_POOL,
        retries=RETRIES,
        retry_delay=RETRY_DELAY,
        execution_timeout=EXECUTION_TIMEOUT,
        map_index_template="{{ task.shard.rpartition('/')[2] }}",
    ).expand(shard=compile_plan.output)
    write_reports = WriteReports(task_id=Tasks.WRITE_REPORTS, trigger_rule="all_done")
    compile_plan >> download_files >> write_reports
