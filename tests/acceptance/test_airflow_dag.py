"""The example DAG as each Airflow sees it once it has imported the file."""

import json

import pytest
from airflow_environment import DAG_FILE, ROOT, VERSIONS, Airflow

from schemas.results import FailureKind

FACTS = ROOT / "tests" / "clusters" / "airflow_dag_facts.py"
QUEUE = "kraken_queue_s3_download"


@pytest.fixture(scope="module", params=VERSIONS)
def facts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What a process of this Airflow finds in the file."""
    airflow = Airflow(version=request.param, home=tmp_path_factory.mktemp("airflow"))
    printed = airflow.run("python", FACTS, DAG_FILE)
    found = json.loads(printed.splitlines()[-1])
    assert isinstance(found, dict)
    return found


def test_dag_should_import_without_warnings_and_with_every_name_and_limit_that_was_agreed(
    facts: dict[str, object],
) -> None:
    assert {name: fact for name, fact in facts.items() if name != "final_failures"} == {
        "import_errors": {},
        "warnings": [],
        "dag_id": "s3_downloader",
        "timetable": "NullTimetable",
        "catchup": False,
        "tags": ["batch", "download", "manual", "restoration", "s3"],
        "documented": True,
        "params": {
            "raw_file_ids": {
                "type": "string",
                "minLength": 3,
                "title": "Raw file ids",
                "described": True,
                "examples": ["20250115_sample.raw", "20250115_sample.d,20250116_sample.raw"],
                "default": None,
            },
            "shards": {
                "type": "integer",
                "minimum": 1,
                "maximum": 64,
                "title": "Shards",
                "described": True,
                "default": 1,
            },
            "expect_digest": {
                "type": ["null", "string"],
                "pattern": "^(sha256:)?[0-9a-f]{64}$",
                "title": "Expected digest",
                "described": True,
                "default": None,
            },
        },
        "tasks": {
            "compile_plan": _task(downstream=["download_files"]),
            "download_files": _task(
                downstream=["write_reports"],
                mapped=True,
                pool="s3_download_pool",
                retries=2,
                execution_timeout_seconds=12 * 3600.0,
            ),
            "write_reports": _task(downstream=[], trigger_rule="all_done"),
        },
    }


def test_dag_should_name_failures_as_the_results_file_does(facts: dict[str, object]) -> None:
    final = facts["final_failures"]

    assert isinstance(final, list)
    assert set(final) < {kind.name.lower() for kind in FailureKind}


def test_pools_file_should_define_the_pool_of_the_dag() -> None:
    pools = json.loads((DAG_FILE.parent / "pools.json").read_bytes())

    assert list(pools) == ["s3_download_pool"]
    assert pools["s3_download_pool"]["slots"] >= 1


def _task(**different: object) -> dict[str, object]:
    return {
        "mapped": False,
        "pool": "default_pool",
        "queue": QUEUE,
        "retries": 0,
        "retry_delay_seconds": 300.0,
        "execution_timeout_seconds": None,
        "trigger_rule": "all_success",
        **different,
    }
