"""Restores raw files from their S3 backup with kraken-plan.

Trigger by hand with the ids of raw files, or with a project, dates or a pattern. `compile_plan` resolves them out of
the catalog into a plan and cuts it into shards of equal bytes. `review` waits until somebody has read the plan and
approved it. `download_files` restores each shard, verified byte for byte, and `write_reports` writes one txt report per
destination and a page of the results, whatever happened before. The run fails if any file could not be restored, and
its last task names the reports. What is right already is verified and skipped, so any run may be repeated.

On Airflow 3.1 and newer, `review` asks for the approval in the web pages and by REST. Before, Airflow cannot ask: a run
of `s3_downloader` ends with the plan, and a run of `s3_downloader_apply` with the plan's digest restores it. Either way
`auto_approve`, or the digest of a plan that was reviewed elsewhere, takes the place of the review.

Plans and results of a run lie below the folder named by the Airflow Variable `kraken_plan_folder`.

This DAG replaces the one with the same id that AlphaKraken has on a branch: have only one of the two files in the DAGs
folder, because Airflow keeps one of them without saying which.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

try:  # Airflow 3
    from airflow.sdk import DAG, BaseHook, BaseOperator, Context, Param, Variable
    from airflow.sdk.exceptions import (
        AirflowException,
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSkipException,
    )
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.exceptions import (
        AirflowException,
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSkipException,
    )
    from airflow.hooks.base import BaseHook
    from airflow.models import BaseOperator, Variable
    from airflow.models.param import Param
    from airflow.utils.context import Context

try:  # Airflow 3.1
    from airflow.providers.standard.operators.hitl import ApprovalOperator
except (ImportError, AirflowException):
    ApprovalOperator = None


class Dags:
    """DAG names."""

    S3_DOWNLOADER = "s3_downloader"
    S3_DOWNLOADER_APPLY = "s3_downloader_apply"


class Tasks:
    """Task names."""

    COMPILE_PLAN = "compile_plan"
    FIND_PLAN = "find_plan"
    REVIEW = "review"
    DOWNLOAD_FILES = "download_files"
    WRITE_REPORTS = "write_reports"


class DagParams:
    """Keys of the values that the trigger form asks for."""

    RAW_FILE_IDS = "raw_file_ids"
    PROJECT = "project"
    SINCE = "since"
    UNTIL = "until"
    MATCH = "match"
    OUTPUT_ROOT = "output_root"
    SHARDS = "shards"
    MAX_BANDWIDTH = "max_bandwidth"
    ON_CORRUPT = "on_corrupt"
    RECOVER_VERSIONS = "recover_versions"
    EXPECT_DIGEST = "expect_digest"
    AUTO_APPROVE = "auto_approve"


class XComKeys:
    """Keys of what tasks leave for each other and for people, beside what they return."""

    REVIEW_TEXT = "review_text"
    RESULTS_PAGE = "results_page"


class Pools:
    """Pool names; pools.json beside this file defines them."""

    S3_DOWNLOAD_POOL = "s3_download_pool"


class Queues:
    """Queue names: the workers that listen here have kraken-plan and see the shared file system.

    The environment of scheduler, DAG processor and workers can name another queue, such as the one that AlphaKraken's
    worker for downloads listens to, `kraken_queue_s3_downloader`.
    """

    S3_DOWNLOAD_QUEUE = os.environ.get("KRAKEN_PLAN_DAG_QUEUE", "kraken_queue_s3_download")


class AirflowVars:
    """Keys of Airflow Variables; each can also be set as AIRFLOW_VAR_<KEY> in the workers' environment."""

    # folder on the shared file system for plans and results; there is no default
    KRAKEN_PLAN_FOLDER = "kraken_plan_folder"
    # path of the console script in its own environment; default: `kraken-plan` on the PATH
    KRAKEN_PLAN_PROGRAM = "kraken_plan_program"
    # path of alphakraken.<env>.yaml; default: KRAKEN_PLAN_CONFIG of the workers' environment
    KRAKEN_PLAN_CONFIG = "kraken_plan_config"
    # URL under which a web server shows the folder for plans; default: pages are named by their path
    KRAKEN_PLAN_PAGES_URL = "kraken_plan_pages_url"
    # incoming webhook of Slack or Teams, for plans that wait for review and runs that failed; default: none
    KRAKEN_PLAN_WEBHOOK_URL = "kraken_plan_webhook_url"


