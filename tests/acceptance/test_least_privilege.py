"""The rights that examples/ grants suffice, and are no more than reading."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from apply_case import bruker, compile_plan, thermo
from archiving_s3 import ArchivingS3, archived_case
from cli import Cli
from conftest import MakeRestoreCase
from embedded_s3 import EmbeddedS3
from faulty_proxy import FaultyProxy
from guarded_catalog import guarded_catalog
from network_faults import Answer, Fault, Request
from plan_samples import catalog_document
from pymongo import MongoClient
from pymongo.errors import OperationFailure
from restore_case import raw_file
from sample_data import MIB, made_up_bytes
from wire_tap import WireTap

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

EXAMPLES = Path(__file__).parents[2] / "examples"
PASSWORD = "a p@ss/wörd:%25"


# --- S3


def statements(name: str = "iam-policy.json") -> list[dict[str, str]]:
    policy = json.loads((EXAMPLES / name).read_bytes())
    assert policy.keys() == {"Version", "Statement"}
    assert policy["Version"] == "2012-10-17"
    found: list[dict[str, str]] = policy["Statement"]
    return found


def test_the_iam_policy_should_grant_reading_and_nothing_else() -> None:
    assert {entry["Action"] for entry in statements()} == {
        "s3:GetObject",
        "s3:ListBucket",
        "s3:ListBucketVersions",
        "s3:GetObjectVersion",
        "s3:GetObjectAttributes",
        "s3:GetObjectVersionAttributes",
    }


def test_the_iam_policy_for_thawing_should_add_one_permission() -> None:
    assert [entry["Action"] for entry in statements("iam-policy-thaw.json")] == ["s3:RestoreObject"]


@pytest.mark.parametrize("name", ["iam-policy.json", "iam-policy-thaw.json"])
def test_the_iam_policies_should_name_buckets_or_objects_as_the_action_needs_it(name: str) -> None:
    assert statements(name)
    assert all(entry.keys() == {"Sid", "Effect", "Action", "Resource"} for entry in statements(name))
    assert all(entry["Sid"].isalnum() for entry in statements(name))  # all that IAM takes
    assert {entry["Effect"] for entry in statements(name)} == {"Allow"}
    for entry in statements(name):
        assert entry["Resource"].startswith("arn:aws:s3:::alphakraken-")
        assert entry["Resource"].endswith("/*") is ("Object" in entry["Action"])


def test_an_identity_that_may_only_read_should_restore_a_plan(
    run_cli: Cli, make_restore_case: MakeRestoreCase, s3_server: EmbeddedS3, s3: "S3Client", faulty_proxy: FaultyProxy
) -> None:
    # given a plan with an older version of one object, pinned, one that was deleted since, and two corrupt local files,
    # of which one is pinned
    content = made_up_bytes("parts", 33 * MIB)
    parts = [raw_file(name, {name: (content, 20)}) for name in ("parts.raw", "pinned-parts.raw")]
    case = make_restore_case(thermo(), bruker(), *parts, endpoint_url=faulty_proxy.endpoint_url)
    case.destination().mkdir()
    for corrupt in parts:
        (case.destination() / corrupt.raw_file_id).write_bytes(bytes(33 * MIB))
    document = json.loads(compile_plan(run_cli, case).read_bytes())
    del document["plan_digest"]
    bucket = case.bucket()
    for name in ("sample.raw", "pinned-parts.raw"):
        (pinned,) = document["raw_files"][name]["files"]
        pinned["version_id"] = s3.head_object(Bucket=bucket, Key=name)["VersionId"]
    s3.put_object(Bucket=bucket, Key="sample.raw", Body=b"newer")
    s3.delete_object(Bucket=bucket, Key=next(iter(case.raw_files[1].contents)))
    # when
    environment = {**s3_server.read_only().environment}
    result = run_cli("apply", "-", "--recover-versions", stdin=json.dumps(document), environment=environment)
    # then every request is one that the policy's actions stand for
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert {needed_action(exchange.request) for exchange in faulty_proxy.log} == {
        entry["Action"] for entry in statements()
    }


def test_thawing_should_need_what_both_policies_grant_and_no_more(
    run_cli: Cli, archive: ArchivingS3, tmp_path: Path
) -> None:
    # given an archived object, and an archived older version of another one
    case = archived_case(archive, tmp_path / "case", *(thermo(f"{name}.raw", size_bytes=100) for name in "ab"))
    plan = compile_plan(run_cli, case)
    for name in ("a.raw", "b.raw"):
        archive.archive(case.bucket(), name, "GLACIER")
    archive.client.delete_object(Bucket=case.bucket(), Key="b.raw")

    # when
    with FaultyProxy(archive.port) as proxy:
        # moto knows of no restore of an older version
        proxy.add(Fault(action=Answer(status=202, body=b""), method="POST", key="b.raw"))
        result = run_cli("thaw", plan, "--recover-versions", "--yes", "--endpoint-url", proxy.endpoint_url)

    # then
    assert result.exit_code == 0, result.stderr
    policies = [*statements(), *statements("iam-policy-thaw.json")]
    assert {needed_action(exchange.request) for exchange in proxy.log} <= {entry["Action"] for entry in policies}
    asked = {exchange.request.path.rpartition("/")[2]: exchange.request.query for exchange in proxy.requests("POST")}
    assert asked.keys() == {"a.raw", "b.raw"}
    assert "versionId=" in asked["b.raw"]


def needed_action(request: Request) -> str:
    """The IAM action that a request needs: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations.html."""
    key = request.path.strip("/").partition("/")[2]
    match request.method, key, request.query:
        case "HEAD" | "GET", "", query if query in {"", "x-id=ListObjectsV2"} or "list-type=2" in query:
            return "s3:ListBucket"
        case "GET", "", query if query.partition("&")[0] in {"versions", "versions="}:
            return "s3:ListBucketVersions"
        case "GET", _, query if key and query.partition("&")[0] in {"attributes", "attributes="}:
            return "s3:GetObjectVersionAttributes" if "versionId=" in query else "s3:GetObjectAttributes"
        case "HEAD" | "GET", _, query if key:
            return "s3:GetObjectVersion" if "versionId=" in query else "s3:GetObject"
        case "POST", _, query if key and query.partition("&")[0] in {"restore", "restore="}:
            return "s3:RestoreObject"
    return f"none of the policy's: {request}"


# --- the catalog


def example_user() -> dict[str, Any]:
    script = (EXAMPLES / "mongo-role.js").read_text(encoding="utf-8")
    argument = script.partition('getSiblingDB("krakendb").createUser(')[2].rpartition(")")[0]
    user: dict[str, Any] = json.loads(argument.replace("passwordPrompt()", json.dumps(PASSWORD)))
    return user


@pytest.fixture(scope="module")
def catalog_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server with the example's user, whose catalog has one raw file."""
    folder = tmp_path_factory.mktemp("guarded")
    with guarded_catalog(folder, example_user(), [catalog_document("a")]) as port:
        yield port


