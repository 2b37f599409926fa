"""Where S3's current object is not what the catalog says, and the content can still be had."""

import hashlib
import io
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from apply_case import compile_plan, last_report
from boto3.s3.transfer import TransferConfig
from cli import Cli
from conftest import MakeRestoreCase
from fault_case import whole_object
from faulty_proxy import FaultyProxy
from network_faults import Answer, Fault
from restore_case import RestoreCase, raw_file
from sample_data import MIB, made_up_bytes, write_export
from versions import purge_older_versions

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONTENT = made_up_bytes("unkind", 12 * MIB)
MADE_UP_ETAG = "0123456789abcdef0123456789abcdef"
SMALL = made_up_bytes("unkind small", 300)


@pytest.fixture
def case(make_restore_case: MakeRestoreCase) -> RestoreCase:
    return make_restore_case(raw_file("u.d", {"u.d/big": (CONTENT, 5), "u.d/small": (SMALL, 5)}))


def overwrite(s3: "S3Client", case: RestoreCase, key: str = "u.d/big") -> None:
    s3.put_object(Bucket=case.bucket(), Key=key, Body=b"overwritten by mistake")


def delete(s3: "S3Client", case: RestoreCase, key: str = "u.d/big") -> None:
    s3.delete_object(Bucket=case.bucket(), Key=key)


def upload_in_parts_of(s3: "S3Client", case: RestoreCase, content: bytes, *, mib: int) -> None:
    config = TransferConfig(multipart_threshold=mib * MIB, multipart_chunksize=mib * MIB)
    s3.upload_fileobj(io.BytesIO(content), case.bucket(), "u.d/big", Config=config)


Spoil = Callable[["S3Client", RestoreCase, str], None]


@pytest.mark.parametrize(
    ("spoil", "said", "became"),
    [
        (overwrite, "FAILURE - S3 object was overwritten (etag mismatch: S3 ", "overwritten"),
        (delete, "FAILURE - S3 key not found: s3://", "deleted"),
    ],
)
@pytest.mark.parametrize("key", ["u.d/big", "u.d/small"])
def test_apply_should_name_the_older_version_that_has_the_planned_etag(
    run_cli: Cli, case: RestoreCase, s3: "S3Client", *, spoil: Spoil, said: str, became: str, key: str
) -> None:
    plan = compile_plan(run_cli, case)
    spoil(s3, case, key)

    result = run_cli("apply", plan)

    assert result.exit_code == 1
    (line,) = [line for line in last_report(case).splitlines() if line.startswith(f"{key}: FAILURE")]
    assert said in line
    version = rf"; the version of 20[0-9: -]+ UTC, which was {became} on 20[0-9: -]+ UTC, has the planned etag: "
    assert re.search(f"{version}apply --recover-versions restores it", line)
    again = f"S3 object was {became} (does applying again help? with --recover-versions)\n"
    assert again in result.stderr
    assert f"next:\n  kraken-plan apply {plan} --recover-versions\n" in result.stderr
    assert f"Next: kraken-plan apply {plan} --recover-versions, or " in run_cli("status", plan, "--last").stdout
    assert case.unrestored() == [f"PRID001/{key}"]
    # the same words where nothing is restored
    assert "apply --recover-versions restores it" in run_cli("status", plan).stdout
    assert "apply --recover-versions restores it" in run_cli("apply", plan, "--dry-run").stdout


@pytest.mark.parametrize("spoil", [overwrite, delete])
@pytest.mark.parametrize("key", ["u.d/big", "u.d/small"])
def test_apply_should_restore_an_older_version_when_asked(
    run_cli: Cli, case: RestoreCase, s3: "S3Client", *, spoil: Spoil, key: str
) -> None:
    plan = compile_plan(run_cli, case)
    spoil(s3, case, key)

    result = run_cli("apply", plan, "--recover-versions")

    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert f"{key}: OK - Downloaded and verified from version of 20" in last_report(case)
    # and again: nothing to do
    assert run_cli("apply", plan, "--recover-versions").exit_code == 0
    assert f"{key}: OK - Skipped (already exists)" in last_report(case)


