"""Surroundings that are closed, full, scarce or wrong: streams, results, disks, descriptors, credentials, addresses."""

import json
import re
from typing import TYPE_CHECKING

import pytest
from apply_case import assert_failed, compile_plan, last_report, left_staged, thermo
from cli import Cli, shell
from conftest import MakeRestoreCase
from file_systems import mounted_tmpfs, with_files_of_at_most
from needs import needs_root
from raw_server import RawServer
from restore_case import raw_file
from sample_data import RawFileSample, made_up_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_s3 import S3Client


def many_small(count: int) -> RawFileSample:
    files = {f"many.d/{number}": (made_up_bytes(str(number), 100), 5) for number in range(count)}
    return raw_file("many.d", files)


# --- streams


def test_full_stdout_should_be_reported_once_everything_is_done(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo(), thermo("p.raw", "PRID002", 100))
    plan = compile_plan(run_cli, case)

    result = run_cli("apply", plan, under=shell('exec "$@" > /dev/full'))

    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert "Exception ignored" not in result.stderr
    assert case.unrestored() == []
    assert left_staged(case) == []
    for project_id in case.buckets:
        assert "Status: SUCCESS" in last_report(case, project_id)


def test_full_stderr_should_not_keep_the_report_from_being_written(
    run_cli: Cli, make_restore_case: MakeRestoreCase, s3: "S3Client"
) -> None:
    # given a file that S3 does not have
    case = make_restore_case(thermo("gone.raw", size_bytes=100), thermo("good.raw", size_bytes=100))
    plan = compile_plan(run_cli, case)
    s3.delete_object(Bucket=case.bucket(), Key="gone.raw")

    # when
    result = run_cli("apply", plan, under=shell('exec "$@" 2> /dev/full'))

    # then
    assert_failed(result, case, "gone.raw: FAILURE - S3 key not found: ", "good.raw: OK")
    assert case.unrestored() == ["PRID001/gone.raw"]


@pytest.mark.parametrize("command", ["compile", "diff", "find", "schema", "show", "status", "validate"])
def test_full_stdout_should_be_one_line_of_error(
    run_cli: Cli, make_restore_case: MakeRestoreCase, command: str
) -> None:
    case = make_restore_case(thermo(size_bytes=100))
    plan = compile_plan(run_cli, case)
    assert run_cli("apply", plan).exit_code == 0
    arguments: dict[str, list[str | Path]] = {
        "compile": ["sample.raw", "--catalog", case.export_path, "--config", case.config_path],
        "diff": [plan, plan, "--json"],
        "find": ["--project", "PRID001", "--catalog", case.export_path, "--ids"],
        "schema": [],
        "show": [plan],
        "status": [plan],
        "validate": [plan],
    }

    result = run_cli(command, *arguments[command], under=shell('exec "$@" > /dev/full'))

    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("kraken-plan: error: ")


@pytest.mark.parametrize("command", [("status",), ("apply", "--dry-run"), ("approvals",)], ids=" ".join)
def test_full_stdout_should_be_said_and_leave_an_exit_code_that_says_more(
    run_cli: Cli, make_restore_case: MakeRestoreCase, s3: "S3Client", command: tuple[str, ...]
) -> None:
    # given a file that S3 does not have
    case = make_restore_case(thermo(size_bytes=100))
    plan = compile_plan(run_cli, case)
    s3.delete_object(Bucket=case.bucket(), Key="sample.raw")

    # when
    result = run_cli("-q", *command, plan, under=shell('exec "$@" > /dev/full'))

    # then
    assert result.exit_code == 1
    assert result.stderr.endswith("kraken-plan: error: stdout: No space left on device\n")


