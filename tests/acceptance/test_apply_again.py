"""What a plan whose files are in place asks of S3: listings rather than a request a file. Counted on the wire."""

import json
from typing import TYPE_CHECKING

import pytest
from apply_case import compile_plan, last_report
from cli import Cli
from conftest import MakeRestoreCase
from faulty_proxy import FaultyProxy
from network_faults import Answer, Fault
from restore_case import RestoreCase, raw_file
from sample_data import made_up_bytes

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FILES = 120
# The letters that listings and queries write in a form of their own, and names that only sorting by bytes gets right.
ODD = ("a+b%2B c&d.bin", "ü.bin", "\U0001f600.bin", "\uffef.bin", "Z.bin")


@pytest.fixture
def case(make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy) -> RestoreCase:
    """A raw file of many small files, each in place, and the proxy before S3."""
    names = [f"many.d/{number:03}.bin" for number in range(FILES - len(ODD))] + [f"many.d/{name}" for name in ODD]
    files = {name: (made_up_bytes(name, 50), 5) for name in names}
    made = make_restore_case(raw_file("many.d", files), endpoint_url=faulty_proxy.endpoint_url)
    for name, (content, _) in files.items():
        path = made.destination() / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return made


def asked_singly(proxy: FaultyProxy) -> set[str]:
    """The names of the objects that S3 was asked for one by one, since the proxy was cleared."""
    return {name for exchange in proxy.log if (name := exchange.request.path.partition("many.d/")[2])}


def test_files_that_are_in_place_should_take_a_listing_and_a_few_requests(
    run_cli: Cli, case: RestoreCase, faulty_proxy: FaultyProxy, s3: "S3Client"
) -> None:
    plan = compile_plan(run_cli, case)
    for command in (["apply"], ["apply", "--dry-run"], ["status"]):
        faulty_proxy.clear()
        result = run_cli(*command, plan)
        assert result.exit_code == 0, result.stderr
        assert len(faulty_proxy.log) < 12, [exchange.request for exchange in faulty_proxy.log]
    assert last_report(case).count("OK - Skipped (already exists)") == FILES

    # given one that is another on S3, one that is gone there, and a corrupt local one
    s3.put_object(Bucket=case.bucket(), Key="many.d/011.bin", Body=b"another")
    s3.delete_object(Bucket=case.bucket(), Key="many.d/022.bin")
    (case.destination() / "many.d/033.bin").write_bytes(bytes(50))
    faulty_proxy.clear()
    # when
    result = run_cli("apply", plan)
    # then S3's answer about each of these decides
    assert result.exit_code == 1
    assert {"011.bin", "022.bin", "033.bin"} <= asked_singly(faulty_proxy)
    assert len(faulty_proxy.log) < 24, [exchange.request for exchange in faulty_proxy.log]
    report = last_report(case)
    assert report.count("OK - Skipped (already exists)") == FILES - 3
    assert "many.d/011.bin: FAILURE - S3 object was overwritten" in report
    assert "many.d/022.bin: FAILURE - S3 key not found" in report
    assert "many.d/033.bin: OK - Self-healed" in report


def test_pinned_files_should_be_listed_by_their_versions(
    run_cli: Cli, case: RestoreCase, faulty_proxy: FaultyProxy, s3: "S3Client"
) -> None:
    # given a plan that was probed, which takes a byte of each file, and newer versions since
    catalog = ("--catalog", case.export_path, "--config", case.config_path)
    plan = case.folder / "plan.json"
    result = run_cli("compile", *case.raw_file_ids, *catalog, "--probe-s3", "-o", plan)
    assert result.exit_code == 0, result.stderr
    assert len(faulty_proxy.requests("HEAD")) < 10
    (raw,) = json.loads(plan.read_bytes())["raw_files"].values()
    assert all(file["version_id"] for file in raw["files"])
    for number in range(5):
        s3.put_object(Bucket=case.bucket(), Key=f"many.d/00{number}.bin", Body=b"another")
    faulty_proxy.clear()
    # when
    result = run_cli("apply", plan)
    # then
    assert result.exit_code == 0, result.stderr
    assert last_report(case).count("OK - Skipped (already exists)") == FILES
    assert len(faulty_proxy.log) < 12, [exchange.request for exchange in faulty_proxy.log]


def test_where_a_bucket_may_not_be_listed_every_file_should_be_asked_for(
    run_cli: Cli, case: RestoreCase, faulty_proxy: FaultyProxy
) -> None:
    plan = compile_plan(run_cli, case)
    faulty_proxy.add(Fault(action=Answer(status=403, code="AccessDenied"), method="GET", key=r"^/[^/]+/?$"))

    result = run_cli("apply", plan)

    assert result.exit_code == 0, result.stderr
    assert len(faulty_proxy.requests("HEAD", "many.d/")) == FILES
    assert result.stderr.count("s3:ListBucket is not permitted") == 1


@pytest.mark.parametrize("code", ["AccessDenied", "ExpiredToken"])
def test_a_listing_should_be_no_licence_to_touch_a_file_whose_object_cannot_be_had(
    run_cli: Cli, case: RestoreCase, faulty_proxy: FaultyProxy, code: str
) -> None:
    # given files that are wrong, and an S3 that lists their objects as planned and gives none of them
    plan = compile_plan(run_cli, case)
    before = {path: path.read_bytes()[:-1] + b"?" for path in (case.destination() / "many.d").iterdir()}
    for path, content in before.items():
        path.write_bytes(content)
    faulty_proxy.add(Fault(action=Answer(status=403, code=code), key="many.d/"))

    # when
    result = run_cli("apply", plan)

    # then
    assert result.exit_code == 1
    assert {path: path.read_bytes() for path in (case.destination() / "many.d").iterdir()} == before


def test_without_a_planned_size_a_listing_should_not_say_which_size_is_right(
    run_cli: Cli, case: RestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given right files, a plan that does not know their sizes, and a listing in which each is a byte too long
    document = json.loads(compile_plan(run_cli, case).read_bytes())
    del document["plan_digest"]
    for file in document["raw_files"]["many.d"]["files"]:
        file["expected_size"] = None
    listed = "".join(
        f"<Contents><Key>{file['s3_key']}</Key><Size>51</Size><ETag>{file['expected_etag']}</ETag></Contents>"
        for file in document["raw_files"]["many.d"]["files"]
        if file["s3_key"].isascii() and "&" not in file["s3_key"]
    )
    page = f"<ListBucketResult>{listed}</ListBucketResult>".encode()
    faulty_proxy.add(Fault(action=Answer(status=200, body=page), method="GET", query="start-after"))

    # when
    result = run_cli("apply", "-", stdin=json.dumps(document))

    # then
    assert result.exit_code == 0, result.stderr
    assert last_report(case).count("OK - Skipped (already exists)") == FILES
