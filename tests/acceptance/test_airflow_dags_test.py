"""The example DAG from end to end, run by `airflow dags test`: one process, no scheduler."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from airflow_environment import (
    DAG_FACTS,
    DAG_FILE,
    DAG_ID,
    VERSIONS,
    Airflow,
    aws_connection,
    kraken_plan_variables,
)
from apply_case import bruker, compile_plan, last_report, thermo
from catalog_server import Catalog
from cli import Cli
from conftest import MakeRestoreCase
from embedded_s3 import EmbeddedS3
from faulty_proxy import FaultyProxy
from network_faults import Answer, Fault
from restore_case import RestoreCase

from schemas.plan_source import load_plan

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.airflow


@pytest.fixture(scope="module", params=VERSIONS)
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Airflow:
    airflow = Airflow(version=request.param, home=tmp_path_factory.mktemp("airflow"))
    airflow.set_up()
    return airflow


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Airflow beside a catalog and S3, with raw files that can be restored."""

    airflow: Airflow
    case: RestoreCase
    folder: Path
    secret_key: str

    def test_run(self, *, expected: int = 0, **params: object) -> str:
        conf = {"raw_file_ids": ",".join(self.case.raw_file_ids), "auto_approve": True} | params
        said = self.airflow.run("airflow", "dags", "test", DAG_ID, "--conf", json.dumps(conf), expected=expected)
        assert self.secret_key not in said
        return said

    def results(self) -> list[Path]:
        return sorted(self.folder.rglob("*.results"))


@pytest.fixture
def site(
    installed: Airflow,
    s3_server: EmbeddedS3,
    faulty_proxy: FaultyProxy,
    catalog: Catalog,
    make_restore_case: MakeRestoreCase,
) -> Site:
    samples = (thermo(), bruker(), thermo("other.raw", project_id="PRID002"))
    case = make_restore_case(*samples, endpoint_url=faulty_proxy.endpoint_url)
    catalog.insert(case.documents)
    folder = case.folder / "plans"
    variables = kraken_plan_variables(folder, case.config_path)
    settings = {
        **installed.settings,
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(aws_connection(s3_server.read_only())),
        **{f"AIRFLOW_VAR_{name.upper()}": value for name, value in variables.items()},
        "KRAKEN_PLAN_CATALOG": catalog.uri,
        "KRAKEN_PLAN_APPLY_RETRIES": "0",  # what a fault does to a try must not be mended within it
    }
    return Site(
        airflow=replace(installed, settings=settings),
        case=case,
        folder=folder,
        secret_key=s3_server.read_only_secret_key,
    )


@pytest.mark.parametrize("shards", [1, 4])
def test_run_should_restore_the_reviewed_plan_and_write_one_report_per_destination(
    site: Site, run_cli: Cli, shards: int
) -> None:
    # given
    digest = load_plan(str(compile_plan(run_cli, site.case))).plan_digest

    # when
    site.test_run(shards=shards, expect_digest=digest, auto_approve=False)

    # then
    assert site.case.unrestored() == []
    assert len(site.results()) == shards
    for project_id in ("PRID001", "PRID002"):
        assert len(site.case.reports(project_id)) == 1
        assert "Status: SUCCESS" in last_report(site.case, project_id)


def test_run_should_fail_at_once_naming_the_reports_where_no_retry_can_help(site: Site, s3: "S3Client") -> None:
    # given
    s3.delete_object(Bucket=site.case.bucket(), Key="sample.raw")

    # when
    said = site.test_run(raw_file_ids=",".join([*site.case.raw_file_ids, "no_such_file"]), shards=4, expected=1)

    # then
    assert site.case.unrestored() == ["PRID001/sample.raw"]
    assert {path.name.split(".")[-2] for path in site.results()} == {"try-1"}
    assert "sample.raw: FAILURE - S3 key not found" in last_report(site.case)
    (unresolved,) = site.case.output_location.glob("_download_status_batch_*.txt")
    assert "ERROR: RawFile not found in the catalog" in unresolved.read_text(encoding="utf-8")
    reports = [*site.case.reports("PRID001"), *site.case.reports("PRID002"), unresolved]
    assert len(reports) == 3
    assert f"not every file is restored and reported, see the reports: {' '.join(map(str, reports))}" in said


