"""Row 13: archived objects are named with their class and what to do; restored ones are read as any other."""

from pathlib import Path

import pytest
from apply_case import assert_failed, compile_plan, thermo
from archiving_s3 import Archive, ArchivingS3, archived_case
from cli import Cli
from conftest import MakeRestoreCase
from faulty_proxy import FaultyProxy
from network_faults import Answer, Fault, Rewrite
from restore_case import RestoreCase

from applier.s3.aws_chain import S3Access
from applier.s3.boto_store import BotoStore
from applier.s3.faults import S3Fault
from applier.s3.obstore_store import ObstoreStore
from applier.s3.protocol import ObjectStore
from schemas.results import FailureKind
from schemas.s3_location import ObjectLocation


@pytest.fixture
def case(archive: ArchivingS3, tmp_path: Path) -> RestoreCase:
    return archived_case(archive, tmp_path / "case", thermo(size_bytes=1000), thermo("other.raw", size_bytes=1000))


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_archived_should_be_named_with_its_class_and_what_to_do_row_13(
    run_cli: Cli, archive: ArchivingS3, case: RestoreCase, storage_class: Archive
) -> None:
    # given
    plan = compile_plan(run_cli, case)
    archive.archive(case.bucket(), "sample.raw", storage_class)
    todo = "request a restore (kraken-plan thaw, or aws s3api restore-object), then apply again\n"

    # when / then it is asked for
    line = f"sample.raw: FAILURE - Archived in {storage_class}: s3://{case.bucket()}/sample.raw: {todo}"
    assert_failed(run_cli("apply", plan), case, line, "other.raw: OK")

    # and while it is being restored
    archive.request_restore(case.bucket(), "sample.raw", done=False)
    line = f"Archived in {storage_class}: s3://{case.bucket()}/sample.raw: its restore is under way, apply again when "
    assert_failed(run_cli("apply", plan), case, f"sample.raw: FAILURE - {line}")
    assert case.unrestored() == ["PRID001/sample.raw"]


@pytest.mark.parametrize("storage_class", ["GLACIER", "GLACIER_IR"])
def test_archived_objects_that_can_be_read_should_be_restored_row_13(
    run_cli: Cli, archive: ArchivingS3, case: RestoreCase, storage_class: Archive
) -> None:
    plan = compile_plan(run_cli, case)
    archive.archive(case.bucket(), "sample.raw", storage_class)
    if storage_class == "GLACIER":
        archive.request_restore(case.bucket(), "sample.raw", done=True)

    result = run_cli("apply", plan)

    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []


def test_a_right_local_file_should_not_need_its_object_restored_row_13(
    run_cli: Cli, archive: ArchivingS3, case: RestoreCase
) -> None:
    plan = compile_plan(run_cli, case)
    assert run_cli("apply", plan).exit_code == 0
    archive.archive(case.bucket(), "sample.raw", "DEEP_ARCHIVE")

    assert run_cli("apply", plan).exit_code == 0


def test_the_tier_of_an_intelligent_tiering_object_should_be_named_row_13(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    """As AWS answers; no test server plays it."""
    # given
    case = make_restore_case(thermo(size_bytes=1000), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    headers = {"x-amz-storage-class": "INTELLIGENT_TIERING", "x-amz-archive-status": "DEEP_ARCHIVE_ACCESS"}
    faulty_proxy.add(
        Fault(action=Answer(status=403, code="InvalidObjectState"), key="sample.raw", method="GET"),
        Fault(action=Rewrite(headers=headers), key="sample.raw", method="HEAD"),
    )

    # when / then
    assert_failed(run_cli("apply", plan), case, "sample.raw: FAILURE - Archived in DEEP_ARCHIVE_ACCESS: s3://")
    assert case.unrestored() == ["PRID001/sample.raw"]


@pytest.fixture(params=["botocore", "obstore"])
def store(request: pytest.FixtureRequest, archive: ArchivingS3, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "any")
    boto = BotoStore(S3Access(endpoint_url=archive.endpoint_url, region="eu-central-1"))
    return boto if request.param == "botocore" else ObstoreStore(boto)


@pytest.mark.parametrize("key", ["sample.raw", "a//b"])
def test_asking_for_a_byte_should_tell_what_a_head_does_not_row_13(
    archive: ArchivingS3, case: RestoreCase, store: ObjectStore, key: str
) -> None:
    # given
    archive.client.put_object(Bucket=case.bucket(), Key=key, Body=b"content")
    location = ObjectLocation(bucket_name=case.bucket(), key=key)
    store.check_readable(location)
    archive.archive(case.bucket(), key, "GLACIER")

    # when / then
    assert store.head(location).size_bytes == 7
    with pytest.raises(S3Fault, match="Archived in GLACIER: ") as caught:
        store.check_readable(location)
    assert caught.value.failure.kind is FailureKind.ARCHIVED
    with pytest.raises(S3Fault, match="Archived in GLACIER: "):
        list(store.read_range(location, 0, 7, store.head(location).etag))
    archive.request_restore(case.bucket(), key, done=True)
    store.check_readable(location)