AWS_CONNECTION = "aws_default"
TAGS = ("s3", "download", "manual", "restoration", "batch")
MOST_SHARDS = 64
RETRIES = 2
RETRY_DELAY = timedelta(minutes=5)
EXECUTION_TIMEOUT = timedelta(hours=12)
# How long a plan waits to be approved; then its run fails, and nothing is downloaded.
REVIEW_TIMEOUT = timedelta(days=7)
# How long kraken-plan may take to end in order before it is killed, which is safe as well.
ENDING_SECONDS = 60
# How much of what `show` prints is put before the reviewer; the page has all of it.
REVIEW_LINES = 120
WEBHOOK_SECONDS = 20

# kraken-plan's exit codes
WELL, NOT_WELL, REFUSED = 0, 1, 2

# What no second try can mend (`failure_kind` in the results): somebody has to do something first. A try is not free,
# for it verifies every local file again.
FINAL_FAILURES = frozenset(
    {
        "access_denied",
        "archived",
        "bucket_missing",
        "conflict",
        "deleted",
        "key_not_found",
        "not_verifiable",
        "other_parts",
        "overwritten",
        "s3_corruption",
        "unresolved",
    }
)

DIGEST = "(sha256:)?[0-9a-f]{64}"

# What to restore, and where to.
SELECTION = {
    DagParams.RAW_FILE_IDS: Param(
        None,
        type=["null", "string"],
        minLength=3,
        title="Raw file ids",
        description="Ids of the raw files to restore, as in the catalog, separated by commas or one a line. They come "
        "back to output_location/project_id; what is right there already is skipped.",
        examples=["20250115_sample.raw", "20250115_sample.d,20250116_sample.raw"],
    ),
    DagParams.PROJECT: Param(
        None,
        type=["null", "string"],
        title="Project",
        description="Instead of ids: all raw files of this project, as narrowed down by the next three.",
        examples=["PRID001"],
    ),
    DagParams.SINCE: Param(
        None, type=["null", "string"], format="date", title="Since", description="Acquired on this day or later."
    ),
    DagParams.UNTIL: Param(
        None, type=["null", "string"], format="date", title="Until", description="Acquired on this day or earlier."
    ),
    DagParams.MATCH: Param(
        None,
        type=["null", "string"],
        title="Match",
        description="Shell pattern that the ids of raw files match.",
        examples=["*_hela_*"],
    ),
    DagParams.OUTPUT_ROOT: Param(
        None,
        type=["null", "string"],
        pattern="^/",
        title="Output root",
        description="Restore below this folder instead of the site's output location. Workers must see it for writing.",
    ),
}

# How to restore it.
MANNER = {
    DagParams.SHARDS: Param(
        1,
        type="integer",
        minimum=1,
        maximum=MOST_SHARDS,
        title="Shards",
        description="Parts of equal bytes that are restored side by side; how many run at once, the pool decides. "
        "One is enough below a few TB.",
    ),
    DagParams.MAX_BANDWIDTH: Param(
        None,
        type=["null", "string"],
        pattern="^[1-9][0-9]*[KMG]?$",
        title="Bandwidth of a shard",
        description="Each shard fetches at most this much a second, such as 200M. As many shards as the pool has slots "
        "run at once.",
    ),
    DagParams.ON_CORRUPT: Param(
        "replace",
        type="string",
        enum=["replace", "quarantine"],
        title="Corrupt local files",
        description="quarantine keeps the bytes of a corrupt file as NAME.corrupted once it is healed.",
    ),
    DagParams.RECOVER_VERSIONS: Param(
        False,  # noqa: FBT003  # a form's default
        type="boolean",
        title="Recover older versions",
        description="If the current object is missing or has changed, restore the older version that was planned.",
    ),
}