def test_retry_should_restore_what_a_transient_fault_left_out(site: Site, faulty_proxy: FaultyProxy) -> None:
    # given
    faulty_proxy.add(Fault(action=Answer(status=503), method="GET", key="other.raw", times=1))

    # when
    site.test_run()

    # then
    assert site.case.unrestored() == []
    first, second = site.results()
    assert '"failure_kind": "network"' in first.read_text(encoding="utf-8")
    assert '"outcome": "failed"' not in second.read_text(encoding="utf-8")
    assert "Status: SUCCESS" in last_report(site.case, "PRID002")


def test_run_should_download_nothing_of_a_plan_with_another_digest(site: Site, faulty_proxy: FaultyProxy) -> None:
    # when
    said = site.test_run(expect_digest="0" * 64, expected=1)

    # then
    assert "review it first" in said
    assert faulty_proxy.log == ()
    assert list(site.case.output_location.iterdir()) == []


def test_run_should_fail_and_say_so_where_nothing_could_be_compiled(site: Site) -> None:
    # given
    site.case.config_path.write_text("general: {}", encoding="utf-8")

    # when
    said = site.test_run(expected=1)

    # then
    assert "kraken-plan compile refused" in said
    assert "there is no plan, so nothing was restored" in said
    assert site.results() == []


def test_run_should_select_and_restore_as_the_form_says(site: Site, faulty_proxy: FaultyProxy) -> None:
    # given a corrupt file, in a folder that is not the site's
    elsewhere = site.folder.with_name("elsewhere")
    corrupt = elsewhere / "PRID001" / "sample.raw"
    corrupt.parent.mkdir(parents=True)
    corrupt.write_bytes(b"corrupt")

    # when
    said = site.test_run(
        raw_file_ids=None,
        project="PRID001",
        since="2020-01-01",
        until="2100-01-01",
        match="*.raw",
        output_root=str(elsewhere),
        max_bandwidth="50M",
        on_corrupt="quarantine",
        recover_versions=True,
    )

    # then
    assert corrupt.with_name("sample.raw.corrupted").read_bytes() == b"corrupt"
    assert corrupt.stat().st_size > len(b"corrupt")
    assert faulty_proxy.requests("GET", "sample.raw")
    assert faulty_proxy.requests("GET", "other.raw") == []
    assert list(site.case.output_location.iterdir()) == []
    (report,) = corrupt.parent.glob("_download_status_batch_*.txt")
    assert "Status: SUCCESS" in report.read_text(encoding="utf-8")
    (page,) = site.folder.rglob("results.html")
    assert f"The results as a page: {page}" in said


def test_queue_and_review_should_be_settings_of_the_site(installed: Airflow) -> None:
    # given
    settings = {"KRAKEN_PLAN_DAG_QUEUE": "kraken_queue_s3_downloader", "KRAKEN_PLAN_DAG_AUTO_APPROVE": "true"}
    airflow = replace(installed, settings={**installed.settings, **settings})

    # when
    facts = json.loads(airflow.run("python", DAG_FACTS, DAG_FILE).splitlines()[-1])["dags"][DAG_ID]

    # then
    assert {task["queue"] for task in facts["tasks"].values()} == {"kraken_queue_s3_downloader"}
    assert facts["params"]["auto_approve"]["default"] is True


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("AIRFLOW_VAR_KRAKEN_PLAN_PROGRAM", "/nowhere/kraken-plan", "this worker has no program /nowhere/kraken-plan"),
        ("AIRFLOW_CONN_AWS_DEFAULT", '{"conn_type": "aws", "extra": {"role_arn": "arn"}}', "that profile's name into"),
        ("AIRFLOW_CONN_AWS_DEFAULT", None, "there is no connection aws_default"),
    ],
    ids=["program", "role", "connection"],
)
def test_run_should_say_what_of_its_settings_is_wrong(site: Site, variable: str, value: str | None, words: str) -> None:
    # given
    settings = {name: setting for name, setting in site.airflow.settings.items() if name != variable}
    if value is not None:
        settings[variable] = value

    # when
    said = replace(site, airflow=replace(site.airflow, settings=settings)).test_run(expected=1)

    # then
    assert words in said
    assert "nothing was restored" in said
    assert list(site.case.output_location.iterdir()) == []