def test_a_corrupt_local_file_should_be_healed_from_an_older_version(
    run_cli: Cli, case: RestoreCase, s3: "S3Client"
) -> None:
    plan = compile_plan(run_cli, case)
    overwrite(s3, case)
    local = case.destination() / "u.d" / "big"
    local.parent.mkdir(parents=True)
    local.write_bytes(CONTENT[:-1] + b"x")

    assert run_cli("apply", plan, "--recover-versions").exit_code == 0

    assert local.read_bytes() == CONTENT
    assert "u.d/big: OK - Self-healed (hash mismatch detected, re-downloaded from version of 20" in last_report(case)


def test_of_several_versions_with_the_planned_etag_the_newest_should_be_taken(
    run_cli: Cli, case: RestoreCase, s3: "S3Client"
) -> None:
    plan = compile_plan(run_cli, case)
    overwrite(s3, case, "u.d/small")
    second = s3.put_object(Bucket=case.bucket(), Key="u.d/small", Body=SMALL)["VersionId"]
    overwrite(s3, case, "u.d/small")

    probed = case.folder / "probed.json"
    assert (
        run_cli(
            "compile", "u.d", "--catalog", case.export_path, "--config", case.config_path, "--probe-s3", "-o", probed
        ).exit_code
        == 0
    )

    files = json.loads(probed.read_bytes())["raw_files"]["u.d"]["files"]
    by_path = {file["relative_path"]: file for file in files}
    assert by_path["u.d/small"]["version_id"] == second
    (note,) = by_path["u.d/small"]["notes"]
    assert note.startswith("version of 20")
    assert ", which was overwritten on 20" in note
    assert "notes" not in by_path["u.d/big"]
    assert run_cli("apply", probed).exit_code == 0
    assert case.unrestored() == []
    assert run_cli("apply", plan, "--recover-versions").exit_code == 0


def test_what_the_plan_notes_about_a_raw_file_should_be_part_of_the_reason(
    run_cli: Cli, case: RestoreCase, s3: "S3Client"
) -> None:
    # given a raw file whose last upload failed: S3 has what was uploaded before
    write_export(case.export_path, [{**case.documents[0], "backup_status": "upload_failed"}])
    plan = compile_plan(run_cli, case)
    overwrite(s3, case, "u.d/small")
    purge_older_versions(s3, case.bucket(), "u.d/small")
    delete(s3, case, "u.d/big")

    assert run_cli("apply", plan).exit_code == 1

    big, small = [line for line in last_report(case).splitlines() if line.startswith("u.d/")]
    assert "FAILURE - S3 corruption detected (etag mismatch: S3 " in small
    assert "FAILURE - S3 key not found: " in big
    for line in (big, small):
        assert "; noted in the plan: backup_status is upload_failed: S3 may hold an older upload" in line


def test_a_missing_permission_to_list_versions_should_be_said_and_change_nothing(
    run_cli: Cli, case: RestoreCase, s3: "S3Client", faulty_proxy: FaultyProxy
) -> None:
    plan = compile_plan(run_cli, case)
    overwrite(s3, case, "u.d/small")
    faulty_proxy.add(Fault(action=Answer(status=403, code="AccessDenied"), key=r"^/[^/]+/?$"))

    result = run_cli("apply", plan, "--recover-versions", "--endpoint-url", faulty_proxy.endpoint_url)

    assert result.exit_code == 1
    (line,) = [line for line in last_report(case).splitlines() if line.startswith("u.d/small: ")]
    assert "FAILURE - S3 corruption detected (etag mismatch: S3 " in line
    assert "cannot tell whether an older version has it: s3:ListBucketVersions is not permitted" in line
    assert case.unrestored() == ["PRID001/u.d/small"]