def test_quiet_apply_should_name_failures_and_leave_out_the_summary(
    run_cli: Cli, make_restore_case: MakeRestoreCase, s3: "S3Client"
) -> None:
    case = make_restore_case(thermo("gone.raw", size_bytes=100), thermo("good.raw", size_bytes=100))
    plan = compile_plan(run_cli, case)
    s3.delete_object(Bucket=case.bucket(), Key="gone.raw")

    result = run_cli("-q", "apply", plan)

    assert result.exit_code == 1
    line, reason = result.stderr.splitlines()
    assert "gone.raw: FAILURE - S3 key not found: " in line
    assert reason.startswith("not verified: 1 failed; the first: gone.raw: S3 key not found: ")


# --- results


def test_results_on_a_full_device_should_not_keep_files_from_being_restored(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo(size_bytes=100))

    result = run_cli("apply", compile_plan(run_cli, case), "--results", "/dev/full")

    assert result.exit_code in {1, 2}
    assert "/dev/full" in result.stderr
    assert case.unrestored() == ([] if result.exit_code == 1 else ["PRID001/sample.raw"])


@needs_root
def test_results_that_fill_their_disk_should_be_told_and_everything_restored(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    # given room for a few lines
    case = make_restore_case(many_small(200))
    plan = compile_plan(run_cli, case)
    folder = case.folder / "small"
    folder.mkdir()
    with mounted_tmpfs(folder, "size=4k"):
        # when
        result = run_cli("apply", plan, "--results", folder / "results.jsonl")

    # then
    assert_failed(result, case, "Successful files: 200\n")
    assert case.unrestored() == []
    assert "Not attempted" not in last_report(case)
    assert "are not complete: No space left on device" in result.stderr


@pytest.mark.parametrize("options", [[], ["--no-report"], ["--jobs", "1"]], ids=str)
def test_results_that_cannot_be_written_should_never_end_with_exit_code_0(
    run_cli: Cli, make_restore_case: MakeRestoreCase, options: list[str]
) -> None:
    # given room for some of the results, and for each file and the report
    case = make_restore_case(many_small(60))
    plan = compile_plan(run_cli, case)
    largest = 8192

    # when
    result = run_cli("apply", plan, "--results", "results.jsonl", *options, under=with_files_of_at_most(largest))

    # then
    assert result.exit_code == 1, result.stderr
    assert "the results in results.jsonl are not complete: File too large" in result.stderr
    assert (run_cli.folder / "results.jsonl").stat().st_size == largest
    assert case.unrestored() == []
    if "--no-report" not in options:
        assert "Status: SUCCESS" in last_report(case)


@pytest.mark.parametrize("victim", ["plan.json", "raw_file.jsonl", "empty-lines.txt"])
def test_results_should_never_overwrite_a_file_that_is_not_results(
    run_cli: Cli, make_restore_case: MakeRestoreCase, victim: str
) -> None:
    # given
    case = make_restore_case(thermo(size_bytes=100))
    plan = compile_plan(run_cli, case)
    (case.folder / "empty-lines.txt").write_bytes(b"\n\nnotes\n")
    before = (case.folder / victim).read_bytes()

    # when
    result = run_cli("apply", plan, "--results", case.folder / victim)

    # then
    assert result.exit_code == 2
    assert victim in result.stderr
    assert (case.folder / victim).read_bytes() == before
    assert list(case.output_location.iterdir()) == []


def test_results_should_not_stand_where_the_plan_restores_a_file(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo(size_bytes=100))
    plan = compile_plan(run_cli, case)
    case.destination().mkdir()

    result = run_cli("apply", plan, "--results", case.destination() / "sample.raw")

    assert result.exit_code == 2
    assert result.stderr.endswith("sample.raw: the plan restores a file to this place, or below it\n")
    assert list(case.destination().iterdir()) == []


def test_results_should_replace_those_of_an_earlier_run(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    case = make_restore_case(thermo(size_bytes=100))
    plan = compile_plan(run_cli, case)
    results = case.folder / "results.jsonl"

    for outcome in ("downloaded", "skipped"):
        assert run_cli("apply", plan, "--results", results).exit_code == 0
        _, line, summary = map(json.loads, results.read_text(encoding="utf-8").splitlines())
        assert line["outcome"] == outcome
        assert summary[outcome.replace("skipped", "already_right")] == summary["verified"] == 1


def test_results_should_name_what_the_plan_could_not_resolve(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    # given a plan with a file that has an error
    case = make_restore_case(many_small(2))
    document = json.loads(compile_plan(run_cli, case).read_bytes())
    del document["plan_digest"]
    document["raw_files"]["many.d"]["files"][0] |= {"expected_etag": None, "error": "no etag in the catalog"}

    # when
    result = run_cli("apply", "-", "--results", "results.jsonl", stdin=json.dumps(document))

    # then
    assert result.exit_code == 1
    _, *lines, _ = map(json.loads, (run_cli.folder / "results.jsonl").read_text(encoding="utf-8").splitlines())
    told = {line["relative_path"]: (line["outcome"], line["message"]) for line in lines}
    assert told == {"many.d/0": ("failed", "no etag in the catalog"), "many.d/1": ("downloaded", None)}
    assert len(lines) == 2


# --- credentials and addresses


def test_credentials_with_a_line_end_should_be_refused_and_not_shown(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo(size_bytes=100))
    plan = compile_plan(run_cli, case)

    result = run_cli("apply", plan, environment={"AWS_SESSION_TOKEN": "SECRETTOKEN123\n"})

    assert result.exit_code == 2
    assert "credentials" in result.stderr
    assert "SECRETTOKEN123" not in result.stdout + result.stderr
    assert list(case.output_location.iterdir()) == []


@pytest.mark.parametrize(
    "url", ["http://user:SECRETPW@127.0.0.1:1", "ftp://x", "http://127.0.0.1:99999", "http://h/?q=1"]
)
@pytest.mark.parametrize("way", ["option", "environment"])
def test_a_text_that_is_not_an_endpoint_should_be_refused_and_no_password_shown(
    run_cli: Cli, make_restore_case: MakeRestoreCase, url: str, way: str
) -> None:
    case = make_restore_case(thermo(size_bytes=100))
    document = json.loads(compile_plan(run_cli, case).read_bytes())
    del document["plan_digest"]
    document["s3"]["endpoint_url"] = None
    options = ["--endpoint-url", url] if way == "option" else []

    result = run_cli("apply", "-", *options, stdin=json.dumps(document), environment={"AWS_ENDPOINT_URL": url})

    assert result.exit_code == 2
    assert "endpoint" in result.stderr
    assert "SECRETPW" not in result.stdout + result.stderr
    assert list(case.output_location.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "http://user:SECRETPW@[bad",
        "http://user:SECRETPW@two words:1",
        "http://user:SECRETPW@",
        "http://user:SECRETPW@h:port",
        "http//user:SECRETPW@h",
        "user:SECRETPW@h:1",
        "http://h:1/?X-Amz-Signature=SECRETPW",
        "http://user:SECRET/PW@h",
        "http:user:SECRET PW@h",
        "http://h:1/?Signature=SECRET PW",
    ],
)
@pytest.mark.parametrize("way", ["option", "variable", "variable of S3", "profile", "services of a profile"])
def test_a_secret_in_a_malformed_endpoint_should_not_be_shown_row_37(
    run_cli: Cli, make_restore_case: MakeRestoreCase, tmp_path_factory: pytest.TempPathFactory, url: str, way: str
) -> None:
    # given a plan that leaves the endpoint to the AWS chain, without a region, so that botocore has to find one
    case = make_restore_case(thermo(size_bytes=100))
    document = json.loads(compile_plan(run_cli, case).read_bytes())
    del document["plan_digest"]
    document["s3"] = {"region": None, "endpoint_url": None}
    services = f"services = ours\n[services ours]\ns3 =\n    endpoint_url = {url}\n"
    aws_config = {"profile": f"endpoint_url = {url}\n", "services of a profile": services}.get(way, "")
    config = tmp_path_factory.mktemp("aws") / "config"
    config.write_text(f"[default]\n{aws_config}", encoding="utf-8")
    variable = {"variable": "AWS_ENDPOINT_URL", "variable of S3": "AWS_ENDPOINT_URL_S3"}.get(way, "UNUSED")

    # when
    result = run_cli(
        "-vv",
        "apply",
        "-",
        *(["--endpoint-url", url] if way == "option" else []),
        stdin=json.dumps(document),
        environment={
            "AWS_CONFIG_FILE": str(config),
            "AWS_ENDPOINT_URL": None,
            "AWS_DEFAULT_REGION": None,
            variable: url,
        },
    )

    # then
    assert result.exit_code == 2
    assert "endpoint" in result.stderr.lower()
    assert not re.search("SECRET|PW", result.stdout + result.stderr), result.stderr
    assert list(case.output_location.iterdir()) == []


@pytest.mark.parametrize("way", ["option", "variable"])
@pytest.mark.parametrize("profile", ["http://user:SECRETPW@h", "https://h/?X-Amz-Signature=SECRETPW"])
def test_a_secret_in_what_is_not_a_profile_should_not_be_shown_row_37(
    run_cli: Cli, make_restore_case: MakeRestoreCase, profile: str, way: str
) -> None:
    case = make_restore_case(thermo(size_bytes=100))
    plan = compile_plan(run_cli, case)
    options = ["--profile", profile] if way == "option" else []

    result = run_cli("-vv", "apply", plan, *options, environment={"AWS_PROFILE": profile} if not options else {})

    assert result.exit_code == 2
    assert "profile" in result.stderr
    assert "SECRETPW" not in result.stdout + result.stderr
    assert list(case.output_location.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        ("", "expected certificates"),
        ("no certificate", "expected certificates"),
        ("-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n", "expected certificates"),
    ],
    ids=["missing", "empty", "other", "broken"],
)
def test_a_ca_bundle_that_cannot_be_used_should_be_named(
    run_cli: Cli, make_restore_case: MakeRestoreCase, content: str | None, said: str
) -> None:
    case = make_restore_case(thermo(size_bytes=100))
    plan = compile_plan(run_cli, case)
    bundle = case.folder / "ca.pem"
    if content is not None:
        bundle.write_text(content, encoding="ascii")

    result = run_cli("apply", plan, environment={"AWS_CA_BUNDLE": str(bundle)})

    assert result.exit_code == 2
    assert f"CA bundle {bundle} (AWS_CA_BUNDLE or the profile's ca_bundle): {said}" in result.stderr
    assert list(case.output_location.iterdir()) == []


def test_an_empty_ca_bundle_should_be_named_where_aws_tables_give_the_endpoint(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo(size_bytes=100))
    document = json.loads(compile_plan(run_cli, case).read_bytes())
    document["s3"]["endpoint_url"] = None
    document.pop("plan_digest")
    bundle = case.folder / "ca.pem"
    bundle.touch()
    environment = {"AWS_CA_BUNDLE": str(bundle), "AWS_ENDPOINT_URL": None, "AWS_ENDPOINT_URL_S3": None}

    result = run_cli("apply", "-", stdin=json.dumps(document), environment=environment)

    assert result.exit_code == 2
    assert f"CA bundle {bundle}" in result.stderr


def test_a_container_that_answers_with_garbage_should_not_be_called_a_credential_process_row_41(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo(size_bytes=100))
    plan = compile_plan(run_cli, case)
    no_keys = {name: None for name in run_cli.environment if name.startswith("AWS_") and "ENDPOINT" not in name}
    with RawServer(
        {"/keys": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n\xff\xfe{[\n"}
    ) as server:
        environment = {**no_keys, "AWS_CONTAINER_CREDENTIALS_FULL_URI": server.url("/keys")}
        result = run_cli("apply", plan, environment=environment)

    assert result.exit_code == 2
    assert "the service of this host or container" in result.stderr