REVIEWED = {
    DagParams.EXPECT_DIGEST: Param(
        None,
        type=["null", "string"],
        pattern=f"^{DIGEST}$",
        title="Expected digest",
        description="plan_digest of a plan that was reviewed elsewhere (optional): if what is compiled now is another "
        "plan, nothing is downloaded; if it is that plan, it is not reviewed again.",
    ),
    DagParams.AUTO_APPROVE: Param(
        os.environ.get("KRAKEN_PLAN_DAG_AUTO_APPROVE", "").lower() in {"1", "true", "yes"},
        type="boolean",
        title="Restore without a review",
        description="The plan is not reviewed by anybody before it is restored.",
    ),
}

DIGEST_OF_PLAN = {
    DagParams.EXPECT_DIGEST: Param(
        type="string",
        pattern=f"^{DIGEST}$",
        title="Digest",
        description=f"plan_digest of the plan to restore, as a run of {Dags.S3_DOWNLOADER} compiled it.",
    ),
}


class KrakenPlanOperator(BaseOperator):
    """Runs kraken-plan as a process of its own; what it says goes to the task's log."""

    child: subprocess.Popen[str] | None = None

    def kraken_plan(self, *arguments: str, variables: Mapping[str, str] | None = None) -> tuple[int, list[str]]:
        """Run a command of kraken-plan to its end.

        Args:
            arguments: the command line.
            variables: what the program's environment has besides the worker's.

        Returns:
            Its exit code, 0 or 1, and the lines of its stdout.

        Raises:
            AirflowFailException: it refused, or could not be started; a retry would be no different.
            AirflowException: it was interrupted or killed; a retry goes on where it stopped.
        """
        command = [*_heeding_its_parent(), _program(), *arguments]
        with tempfile.TemporaryFile("w+", encoding="utf-8") as stdout:
            exit_code = self._run(command, _environment(variables or {}), stdout.fileno())
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

    def split(self, plan: Path, shards: int, output_root: str) -> list[dict[str, str]]:
        """Split a plan, and return the arguments of each shard's `DownloadFiles`."""
        _, paths = self.kraken_plan("split", str(plan), "-n", str(shards))
        return [{"shard": path, "digest": _digest_of(Path(path)), "output_root": output_root} for path in paths]

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
    """Compiles the run's plan and splits it; returns the shards."""

    def execute(self, context: Context) -> list[dict[str, str]]:
        """Do it; what cannot be resolved stands in the plan, and in the reports at the end."""
        params, plan = context["params"], _plan_path(context)
        output_root = params[DagParams.OUTPUT_ROOT] or ""
        with _shared_folder(plan.parent):
            plan.unlink(missing_ok=True)  # an earlier try's, which must not be taken for this one's
            selection = list(_selection(params, plan.with_name("ids.txt")))
        self.kraken_plan("compile", "-o", str(plan), *selection, variables=_place(output_root))
        digest = _digest_of(plan)
        _check_digest(plan, digest, params[DagParams.EXPECT_DIGEST])
        self._show(context, plan)
        with _shared_folder(plan.parent):
            remembered = {"plan_digest": digest, "output_root": output_root}
            plan.with_name("run.json").write_text(json.dumps(remembered), encoding="utf-8")
        return self.split(plan, params[DagParams.SHARDS], output_root)

    def _show(self, context: Context, plan: Path) -> None:
        """Leave what the reviewer reads: a page beside the plan, and the beginning of the text for `review`."""
        page = plan.with_suffix(".html")
        self.kraken_plan("show", str(plan), "--html", str(page))
        _, lines = self.kraken_plan("show", str(plan))
        left_out = len(lines) - REVIEW_LINES
        # indented, it is code to Markdown whatever names stand in it
        shown = [f"    {line}" for line in lines[:REVIEW_LINES]]
        more = [f"    … {left_out} more lines in the page"] if left_out > 0 else []
        text = [f"The plan as a page: {_link(page)}", "", *shown, *more]
        context["ti"].xcom_push(key=XComKeys.REVIEW_TEXT, value="\n".join(text))