@pytest.mark.parametrize(("status", "code"), [(405, "MethodNotAllowed"), (400, "InvalidArgument")])
def test_versions_that_could_not_be_listed_should_not_read_as_if_there_were_none(
    run_cli: Cli, case: RestoreCase, s3: "S3Client", faulty_proxy: FaultyProxy, *, status: int, code: str
) -> None:
    plan = compile_plan(run_cli, case)
    delete(s3, case, "u.d/small")
    faulty_proxy.add(Fault(action=Answer(status=status, code=code), query="versions"))

    result = run_cli("apply", plan, "--recover-versions", "--endpoint-url", faulty_proxy.endpoint_url)

    assert result.exit_code == 1
    (line,) = [line for line in last_report(case).splitlines() if line.startswith("u.d/small: ")]
    assert "FAILURE - S3 key not found: s3://" in line
    assert f"; cannot tell whether an older version has it: s3://{case.bucket()}/: S3 answered {status} {code}" in line


def test_an_older_version_should_be_restored_where_s3_writes_times_in_its_own_way(
    run_cli: Cli, case: RestoreCase, s3: "S3Client", faulty_proxy: FaultyProxy
) -> None:
    plan = compile_plan(run_cli, case)
    delete(s3, case, "u.d/small")
    listed = s3.list_object_versions(Bucket=case.bucket(), Prefix="u.d/small")
    (version,) = listed["Versions"]
    entries = (
        "<DeleteMarker><Key>u.d/small</Key><VersionId>1</VersionId><IsLatest>true</IsLatest></DeleteMarker>"
        f"<Version><Key>u.d/small</Key><VersionId>{version['VersionId']}</VersionId><ETag>{version['ETag']}</ETag>"
        f"<Size>{version['Size']}</Size><LastModified>Sat, 01 Mar 2025 14:02:00 GMT</LastModified></Version>"
    )
    body = f"<ListVersionsResult>{entries}</ListVersionsResult>".encode()
    faulty_proxy.add(Fault(action=Answer(status=200, body=body), query="versions"))

    result = run_cli("apply", plan, "--recover-versions", "--endpoint-url", faulty_proxy.endpoint_url)

    assert result.exit_code == 0, result.stderr
    report = last_report(case)
    assert "OK - Downloaded and verified from version of unknown date, which was deleted (0.0 MB" in report
    assert case.unrestored() == []


def test_corruption_should_still_be_called_that_where_no_version_has_the_planned_etag(
    run_cli: Cli, case: RestoreCase, s3: "S3Client"
) -> None:
    # given a plan that asks for what S3 never had
    plan = compile_plan(run_cli, case)
    document = json.loads(plan.read_bytes())
    for file in document["raw_files"]["u.d"]["files"]:
        if file["relative_path"] == "u.d/small":
            file["expected_etag"] = "0" * 32
    del document["plan_digest"]
    plan.write_text(json.dumps(document), encoding="utf-8")
    overwrite(s3, case, "u.d/small")

    assert run_cli("apply", plan, "--recover-versions").exit_code == 1

    assert "u.d/small: FAILURE - S3 corruption detected (etag mismatch: S3 " in last_report(case)


@pytest.mark.parametrize("mib", [6, 100])
def test_an_object_in_other_parts_should_be_called_that_and_restored_when_asked(
    run_cli: Cli, case: RestoreCase, s3: "S3Client", *, mib: int
) -> None:
    plan = compile_plan(run_cli, case)
    upload_in_parts_of(s3, case, CONTENT, mib=mib)

    # when it is not asked for
    assert run_cli("apply", plan).exit_code == 1
    (line,) = [line for line in last_report(case).splitlines() if line.startswith("u.d/big: ")]
    assert "corruption" not in line
    if "S3 object has other parts" in line:
        assert "apply --accept-other-parts" in line
    assert case.unrestored() == ["PRID001/u.d/big"]

    # when it is
    assert run_cli("apply", plan, "--accept-other-parts").exit_code == 0
    assert case.unrestored() == []
    assert "u.d/big: OK - Downloaded and verified from an object in other parts (S3's etag " in last_report(case)


