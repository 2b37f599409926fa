"""The example DAG on a whole Airflow: triggered through the REST API, scheduled, killed and tried again."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from airflow_environment import VERSIONS, Airflow, aws_connection, kraken_plan_variables
from airflow_services import Services, TaskInstance, airflow_services, wait_until
from apply_case import bruker, last_report, thermo
from catalog_server import Catalog
from conftest import MakeRestoreCase
from embedded_s3 import EmbeddedS3
from faulty_proxy import FaultyProxy
from network_faults import Fault, Stall
from postgres_server import postgres_server
from restore_case import RestoreCase
from webhook import Webhook, running_webhook

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def webhook() -> Iterator[Webhook]:
    with running_webhook() as receiver:
        yield receiver


@pytest.fixture(scope="module", params=VERSIONS)
def services(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    s3_server: EmbeddedS3,
    running_catalog: Catalog,
    webhook: Webhook,
) -> Iterator[Services]:
    """Airflow with scheduler and web server, its connection and variables set as a maintainer sets them."""
    home = tmp_path_factory.mktemp("airflow")
    settings = {"KRAKEN_PLAN_CATALOG": running_catalog.uri}
    airflow = Airflow(version=request.param, home=home, settings=settings)
    with ExitStack() as started:
        if airflow.is_2:
            url = started.enter_context(postgres_server())
            airflow = replace(airflow, settings={**settings, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url})
        services = started.enter_context(airflow_services(airflow))
        connection = {"connection_id": "aws_default", **aws_connection(s3_server.read_only())}
        services.call("POST", "connections", connection)
        variables = kraken_plan_variables(home / "plans", home / "alphakraken.yaml")
        for key, value in {**variables, "kraken_plan_webhook_url": webhook.url}.items():
            services.call("POST", "variables", {"key": key, "value": value})
        yield services
        written = [path for path in home.rglob("*") if path.is_file() and not path.is_symlink()]
        assert [path for path in written if s3_server.read_only_secret_key.encode() in path.read_bytes()] == []


def file_name(run_id: str) -> str:
    """A run's id in names of folders."""
    return run_id.replace(":", "_").replace("+", "_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A running Airflow beside a catalog and S3, with raw files that can be restored."""

    services: Services
    case: RestoreCase

    def trigger(self, **params: object) -> str:
        """Trigger with all ids, and no review unless the test wants one."""
        return self.services.trigger(
            **{"raw_file_ids": ",".join(self.case.raw_file_ids), "auto_approve": True} | params
        )

    def downloads(self, run_id: str) -> list[TaskInstance]:
        return [each for each in self.services.task_instances(run_id) if each.task_id == "download_files"]

    def results(self, run_id: str) -> list[str]:
        """The text of the run's results files, in order of their names."""
        folder = self.services.airflow.home / "plans"
        return [path.read_text(encoding="utf-8") for path in sorted(folder.glob(f"*{file_name(run_id)}/*.results"))]

    def digest(self, run_id: str) -> str:
        """The digest of the plan that the run has compiled."""
        (plan,) = (self.services.airflow.home / "plans").glob(f"*{file_name(run_id)}/plan.json")
        return str(json.loads(plan.read_bytes())["plan_digest"])


@pytest.fixture
def site(services: Services, catalog: Catalog, faulty_proxy: FaultyProxy, make_restore_case: MakeRestoreCase) -> Site:
    samples = (thermo(), bruker(), thermo("other.raw", project_id="PRID002"))
    case = make_restore_case(*samples, endpoint_url=faulty_proxy.endpoint_url)
    catalog.insert(case.documents)
    shutil.copy(case.config_path, services.airflow.home / "alphakraken.yaml")
    return Site(services=services, case=case)


def kraken_plan_process(services: Services) -> tuple[int, int] | None:
    """The ids of the `kraken-plan apply` that this Airflow has started, and of its parent; None if there is none."""
    plans = str(services.airflow.home / "plans").encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command, status = (folder / "cmdline").read_bytes(), (folder / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if b"\0apply\0" + plans in command:
            return int(folder.name), int(status.rpartition(")")[2].split()[1])
    return None


@pytest.mark.parametrize("shards", [1, 4])
def test_triggered_run_should_restore_all_and_write_one_report_per_destination(site: Site, shards: int) -> None:
    # when
    run_id = site.trigger(shards=shards)

    # then
    assert site.services.wait(run_id) == "success", site.services.said()
    assert site.case.unrestored() == []
    assert [each.state for each in site.downloads(run_id)] == ["success"] * shards
    for project_id in ("PRID001", "PRID002"):
        assert len(site.case.reports(project_id)) == 1
        assert "Status: SUCCESS" in last_report(site.case, project_id)


def test_run_with_one_failing_file_should_fail_naming_the_reports_and_restore_the_rest(
    site: Site, s3: "S3Client"
) -> None:
    # given
    s3.put_object(Bucket=site.case.bucket(), Key="sample.d/3.m/f3.xml", Body=b"tampered")

    # when
    run_id = site.trigger(shards=4)

    # then
    assert site.services.wait(run_id) == "failed"
    assert site.case.unrestored() == ["PRID001/sample.d/3.m/f3.xml"]
    assert sorted((each.state, each.tries) for each in site.downloads(run_id)) == [("failed", 1)] + [("success", 1)] * 3
    assert "sample.d/3.m/f3.xml: FAILURE - S3 object was overwritten" in last_report(site.case)
    reports = f"{site.case.reports()[0]} {site.case.reports('PRID002')[0]}"
    assert f"not every file is restored and reported, see the reports: {reports}" in site.services.said()


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_killed_task_should_be_tried_again_and_end_what_it_had_started(
    site: Site, faulty_proxy: FaultyProxy, signal_number: signal.Signals
) -> None:
    # given
    faulty_proxy.add(Fault(action=Stall(seconds=600), method="GET", key="other.raw"))
    run_id = site.trigger()
    wait_until(lambda: faulty_proxy.requests("GET", "other.raw") or None, "a download that stalls")
    child, parent = wait_until(lambda: kraken_plan_process(site.services), "kraken-plan")

    # when
    faulty_proxy.clear()
    os.kill(parent, signal_number)

    # then
    assert site.services.wait(run_id) == "success", site.services.said()
    assert not Path(f"/proc/{child}").exists()
    assert [(each.state, each.tries) for each in site.downloads(run_id)] == [("success", 2)]
    first, second = site.results(run_id)
    assert '"failure_kind": "interrupted"' in first
    assert '"outcome": "failed"' not in second
    assert site.case.unrestored() == []
    assert "Status: SUCCESS" in last_report(site.case, "PRID002")


def test_task_that_is_marked_failed_should_end_in_order_and_be_reported(site: Site, faulty_proxy: FaultyProxy) -> None:
    # given
    faulty_proxy.add(Fault(action=Stall(seconds=600), method="GET", key="other.raw"))
    run_id = site.trigger()
    wait_until(lambda: faulty_proxy.requests("GET", "other.raw") or None, "a download that stalls")
    child, _ = wait_until(lambda: kraken_plan_process(site.services), "kraken-plan")

    # when
    (download,) = site.downloads(run_id)
    site.services.mark_failed(run_id, download.task_id, download.map_index)

    # then
    assert site.services.wait(run_id) == "failed"
    wait_until(lambda: None if Path(f"/proc/{child}").exists() else True, "the end of kraken-plan")
    (results,) = site.results(run_id)
    assert '"failure_kind": "interrupted"' in results
    assert site.case.unrestored() == ["PRID002/other.raw"]
    assert "other.raw: FAILURE - Not attempted" in last_report(site.case, "PRID002")


def test_plan_should_be_restored_only_once_it_is_approved(site: Site, webhook: Webhook) -> None:
    # given
    if site.services.airflow.is_2:
        pytest.skip("Airflow 2 cannot ask")
    run_id = site.trigger(auto_approve=False)
    question = wait_until(lambda: site.services.question(run_id, "review"), "the question")

    # then the reviewer reads what `show` prints, and nothing was fetched
    assert question["subject"] == "Restore this plan?"
    assert f"    Digest           {site.digest(run_id)}" in question["body"]
    assert f"{file_name(run_id)}/plan.html" in question["body"]
    assert [text for text in webhook.texts() if f"the plan of {run_id} waits for review: http" in text]
    assert list(site.case.output_location.iterdir()) == []

    # when / then
    site.services.answer(run_id, "review", "Approve")
    assert site.services.wait(run_id) == "success", site.services.said()
    assert site.case.unrestored() == []


@pytest.mark.parametrize("answer", ["Reject", None], ids=["rejected", "timed out"])
def test_plan_that_is_not_approved_should_not_be_restored_and_the_run_fail(
    site: Site, webhook: Webhook, answer: str | None
) -> None:
    # given
    if site.services.airflow.is_2:
        pytest.skip("Airflow 2 cannot ask")
    run_id = site.trigger(auto_approve=False)
    wait_until(lambda: site.services.question(run_id, "review"), "the question")

    # when
    if answer:
        site.services.answer(run_id, "review", answer)

    # then
    assert site.services.wait(run_id) == "failed"
    assert list(site.case.output_location.iterdir()) == []
    states = {each.task_id: each.state for each in site.services.task_instances(run_id)}
    assert states["download_files"] == "upstream_failed"
    assert states["write_reports"] == "failed"
    (told,) = [text for text in webhook.texts() if f"{run_id} failed" in text]
    assert "nothing was restored: see what failed before, and whether the plan was approved" in told


def test_where_airflow_cannot_ask_a_second_dag_should_restore_the_plan_with_the_digest_that_was_reviewed(
    site: Site, webhook: Webhook
) -> None:
    # given
    if not site.services.airflow.is_2:
        pytest.skip("Airflow 3 asks")
    second = "s3_downloader_apply"
    elsewhere = site.case.folder / "elsewhere"
    elsewhere.mkdir()

    # when
    run_id = site.trigger(auto_approve=False, output_root=str(elsewhere))

    # then the run ends with the plan, and says what to do
    assert site.services.wait(run_id) == "success", site.services.said()
    states = {each.task_id: each.state for each in site.services.task_instances(run_id)}
    assert [states[task] for task in ("review", "download_files", "write_reports")] == ["skipped"] * 3
    digest = site.digest(run_id)
    assert f'to restore it, trigger {second} with {{"expect_digest": "{digest}"}}' in site.services.said()
    assert [text for text in webhook.texts() if f"the plan of {run_id} waits for review: http" in text]

    # when / then another digest restores nothing
    strange = site.services.trigger(second, expect_digest="0" * 64)
    assert site.services.wait(strange, second) == "failed"
    assert "has compiled a plan with the digest sha256:0000" in site.services.said()
    assert list(elsewhere.iterdir()) == []

    # when / then the digest restores that plan to where it said
    approved = site.services.trigger(second, expect_digest=digest, shards=2)
    assert site.services.wait(approved, second) == "success", site.services.said()
    assert len(site.results(approved)) == 2
    assert list(site.case.output_location.iterdir()) == []
    assert sorted(path.name for path in elsewhere.glob("PRID*")) == ["PRID001", "PRID002"]
    (report,) = (elsewhere / "PRID002").glob("_download_status_batch_*.txt")
    assert "Status: SUCCESS" in report.read_text(encoding="utf-8")
