"""`compile --probe-s3`: what S3 has now is part of what is reviewed. Real program, real S3 server."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from apply_case import bruker, compile_plan, last_report, thermo
from archiving_s3 import ArchivingS3, archived_case
from cli import Cli, CliResult
from conftest import MakeRestoreCase
from faulty_proxy import FaultyProxy
from network_faults import Answer, Fault
from restore_case import RestoreCase, build_restore_case, raw_file
from sample_data import MIB
from versions import purge_older_versions

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def probe(run_cli: Cli, case: RestoreCase, **environment: str) -> CliResult:
    """Compile with --probe-s3 into `plan.json` of the case."""
    arguments = ("--catalog", case.export_path, "--config", case.config_path, "-o", case.folder / "plan.json")
    return run_cli("compile", *case.raw_file_ids, "--probe-s3", *arguments, environment=environment)


def planned(case: RestoreCase) -> dict[str, dict[str, Any]]:
    """The files of `plan.json` by relative path."""
    document = json.loads((case.folder / "plan.json").read_bytes())
    return {file["relative_path"]: file for raw in document["raw_files"].values() for file in raw["files"]}


# --- versions


def test_a_pinned_version_should_be_restored_whatever_happens_to_the_object_later(
    run_cli: Cli, make_restore_case: MakeRestoreCase, s3: "S3Client"
) -> None:
    # given a probed plan, and one that was not probed, of a file in parts and of small ones
    names = ("sample.raw", "deleted.raw", "small.raw", "deleted_small.raw")
    case = make_restore_case(*(thermo(name, size_bytes=12 * MIB if name in names[:2] else 100) for name in names))
    not_probed = case.folder / "not_probed.json"
    not_probed.write_bytes(compile_plan(run_cli, case).read_bytes())
    assert probe(run_cli, case).exit_code == 0
    head = s3.head_object(Bucket=case.bucket(), Key="sample.raw")
    assert planned(case)["sample.raw"]["version_id"] == head["VersionId"]
    assert all(file["version_id"] for file in planned(case).values())

    # when
    for name in names:
        if name.startswith("deleted"):
            s3.delete_object(Bucket=case.bucket(), Key=name)
        else:
            s3.put_object(Bucket=case.bucket(), Key=name, Body=b"another")

    # then the unpinned plan finds what is there now, and the pinned one what was there at review
    assert run_cli("apply", not_probed).exit_code == 1
    assert "Successful files: 0\n" in last_report(case)
    result = run_cli("apply", case.folder / "plan.json")
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []


def test_probing_twice_should_make_the_same_plan(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    # given a file of exactly one chunk, whose etag on S3 has the form `…-1`
    case = make_restore_case(thermo(size_bytes=5 * MIB))
    digests = []
    for _ in range(2):
        result = probe(run_cli, case)
        assert result.exit_code == 0, result.stderr
        digests.append(json.loads((case.folder / "plan.json").read_bytes())["plan_digest"])

    assert digests[0] == digests[1]
    assert run_cli("validate", case.folder / "plan.json").exit_code == 0


def test_nothing_should_be_pinned_where_the_bucket_keeps_no_versions(
    run_cli: Cli, s3: "S3Client", s3_server_url: str, tmp_path: Path
) -> None:
    # given
    bucket, folder = f"alphakraken-{uuid4().hex[:12]}", tmp_path / "case"
    folder.mkdir()
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    case = build_restore_case(
        [thermo(size_bytes=100)], client=s3, folder=folder, buckets={"PRID001": bucket}, endpoint_url=s3_server_url
    )

    # when
    result = probe(run_cli, case)

    # then
    assert result.exit_code == 0, result.stderr
    assert "version_id" not in planned(case)["sample.raw"]


@pytest.fixture
def s3_server_url(s3: "S3Client") -> str:
    return s3.meta.endpoint_url


# --- what S3 answers


def test_what_s3_has_otherwise_should_stand_in_the_plan_as_errors_and_the_rest_be_restored(
    run_cli: Cli, make_restore_case: MakeRestoreCase, s3: "S3Client", faulty_proxy: FaultyProxy
) -> None:
    # given
    names = ("good.raw", "missing.raw", "different.raw", "denied.raw")
    case = make_restore_case(
        *(thermo(name, size_bytes=1000) for name in names),
        thermo("no_bucket.raw", "PRID002", 1000),
        endpoint_url=faulty_proxy.endpoint_url,
    )
    s3.delete_object(Bucket=case.bucket(), Key="missing.raw")
    s3.put_object(Bucket=case.bucket(), Key="different.raw", Body=b"another")
    for name in ("missing.raw", "different.raw"):
        purge_older_versions(s3, case.bucket(), name)
    faulty_proxy.add(Fault(action=Answer(status=403, code="AccessDenied"), key="denied"))
    text = case.export_path.read_text(encoding="utf-8")
    case.export_path.write_text(text.replace(case.bucket("PRID002"), "no-such-bucket"), encoding="utf-8")

    # when
    result = probe(run_cli, case)

    # then each is named, on stderr and in the plan
    assert result.exit_code == 1
    assert "4 could not be resolved:\n" in result.stderr
    errors = {path: file["error"] for path, file in planned(case).items()}
    assert errors.pop("good.raw") is None
    assert errors.pop("missing.raw") == f"S3 key not found: s3://{case.bucket()}/missing.raw"
    assert errors.pop("different.raw").startswith("S3 corruption detected (etag mismatch: S3 ")
    assert errors.pop("denied.raw").startswith(f"Access denied: s3://{case.bucket()}/denied.raw: S3 answered 403")
    assert errors.pop("no_bucket.raw") is None
    whole = json.loads((case.folder / "plan.json").read_bytes())["raw_files"]["no_bucket.raw"]
    assert (whole["error"], whole["skipped"]) == ("S3 bucket does not exist: no-such-bucket", True)
    assert "version_id" not in planned(case)["missing.raw"]

    # and the plan can be applied
    assert run_cli("apply", case.folder / "plan.json").exit_code == 1
    assert "good.raw: OK - Downloaded" in last_report(case)
    assert f"missing.raw: FAILURE - S3 key not found: s3://{case.bucket()}/missing.raw\n" in last_report(case)


def test_archived_objects_should_be_noted_in_the_plan(run_cli: Cli, archive: ArchivingS3, tmp_path: Path) -> None:
    # given one in an archive, and one brought back
    raw_files = [thermo(name, size_bytes=1000) for name in ("cold.raw", "restored.raw")]
    case = archived_case(archive, tmp_path / "case", *raw_files)
    for name in case.raw_file_ids:
        archive.archive(case.bucket(), name, "GLACIER")
    archive.request_restore(case.bucket(), "restored.raw", done=True)

    # when
    result = probe(run_cli, case)

    # then
    assert result.exit_code == 0, result.stderr
    assert planned(case)["cold.raw"]["error"] is None
    assert planned(case)["cold.raw"]["notes"] == ["archived in GLACIER: `kraken-plan thaw` asks S3 to restore it"]
    assert "notes" not in planned(case)["restored.raw"]
    assert "archived in GLACIER" in run_cli("show", case.folder / "plan.json").stdout


def test_a_probe_that_leaves_nothing_to_restore_should_leave_an_earlier_plan_as_it_was(
    run_cli: Cli, make_restore_case: MakeRestoreCase, s3: "S3Client"
) -> None:
    case = make_restore_case(thermo("a.raw", size_bytes=1000), thermo("b.raw", size_bytes=1000))
    assert probe(run_cli, case).exit_code == 0
    before = (case.folder / "plan.json").read_bytes()
    for name in case.raw_file_ids:
        s3.delete_object(Bucket=case.bucket(), Key=name)
        purge_older_versions(s3, case.bucket(), name)

    result = probe(run_cli, case)

    assert result.exit_code == 2
    assert "nothing of this can be restored, so no plan was written:\n" in result.stderr
    assert f"a.raw: a.raw: S3 key not found: s3://{case.bucket()}/a.raw\n" in result.stderr
    assert (case.folder / "plan.json").read_bytes() == before


# --- where S3 gives no answer


@pytest.mark.parametrize("trouble", ["a file", "expired credentials", "every bucket", "credentials"])
def test_no_answer_should_leave_an_earlier_plan_as_it_was(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, trouble: str
) -> None:
    # given an earlier plan
    case = make_restore_case(bruker(), endpoint_url=faulty_proxy.endpoint_url)
    earlier = compile_plan(run_cli, case).read_bytes()
    environment = {}
    match trouble:
        case "a file":
            faulty_proxy.add(Fault(action=Answer(status=400, code="Odd"), key="f3.xml"))
        case "expired credentials":
            faulty_proxy.add(Fault(action=Answer(status=403, code="ExpiredToken"), key="f3.xml"))
        case "every bucket":
            faulty_proxy.add(Fault(action=Answer(status=400, code="Odd")))
        case "credentials":
            environment["AWS_SECRET_ACCESS_KEY"] = "not-the-right-one-at-all"

    # when
    result = probe(run_cli, case, **environment)

    # then
    assert result.exit_code == 2
    assert "error: S3 could not be asked for every file, so there is no probed plan: " in result.stderr
    assert "compile without --probe-s3" in result.stderr
    assert ("f3.xml" in result.stderr) == (trouble in {"a file", "expired credentials"})
    assert (case.folder / "plan.json").read_bytes() == earlier


def test_files_that_were_not_asked_for_any_more_should_not_pass_for_denied(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given more denials in a row than a run has patience with
    files = {f"many.d/{number}": (b"x", 5) for number in range(150)}
    case = make_restore_case(raw_file("many.d", files), endpoint_url=faulty_proxy.endpoint_url)
    faulty_proxy.add(Fault(action=Answer(status=403, code="AccessDenied"), key="many.d"))

    # when
    result = probe(run_cli, case)

    # then
    assert result.exit_code == 2
    assert re.search(r"was not asked for, as \d+ files in a row had failed", result.stderr)
    assert not (case.folder / "plan.json").exists()


def test_transient_faults_during_a_probe_should_be_waited_out(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    case = make_restore_case(bruker(), endpoint_url=faulty_proxy.endpoint_url)
    faulty_proxy.add(Fault(action=Answer(status=503, code="SlowDown"), key="f3.xml", times=2))

    result = probe(run_cli, case)

    assert result.exit_code == 0, result.stderr
    assert all(file["version_id"] for file in planned(case).values())
    *refused, answered = (exchange.status for exchange in faulty_proxy.log if "f3.xml" in exchange.request.path)
    assert refused[:2] == [503, 503]
    assert answered in {200, 206}


def test_compiling_should_not_ask_s3_unless_told_to(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    case = make_restore_case(thermo(size_bytes=100), endpoint_url=faulty_proxy.endpoint_url)

    compile_plan(run_cli, case)

    assert faulty_proxy.log == ()