def test_other_bytes_in_other_parts_should_never_be_restored(run_cli: Cli, case: RestoreCase, s3: "S3Client") -> None:
    plan = compile_plan(run_cli, case)
    upload_in_parts_of(s3, case, b"x" + CONTENT[1:], mib=6)

    assert run_cli("apply", plan, "--accept-other-parts").exit_code == 1

    assert "u.d/big: FAILURE - Download verification failed (etag mismatch: " in last_report(case)
    assert case.unrestored() == ["PRID001/u.d/big"]


def test_two_different_md5s_of_a_whole_content_should_not_be_tried(
    run_cli: Cli, case: RestoreCase, s3: "S3Client"
) -> None:
    plan = compile_plan(run_cli, case)
    s3.put_object(Bucket=case.bucket(), Key="u.d/small", Body=b"x" + SMALL[1:])

    result = run_cli("apply", plan, "--accept-other-parts")

    assert result.exit_code == 1
    assert "u.d/small: FAILURE - S3 object was overwritten" in last_report(case)
    # and both options are needed from now on
    assert f"next:\n  kraken-plan apply {plan} --accept-other-parts --recover-versions\n" in result.stderr


@pytest.mark.parametrize("planned_etag", ["S3's", "the catalog's"])
def test_an_object_whose_etag_is_not_made_of_its_bytes_should_be_verified_by_md5_when_asked(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, planned_etag: str
) -> None:
    # given an S3 that encrypts with KMS, and a catalog that has either etag, and the MD5
    case = make_restore_case(raw_file("u.d", {"u.d/small": (SMALL, 5)}))
    plan = compile_plan(run_cli, case)
    document = json.loads(plan.read_bytes())
    (file,) = document["raw_files"]["u.d"]["files"]
    file["expected_md5"] = hashlib.md5(SMALL).hexdigest()
    if planned_etag == "S3's":
        file["expected_etag"] = MADE_UP_ETAG
    del document["plan_digest"]
    plan.write_text(json.dumps(document), encoding="utf-8")
    kms = {"x-amz-server-side-encryption": "aws:kms"}
    faulty_proxy.add(Fault(action=whole_object(SMALL, MADE_UP_ETAG, **kms), key="u.d/small"))
    apply = ["apply", str(plan), "--endpoint-url", faulty_proxy.endpoint_url]

    # when it is not asked for
    assert run_cli(*apply).exit_code == 1
    (line,) = [line for line in last_report(case).splitlines() if line.startswith("u.d/small: ")]
    assert "FAILURE - Not verifiable: S3 encrypts the object with aws:kms" in line
    assert "the plan has the MD5: apply --accept-md5 verifies by it" in line
    assert case.unrestored() == ["PRID001/u.d/small"]

    # when it is
    assert run_cli(*apply, "--accept-md5").exit_code == 0
    assert case.unrestored() == []
    by = " by MD5" if planned_etag == "S3's" else ""  # the catalog's etag is made of the bytes
    assert f"u.d/small: OK - Downloaded and verified{by} (0.0 MB" in last_report(case)

    # and again, and with other bytes
    assert run_cli(*apply, "--accept-md5").exit_code == 0
    assert "u.d/small: OK - Skipped (already exists)" in last_report(case)
    (case.destination() / "u.d" / "small").write_bytes(b"x" + SMALL[1:])
    faulty_proxy.clear()
    faulty_proxy.add(Fault(action=whole_object(b"y" + SMALL[1:], MADE_UP_ETAG, **kms), key="u.d/small"))
    assert run_cli(*apply, "--accept-md5").exit_code == 1
    assert case.unrestored() == ["PRID001/u.d/small"]