def credentials(port: int, password: str) -> dict[str, str | None]:
    return {"MONGO_HOST": "127.0.0.1", "MONGO_PORT": str(port), "MONGO_USER": "kraken_ro", "MONGO_PASSWORD": password}


def test_the_example_user_should_be_able_to_compile_and_be_sent_reads_only(run_cli: Cli, catalog_port: int) -> None:
    with WireTap(catalog_port) as tap:
        variables = credentials(tap.port, PASSWORD)
        result = run_cli("compile", "a", "--output-root", "/out", "-vv", environment=variables)
        names = {name.lower() for name in tap.names}
    assert result.exit_code == 0, result.stderr
    assert list(json.loads(result.stdout)["raw_files"]) == ["a"]
    assert {"saslcontinue", "find"} <= names  # hello held the rest of the authentication
    assert names <= {"hello", "ismaster", "saslstart", "saslcontinue", "find", "getmore", "killcursors", "endsessions"}


def test_doctor_should_see_that_the_example_user_may_only_read(run_cli: Cli, catalog_port: int) -> None:
    with WireTap(catalog_port) as tap:
        result = run_cli("doctor", "--json", environment=credentials(tap.port, PASSWORD))
        names = {name.lower() for name in tap.names}
    (role,) = (one for one in json.loads(result.stdout)["findings"] if one["topic"] == "role")
    assert (role["state"], role["found"]) == ("right", "kraken_ro may only read it")
    reading = {"hello", "ismaster", "saslstart", "saslcontinue", "find", "getmore", "killcursors", "endsessions"}
    assert names - reading == {"buildinfo", "connectionstatus"}


def test_the_example_user_should_not_be_able_to_write(catalog_port: int) -> None:
    client = MongoClient[dict[str, object]](
        "127.0.0.1", catalog_port, username="kraken_ro", password=PASSWORD, authSource="krakendb"
    )
    with client, pytest.raises(OperationFailure) as refused:
        client["krakendb"]["raw_file"].insert_one({"_id": "new"})
    assert refused.value.code == 13


def test_a_wrong_password_should_be_one_clear_line_without_it(run_cli: Cli, catalog_port: int) -> None:
    (run_cli.folder / "plan.json").write_bytes(b'{"format_version": "old"}')
    arguments = ["compile", "a", "--output-root", "/out", "-o", "plan.json"]
    result = run_cli(*arguments, environment=credentials(catalog_port, "WRONGPASSWORD"))
    assert result.exit_code == 2
    assert "authentication failed: check user, password and authSource" in result.stderr
    assert result.stderr.count("\n") == 1
    assert "WRONGPASSWORD" in run_cli.secrets
    assert (run_cli.folder / "plan.json").read_bytes() == b'{"format_version": "old"}'
