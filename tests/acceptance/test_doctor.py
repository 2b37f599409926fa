"""`kraken-plan doctor`: what is right, what is wrong, and what to do about it."""

import json
from pathlib import Path

import pytest
from apply_case import compile_plan, thermo
from cli import Cli, CliResult
from conftest import MakeRestoreCase
from file_systems import mounted_folding
from needs import needs_compiler, needs_root
from preloaded import preloaded
from restore_case import RestoreCase

from schemas.plan_file import seal_plan

FAILING = """
#define _GNU_SOURCE
#include <errno.h>
#include <sys/file.h>

int flock(int descriptor, int operation) { errno = ENOLCK; return -1; }
"""


@pytest.fixture
def case(make_restore_case: MakeRestoreCase) -> RestoreCase:
    return make_restore_case(thermo(size_bytes=1000), thermo("other.raw", "PRID002", size_bytes=1000))


def findings(result: CliResult) -> dict[str, list[dict[str, str]]]:
    """What was found, by topic."""
    by_topic: dict[str, list[dict[str, str]]] = {}
    for finding in json.loads(result.stdout)["findings"]:
        by_topic.setdefault(finding["topic"], []).append(finding)
    return by_topic


def wrong(result: CliResult) -> dict[str, list[str]]:
    """What is wrong, by topic."""
    found = {
        topic: [one["found"] for one in several if one["state"] == "wrong"]
        for topic, several in findings(result).items()
    }
    return {topic: words for topic, words in found.items() if words}


def test_doctor_should_find_nothing_wrong_where_nothing_is(run_cli: Cli, case: RestoreCase) -> None:
    plan = compile_plan(run_cli, case)
    named: list[str | Path] = ["--config", case.config_path, "--catalog", case.export_path]

    result = run_cli("doctor", plan, *named, "--json", environment={"KRAKEN_PLAN_APPLY_JOBS": "3"})

    assert result.exit_code == 0, result.stdout
    assert wrong(result) == {}
    found = findings(result)
    assert {one["found"] for one in found["bucket"]} == {f"{bucket} is there" for bucket in case.buckets.values()}
    assert len(found["rename"]) == len(case.buckets)  # each destination
    assert {found[topic][0]["state"] for topic in ("clock", "endpoint", "catalog", "fsync", "names")} == {"right"}
    (jobs,) = (one for one in json.loads(result.stdout)["settings"] if one["option"] == "--jobs")
    assert (jobs["command"], jobs["value"], jobs["origin"]) == ("apply", "3", "KRAKEN_PLAN_APPLY_JOBS")
    assert "setting" in found
    assert list(case.output_location.iterdir()) == []
    read = run_cli("doctor", *named)  # for people, without a plan
    assert read.exit_code == 0
    assert "\nright    bucket       alphakraken-prid00" in read.stdout
    assert "apply --jobs" not in read.stdout
    assert read.stderr.startswith("nothing is wrong")


def test_doctor_should_name_everything_that_is_wrong_at_once(run_cli: Cli, case: RestoreCase) -> None:
    plan = compile_plan(run_cli, case)
    document = json.loads(plan.read_bytes())
    document["raw_files"]["sample.raw"]["bucket_name"] = "alphakraken-nowhere"
    plan.write_bytes(seal_plan(json.dumps(document).encode(), "plan.json"))
    site = case.folder / "alphakraken.other.yaml"
    site.write_text(f"locations: {{output: {case.folder / 'elsewhere'}}}\n", encoding="utf-8")
    (case.output_location / "PRID001").write_text("in the way", encoding="utf-8")

    result = run_cli("doctor", plan, "--config", site, "--catalog", "none.jsonl", "--json")

    assert result.exit_code == 1
    found = wrong(result)
    assert found.keys() == {"plan", "catalog", "bucket", "destination"}
    assert "this site allows only" in found["plan"][0]
    assert "none.jsonl: there is no such file" in found["catalog"][0]
    assert "alphakraken-nowhere" in found["bucket"][0]
    assert "a file stands in the way" in found["destination"][0]


@pytest.mark.parametrize(
    ("environment", "options", "topic", "words"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "n0tTheS3cret"}, [], "endpoint", "answers, and refuses the credentials: "),
        ({"AWS_ACCESS_KEY_ID": None}, [], "credentials", "no AWS credentials found"),
        ({}, ["--endpoint-url", "http://127.0.0.1:1"], "endpoint", "http://127.0.0.1:1, region eu-central-1: Network"),
        ({}, ["--output-root", "/nonexistent"], "destination", "does not exist: is its file system mounted?"),
        ({"MONGO_HOST": "127.0.0.1", "MONGO_PORT": "1"}, [], "catalog", "cannot be reached: connection refused"),
    ],
)
def test_doctor_should_say_what_is_wrong(  # noqa: PLR0917
    run_cli: Cli,
    case: RestoreCase,
    environment: dict[str, str | None],
    options: list[str],
    topic: str,
    words: str,
) -> None:
    result = run_cli("doctor", "--config", case.config_path, *options, "--json", environment=environment)

    assert result.exit_code == 1
    assert wrong(result).keys() == {topic}
    assert words in wrong(result)[topic][0]


def test_doctor_should_be_refused_with_a_plan_or_a_yaml_that_cannot_be_read(run_cli: Cli, tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text("locations: {output: /x}\nkraken_plan: {optons: 1}\n", encoding="utf-8")

    refused = [run_cli("doctor", "none.json"), run_cli("doctor", "--config", site)]

    assert [one.exit_code for one in refused] == [2, 2]
    assert "there is no such plan file" in refused[0].stderr
    assert "kraken_plan.optons is not a setting: did you mean options?" in refused[1].stderr


@needs_compiler
def test_doctor_should_warn_where_files_cannot_be_locked(run_cli: Cli, case: RestoreCase) -> None:
    environment = {"LD_PRELOAD": str(preloaded(FAILING, case.folder))}

    result = run_cli("doctor", "--config", case.config_path, "--json", environment=environment)

    assert result.exit_code == 0, result.stdout
    (locks,) = findings(result)["locks"]
    assert locks["state"] == "warning"
    assert "files cannot be locked (No locks available)" in locks["found"]


@needs_root
def test_doctor_should_warn_where_names_are_folded(run_cli: Cli, case: RestoreCase) -> None:
    with mounted_folding(case.output_location):
        result = run_cli("doctor", "--config", case.config_path, "--json")

    assert result.exit_code == 0, result.stdout
    (names,) = findings(result)["names"]
    assert names["state"] == "warning"
    assert "upper and lower case" in names["found"]
