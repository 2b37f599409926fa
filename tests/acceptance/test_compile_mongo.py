"""`kraken-plan compile` on a MongoDB: only reads, shows no password, and leaves an earlier plan alone if it fails."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bson import json_util
from bson.datetime_ms import DatetimeMS
from catalog_server import Catalog
from cli import Cli, CliResult
from plan_samples import catalog_document
from sample_data import write_export
from scripted_catalog import ScriptedCatalog
from temporary_process import free_ports
from wire_tap import READ_ONLY, Command, WireTap

from planner.catalog import FIELDS, NAME_FIELDS

PASSWORD = "hunter2-%40-secret"


class BreakingTap(WireTap):
    """Breaks the connection when a command of this name is sent."""

    def __init__(self, port: int, breaks_on: str) -> None:
        self.breaks_on = breaks_on
        super().__init__(port)

    def record(self, command: Command) -> None:
        super().record(command)
        if command.name == self.breaks_on:
            raise ConnectionResetError(self.breaks_on)


@pytest.fixture
def old_plan(run_cli: Cli) -> Path:
    path = run_cli.folder / "plan.json"
    path.write_bytes(b'{"format_version": "old"}')
    return path


def refused(result: CliResult, old_plan: Path, words: str) -> None:
    """Exit code 2, one line that says why and shows no password, the old plan untouched."""
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert PASSWORD not in result.stderr + result.stdout
    assert "hunter2" not in result.stderr + result.stdout
    assert old_plan.read_bytes() == b'{"format_version": "old"}'
    assert [path.name for path in old_plan.parent.iterdir()] == ["plan.json"]


def test_a_mongodb_should_give_the_same_digest_as_its_export(run_cli: Cli, catalog: Catalog) -> None:
    documents = [catalog_document(raw_file_id) for raw_file_id in "abc"]
    catalog.insert(documents)
    write_export(run_cli.folder / "export.jsonl", documents)
    digests = set()
    for address in (catalog.uri, "export.jsonl"):
        result = run_cli("compile", "c", "a", "none", "--catalog", address, "--output-root", "/out")
        assert result.exit_code == 1, result.stderr
        digests.add(json.loads(result.stdout)["plan_digest"])
    assert len(digests) == 1


def test_arrays_and_far_off_dates_should_cost_no_other_raw_file_of_a_search(run_cli: Cli) -> None:
    # given
    documents = [
        catalog_document("a", created_at=datetime(2025, 1, 31, tzinfo=UTC)),
        catalog_document("multi", project_id=["PRID001", "P2"], created_at=[datetime(2025, 1, 31, tzinfo=UTC)]),
        catalog_document("far", created_at=DatetimeMS(253402300800000)),
    ]
    answer = {"ok": 1, "cursor": {"id": 0, "ns": "krakendb.raw_file", "firstBatch": documents}}
    export = "\n".join(json_util.dumps(document) for document in documents)
    (run_cli.folder / "export.jsonl").write_text(export)
    search = ("--project", "PRID001", "--since", "2025-01-01T00:00:00.0005", "--output-root", "/out")
    # when
    with ScriptedCatalog(lambda _: answer) as server:
        results = [run_cli("compile", *search, "--catalog", address) for address in (server.uri, "export.jsonl")]
    # then
    assert [result.exit_code for result in results] == [1, 1], [result.stderr for result in results]
    plan, same = (json.loads(result.stdout) for result in results)
    assert plan["plan_digest"] == same["plan_digest"]
    errors = {raw_file_id: raw_file["error"] for raw_file_id, raw_file in plan["raw_files"].items()}
    malformed = "RawFile is malformed: project_id is ['PRID001', 'P2'], expected text"
    assert errors == {"a": None, "far": None, "multi": malformed}


def test_a_project_of_arrays_alone_should_be_found(run_cli: Cli, catalog: Catalog) -> None:
    catalog.insert([catalog_document("multi", project_id=["PRID001", "P2"])])
    result = run_cli("compile", "--project", "P2", "--catalog", catalog.uri, "--output-root", "/out")
    assert "project_id is ['PRID001', 'P2'], expected text" in result.stderr


def test_no_write_command_should_ever_be_sent(run_cli: Cli, catalog: Catalog) -> None:
    # given
    catalog.insert([catalog_document(f"f{number:04}") for number in range(1500)])
    (run_cli.folder / "ids.txt").write_text("\n".join(f"f{number:04}" for number in range(2500)))
    # when
    with WireTap(catalog.port) as tap:
        by_ids = run_cli("compile", "--ids-file", "ids.txt", "--catalog", tap.uri, "--output-root", "/out")
        by_project = run_cli("compile", "--project", "PRID001", "--catalog", tap.uri, "--output-root", "/out")
        commands = tap.commands
    # then
    assert (by_ids.exit_code, by_project.exit_code) == (1, 0)
    assert len(json.loads(by_project.stdout)["raw_files"]) == 1500
    assert {command.name for command in commands} <= READ_ONLY
    finds = [command.document for command in commands if command.name == "find"]
    assert len(finds) == 5  # three times up to 1,000 ids, what is near to unknown ones, and one project
    projections = [set(command["projection"]) for command in finds]  # type: ignore[call-overload]  # a document
    assert projections == [{*FIELDS}] * 3 + [{*NAME_FIELDS}, {*FIELDS}]


def test_alphakrakens_own_variables_should_name_the_catalog(run_cli: Cli, catalog: Catalog) -> None:
    catalog.insert([catalog_document("a")])
    variables = {"MONGO_HOST": "127.0.0.1", "MONGO_PORT": str(catalog.port), "AWS_ENDPOINT_URL": None}
    result = run_cli("compile", "a", "--output-root", "/out", environment=variables)
    assert result.exit_code == 0, result.stderr
    origin = json.loads(result.stdout)["compiled_from"]
    assert origin == {"catalog": f"mongodb://127.0.0.1:{catalog.port}/krakendb.raw_file", "config": None}


def test_the_variable_of_the_catalog_should_go_before_alphakrakens(run_cli: Cli, catalog: Catalog) -> None:
    catalog.insert([catalog_document("a")])
    variables = {"MONGO_HOST": "no-such-host.invalid", "KRAKEN_PLAN_CATALOG": catalog.uri}
    assert run_cli("compile", "a", "--output-root", "/out", environment=variables).exit_code == 0


def test_a_catalog_that_is_down_should_be_refused_without_the_password(run_cli: Cli, old_plan: Path) -> None:
    (port,) = free_ports(1)
    uri = f"mongodb://kraken:{PASSWORD}@127.0.0.1:{port}/krakendb?serverSelectionTimeoutMS=300"
    words = f"catalog mongodb://127.0.0.1:{port}/krakendb.raw_file: cannot be reached: connection refused"
    arguments = ["compile", "a", "--output-root", "/out", "-o", "plan.json"]
    refused(run_cli(*arguments, "--catalog", uri), old_plan, words)
    refused(run_cli(*arguments, environment={"KRAKEN_PLAN_CATALOG": uri}), old_plan, words)
    assert "hunter2" not in run_cli(*arguments, "-vv", "--catalog", uri).stderr


def test_a_dead_host_of_the_variables_should_be_refused_within_half_a_minute(run_cli: Cli, old_plan: Path) -> None:
    (port,) = free_ports(1)
    variables = {"MONGO_HOST": "127.0.0.1", "MONGO_PORT": str(port), "MONGO_USER": "kraken", "MONGO_PASSWORD": PASSWORD}
    result = run_cli(
        "compile", "a", "--output-root", "/out", "-o", "plan.json", environment=variables, timeout_seconds=30
    )
    refused(result, old_plan, "connection refused")


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        (f"mongodb://kraken:{PASSWORD}/x@db", "the catalog's MongoDB URI is malformed"),
        (
            f"mongodb://kraken:{PASSWORD}@db/?tls=maybe",
            "the catalog's MongoDB URI has options that are unknown or invalid",
        ),
    ],
)
def test_a_malformed_uri_should_be_refused_without_showing_it(
    run_cli: Cli, old_plan: Path, uri: str, words: str
) -> None:
    """An option that pymongo would only warn of is refused too: without tls=true the password would go in the clear."""
    result = run_cli("compile", "a", "--output-root", "/out", "-o", "plan.json", "--catalog", uri)
    refused(result, old_plan, words)


@pytest.mark.parametrize("breaks_on", ["find", "getMore"])
def test_a_catalog_that_breaks_while_it_is_read_should_be_refused(
    run_cli: Cli, catalog: Catalog, old_plan: Path, breaks_on: str
) -> None:
    catalog.insert([catalog_document(f"f{number:04}") for number in range(500)])
    with BreakingTap(catalog.port, breaks_on) as tap:
        result = run_cli(
            "compile", "--project", "PRID001", "--catalog", tap.uri, "--output-root", "/out", "-o", "plan.json"
        )
        assert breaks_on in tap.names
    refused(result, old_plan, "cannot be reached: the connection broke")
