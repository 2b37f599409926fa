"""The example DAG as each Airflow sees it once it has imported the file."""

import json

import pytest
from airflow_environment import DAG_FACTS, DAG_FILE, VERSIONS, Airflow

from schemas.results import FailureKind

QUEUE = "kraken_queue_s3_download"
DIGEST = "^(sha256:)?[0-9a-f]{64}$"
TEXT = {"type": ["null", "string"]}


def described(default: object) -> dict[str, object]:
    return {"described": True, "default": default}


SELECTION = {
    "raw_file_ids": {
        **TEXT,
        "minLength": 3,
        "title": "Raw file ids",
        "examples": ["20250115_sample.raw", "20250115_sample.d,20250116_sample.raw"],
        **described(None),
    },
    "project": {**TEXT, "title": "Project", "examples": ["PRID001"], **described(None)},
    "since": {**TEXT, "format": "date", "title": "Since", **described(None)},
    "until": {**TEXT, "format": "date", "title": "Until", **described(None)},
    "match": {**TEXT, "title": "Match", "examples": ["*_hela_*"], **described(None)},
    "output_root": {**TEXT, "pattern": "^/", "title": "Output root", **described(None)},
}
MANNER = {
    "shards": {"type": "integer", "minimum": 1, "maximum": 64, "title": "Shards", **described(1)},
    "max_bandwidth": {**TEXT, "pattern": "^[1-9][0-9]*[KMG]?$", "title": "Bandwidth of a shard", **described(None)},
    "on_corrupt": {
        "type": "string",
        "enum": ["replace", "quarantine"],
        "title": "Corrupt local files",
        **described("replace"),
    },
    "recover_versions": {"type": "boolean", "title": "Recover older versions", **described(default=False)},
}
REVIEWED = {
    "expect_digest": {**TEXT, "pattern": DIGEST, "title": "Expected digest", **described(None)},
    "auto_approve": {"type": "boolean", "title": "Restore without a review", **described(default=False)},
}


def _dag(**different: object) -> dict[str, object]:
    return {
        "timetable": "NullTimetable",
        "catchup": False,
        "tags": ["batch", "download", "manual", "restoration", "s3"],
        "documented": True,
        **different,
    }


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


DOWNLOAD = {
    "download_files": _task(
        downstream=["write_reports"],
        mapped=True,
        pool="s3_download_pool",
        retries=2,
        execution_timeout_seconds=12 * 3600.0,
    ),
    "write_reports": _task(downstream=[], trigger_rule="none_skipped"),
}


@pytest.fixture(scope="module", params=VERSIONS)
def facts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What a process of this Airflow finds in the file."""
    airflow = Airflow(version=request.param, home=tmp_path_factory.mktemp("airflow"))
    printed = airflow.run("python", DAG_FACTS, DAG_FILE)
    found = json.loads(printed.splitlines()[-1])
    assert isinstance(found, dict)
    return {**found, "is_2": airflow.is_2}


def test_dag_should_import_without_warnings_and_with_every_name_and_limit_that_was_agreed(
    facts: dict[str, object],
) -> None:
    downloader = _dag(
        params={**SELECTION, **MANNER, **REVIEWED},
        tasks={
            "compile_plan": _task(downstream=["download_files", "review"]),
            "review": _task(downstream=["download_files"]),
            **DOWNLOAD,
        },
    )
    digest_alone = {"expect_digest": {"type": "string", "pattern": DIGEST, "title": "Digest", **described(None)}}
    apply = _dag(
        params={**digest_alone, **MANNER}, tasks={"find_plan": _task(downstream=["download_files"]), **DOWNLOAD}
    )

    assert facts["import_errors"] == {}
    assert facts["warnings"] == []
    # Airflow 3 can ask for an approval; in Airflow 2 a second DAG takes the digest of what was approved
    assert facts["dags"] == {"s3_downloader": downloader, **({"s3_downloader_apply": apply} if facts["is_2"] else {})}


def test_dag_should_name_failures_as_the_results_file_does(facts: dict[str, object]) -> None:
    final = facts["final_failures"]

    assert isinstance(final, list)
    assert set(final) < {kind.name.lower() for kind in FailureKind}


def test_pools_file_should_define_the_pool_of_the_dag() -> None:
    pools = json.loads((DAG_FILE.parent / "pools.json").read_bytes())

    assert list(pools) == ["s3_download_pool"]
    assert pools["s3_download_pool"]["slots"] >= 1