class FindPlan(KrakenPlanOperator):
    """Takes a copy of the plan that a run of `s3_downloader` compiled, and splits it; returns the shards."""

    def execute(self, context: Context) -> list[dict[str, str]]:
        """Find the plan by its digest, which somebody who has reviewed it gave; its newest copy will do."""
        params, plan = context["params"], _plan_path(context)
        digest = _full_digest(params[DagParams.EXPECT_DIGEST])
        runs = plan.parent.parent.glob(f"{Dags.S3_DOWNLOADER}__*/run.json")
        for run in sorted(runs, key=lambda run: run.stat().st_mtime, reverse=True):
            remembered = json.loads(run.read_bytes())
            if remembered["plan_digest"] == digest:
                break
        else:
            raise AirflowFailException(
                f"no run of {Dags.S3_DOWNLOADER} in {plan.parent.parent} has compiled a plan with the digest {digest}"
            )
        with _shared_folder(plan.parent):
            shutil.copyfile(run.with_name("plan.json"), plan)
            for approvals in run.parent.glob("*.approvals"):  # of the plan and of its shards, which are the same anew
                shutil.copyfile(approvals, plan.with_name(approvals.name))
        _check_digest(plan, _digest_of(plan), digest)
        return self.split(plan, params[DagParams.SHARDS], remembered["output_root"])


class TellDigest(KrakenPlanOperator):
    """Ends the run where Airflow cannot ask: whoever has reviewed the plan triggers the second DAG with its digest."""

    def execute(self, context: Context) -> None:
        """Log the plan, and skip the rest of the run unless the plan is approved already."""
        if _is_approved(context["params"]):
            return
        ti = context["ti"]
        self.log.info("%s", ti.xcom_pull(task_ids=Tasks.COMPILE_PLAN, key=XComKeys.REVIEW_TEXT))
        digest = _digest_of(_plan_path(context))
        _post(f"{ti.dag_id}: the plan of {ti.run_id} waits for review: {ti.log_url}")
        conf = json.dumps({DagParams.EXPECT_DIGEST: digest})
        raise AirflowSkipException(
            f"the plan waits for review; to restore it, trigger {Dags.S3_DOWNLOADER_APPLY} with {conf}"
        )


if ApprovalOperator is not None:

    class AskForApproval(ApprovalOperator):
        """Waits for somebody to approve the plan, unless it is approved already."""

        def execute(self, context: Context) -> object:
            """Ask; a rejection and the end of the time fail the task, and with it the run."""
            if _is_approved(context["params"]):
                return None
            ti = context["ti"]
            _post(f"{ti.dag_id}: the plan of {ti.run_id} waits for review: {ti.log_url}")
            return super().execute(context)


class DownloadFiles(KrakenPlanOperator):
    """Applies one shard; returns the path of its results."""

    template_fields = ("shard", "digest", "output_root")

    def __init__(self, *, shard: str, digest: str, output_root: str, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.shard = shard
        self.digest = digest
        self.output_root = output_root

    def execute(self, context: Context) -> str:
        """Do it; where something failed that a later try may mend, the task fails and is tried again."""
        results = Path(f"{self.shard}.try-{context['ti'].try_number}.results")
        # the digest came from what was reviewed, not from the shared folder
        apply = ("apply", self.shard, "--expect-digest", self.digest, "--no-report", "--results", str(results))
        exit_code, _ = self.kraken_plan(
            *apply, *_manner(context["params"]), variables=_credentials() | _place(self.output_root)
        )
        if exit_code == NOT_WELL:
            failed = f"not all of {self.shard} could be restored, see the report that {Tasks.WRITE_REPORTS} writes"
            kinds = _failure_kinds(results)
            if kinds and kinds <= FINAL_FAILURES:
                raise AirflowFailException(f"{failed}; another try would not help")
            raise AirflowException(failed)
        return str(results)


class WriteReports(KrakenPlanOperator):
    """Writes the reports out of all results that there are; returns their paths."""

    def __init__(self, *, shards_of: str, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.shards_of = shards_of

    def execute(self, context: Context) -> list[str]:
        """Do it, and fail unless every file of the plan is restored."""
        plan, ti = _plan_path(context), context["ti"]
        if not plan.exists():
            raise AirflowFailException(f"there is no plan, so nothing was restored: see {self.shards_of}")
        results = sorted(map(str, plan.parent.glob("*.results")))
        if not results:
            raise AirflowFailException(
                f"no shard of {plan} was begun, so nothing was restored: see what failed before, and whether the plan "
                "was approved"
            )
        page = plan.with_name("results.html")
        place = _place(ti.xcom_pull(task_ids=self.shards_of)[0]["output_root"])
        exit_code, reports = self.kraken_plan(
            "report", "--plan", str(plan), "--html", str(page), *results, variables=place
        )
        ti.xcom_push(key=XComKeys.RESULTS_PAGE, value=_link(page))
        self.log.info("The results as a page: %s", _link(page))
        if exit_code == NOT_WELL:
            raise AirflowFailException(
                f"not every file is restored and reported, see the reports: {' '.join(reports)} (as a page: "
                f"{_link(page)})"
            )
        return reports


def tell_of_failure(context: Context) -> None:
    """Post to the webhook that a run failed; called when its last task did, which fails unless all is restored."""
    ti = context["ti"]
    _post(f"{ti.dag_id}: {ti.run_id} failed: {context.get('exception')} ({ti.log_url})")


def _post(text: str) -> None:
    """Post a line to the webhook, if there is one; that this fails is no reason for a task to fail."""
    url = Variable.get(AirflowVars.KRAKEN_PLAN_WEBHOOK_URL, None) or ""
    if not url.startswith(("https://", "http://")):
        return
    request = urllib.request.Request(  # noqa: S310  # see above
        url, json.dumps({"text": text}).encode(), {"Content-Type": "application/json"}
    )
    try:
        urllib.request.urlopen(request, timeout=WEBHOOK_SECONDS).close()  # noqa: S310
    except OSError as error:
        print(f"The webhook could not be told: {error}")  # in the task's log, in callbacks as well


def _is_approved(params: Mapping[str, object]) -> bool:
    """Return whether there is nothing left to review: compile_plan has compared a digest that was given."""
    return bool(params[DagParams.AUTO_APPROVE] or params[DagParams.EXPECT_DIGEST])


def _selection(params: Mapping[str, str | None], ids_file: Path) -> Iterator[str]:
    """Yield what `compile` is to select; ids are written to a file, as a whole, for they may hold commas and blanks."""
    if ids := params[DagParams.RAW_FILE_IDS]:
        ids_file.write_text(f"{ids}\n", encoding="utf-8", errors="backslashreplace")
        yield f"--ids-file={ids_file}"
    for name in (DagParams.PROJECT, DagParams.SINCE, DagParams.UNTIL, DagParams.MATCH):
        if value := params[name]:
            yield f"--{name}={value}"


def _manner(params: Mapping[str, str | None]) -> Iterator[str]:
    """Yield how `apply` is to restore."""
    yield f"--on-corrupt={params[DagParams.ON_CORRUPT]}"
    if bandwidth := params[DagParams.MAX_BANDWIDTH]:
        yield f"--max-bandwidth={bandwidth}"
    if params[DagParams.RECOVER_VERSIONS]:
        yield "--recover-versions"


def _place(output_root: str) -> dict[str, str]:
    """Return where to restore to, if it is not where the workers' own environment says."""
    return {"KRAKEN_PLAN_OUTPUT_ROOT": output_root} if output_root else {}


def _plan_path(context: Context) -> Path:
    """Return where the run's plan is; its shards, pages and results are beside it."""
    folder = Variable.get(AirflowVars.KRAKEN_PLAN_FOLDER, None)
    if not folder:
        raise AirflowFailException(
            f"set the Airflow Variable {AirflowVars.KRAKEN_PLAN_FOLDER} to a folder on the shared file system"
        )
    run = re.sub(r"[^A-Za-z0-9._-]", "_", context["run_id"])
    return Path(folder, f"{context['ti'].dag_id}__{run}", "plan.json")


@contextmanager
def _shared_folder(folder: Path) -> Iterator[None]:
    """Make a run's folder; what cannot be written to it ends the task for good."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise AirflowFailException(f"{error}: does this worker see the shared file system?") from error


def _link(page: Path) -> str:
    """Return where a page can be read: its URL if the folder for plans is on the web, its path if not."""
    base = Variable.get(AirflowVars.KRAKEN_PLAN_PAGES_URL, None)
    return f"{base.rstrip('/')}/{page.parent.name}/{page.name}" if base else str(page)


def _digest_of(plan: Path) -> str:
    """Return a plan's digest, which stands at its beginning; kraken-plan compares it with the plan."""
    with plan.open(encoding="utf-8") as file:
        found = re.search(r'"plan_digest": "(sha256:[0-9a-f]{64})"', file.read(1000))
    if found is None:
        raise AirflowFailException(f"{plan} does not begin as a plan does")
    return found[1]


def _full_digest(digest: str) -> str:
    return f"sha256:{digest.removeprefix('sha256:')}"


def _check_digest(plan: Path, digest: str, expected: str | None) -> None:
    if expected and digest != _full_digest(expected):
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


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the program's environment: the worker's, without what is meant for Airflow and its Python."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "_AIRFLOW", "PYTHON"))
    }
    config = Variable.get(AirflowVars.KRAKEN_PLAN_CONFIG, None)
    if config:
        environment["KRAKEN_PLAN_CONFIG"] = config
    if "AWS_ACCESS_KEY_ID" in variables or "AWS_PROFILE" in variables:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
            environment.pop(name, None)  # never half of one identity and half of another
    return {**environment, **variables}


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


def download_and_report(compiled: KrakenPlanOperator, after: BaseOperator) -> None:
    """Add the tasks that restore what a task has compiled, once another one is done."""
    download_files = DownloadFiles.partial(
        task_id=Tasks.DOWNLOAD_FILES,
        pool=Pools.S3_DOWNLOAD_POOL,
        retries=RETRIES,
        retry_delay=RETRY_DELAY,
        execution_timeout=EXECUTION_TIMEOUT,
        map_index_template="{{ task.shard.rpartition('/')[2] }}",
    ).expand_kwargs(compiled.output)
    write_reports = WriteReports(
        task_id=Tasks.WRITE_REPORTS,
        shards_of=compiled.task_id,
        trigger_rule="none_skipped",  # it is skipped with the downloads if the plan still has to be reviewed
        on_failure_callback=tell_of_failure,
    )
    after >> download_files >> write_reports


with DAG(
    dag_id=Dags.S3_DOWNLOADER,
    description="Restore raw files from their S3 backup, reviewed and verified byte for byte",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    tags=list(TAGS),
    params=SELECTION | MANNER | REVIEWED,
    default_args={"queue": Queues.S3_DOWNLOAD_QUEUE},
) as dag:
    compile_plan = CompilePlan(task_id=Tasks.COMPILE_PLAN)
    if ApprovalOperator is None:
        review = TellDigest(task_id=Tasks.REVIEW)
    else:
        review = AskForApproval(
            task_id=Tasks.REVIEW,
            subject="Restore this plan?",
            body=f"{{{{ ti.xcom_pull(task_ids='{Tasks.COMPILE_PLAN}', key='{XComKeys.REVIEW_TEXT}') }}}}",
            response_timeout=REVIEW_TIMEOUT,
            fail_on_reject=True,  # a run that restores nothing must not end as a success
            retries=0,
        )
    compile_plan >> review
    download_and_report(compile_plan, review)

if ApprovalOperator is None:
    with DAG(
        dag_id=Dags.S3_DOWNLOADER_APPLY,
        description=f"Restore a plan that {Dags.S3_DOWNLOADER} compiled and somebody has reviewed",
        doc_md=__doc__,
        schedule=None,
        catchup=False,
        tags=list(TAGS),
        params=DIGEST_OF_PLAN | MANNER,
        default_args={"queue": Queues.S3_DOWNLOAD_QUEUE},
    ) as apply_dag:
        find_plan = FindPlan(task_id=Tasks.FIND_PLAN)
        download_and_report(find_plan, find_plan)
