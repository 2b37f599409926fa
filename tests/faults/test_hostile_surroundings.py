"""Hostile circumstances of `apply`: other writers, planted files, an S3 that errs, odd plans."""

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from apply_case import assert_failed, bruker, compile_plan, last_report, left_staged, thermo
from cli import Cli
from conftest import MakeRestoreCase
from ended_runs import plant_ended_run
from faulty_proxy import FaultyProxy
from network_faults import Answer, Fault, Flip, Rewrite, Stall
from restore_case import RestoreCase
from sample_data import MIB
from waiting import wait_for

from applier.disk.staging import staged_name
from schemas.plan_file import read_plan

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DENIED = Answer(status=403, code="AccessDenied")


def unsealed(plan: Path) -> Any:  # noqa: ANN401  # JSON to be changed at will
    """A plan's document without its digest, which nobody asks for then."""
    document = json.loads(plan.read_bytes())
    del document["plan_digest"]
    return document


def corrupt_copies(case: RestoreCase) -> list[bytes]:
    return [path.read_bytes() for path in case.output_location.rglob("*.corrupted*")]


# --- other writers


@pytest.mark.parametrize("below", ["PRID001", "."])
def test_a_corrupt_copy_should_not_take_the_name_of_a_planned_file(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, below: str
) -> None:
    # given a wrong file that cannot be healed, and a plan that has NAME.corrupted too
    samples = (thermo("a", size_bytes=1000), thermo("a.corrupted", size_bytes=1000))
    case = make_restore_case(*samples, endpoint_url=faulty_proxy.endpoint_url)
    destination = case.output_location / below
    document = json.loads(compile_plan(run_cli, case).read_bytes())
    del document["plan_digest"]
    for planned in document["raw_files"].values():
        planned["destination_base"] = str(destination)
        for file in planned["files"]:
            file["absolute_dest_path"] = str(destination / file["relative_path"])
    plan = case.folder / "elsewhere.json"
    plan.write_text(json.dumps(document))
    destination.mkdir(exist_ok=True)
    (destination / "a").write_bytes(b"wrong")
    faulty_proxy.add(Fault(action=DENIED, key="/a$", method="GET"))

    # when
    result = run_cli("apply", plan, "--jobs", "1")

    # then
    assert result.exit_code == 1, result.stderr
    (report,) = destination.glob("_download_status_batch_*.txt")
    assert "a: FAILURE - Access denied: " in report.read_text()
    assert "a.corrupted: OK - Downloaded and verified" in report.read_text()
    assert not (destination / "a").exists()
    assert (destination / "a.corrupted").read_bytes() == samples[1].contents["a.corrupted"]
    assert (destination / "a.corrupted.1").read_bytes() == b"wrong"


# --- what a dead run left, or someone planted


def test_a_journal_that_makes_no_sense_should_cost_a_fetch_alone(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo(size_bytes=33 * MIB))
    plan = compile_plan(run_cli, case)
    (_, file), *_ = read_plan(plan.read_bytes(), "plan.json").planned_files()
    staged = plant_ended_run(case.destination()) / f"{staged_name(file)}.part"
    staged.write_bytes(b"")
    staged.with_suffix(".journal").write_text("[" * 100_000, encoding="ascii")

    result = run_cli("apply", plan)

    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert left_staged(case) == []


def test_a_stray_folder_in_a_dead_runs_staging_should_not_stop_apply(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo())
    (plant_ended_run(case.destination()) / "sub").mkdir()

    result = run_cli("apply", compile_plan(run_cli, case))

    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []


# --- S3


def test_a_signal_during_a_stalling_bucket_check_should_end_soon(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    case = make_restore_case(thermo(size_bytes=100), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    faulty_proxy.add(Fault(action=Stall(seconds=60), key=f"^/{case.bucket()}/?$"))
    process = run_cli.start("apply", plan)
    wait_for(lambda: faulty_proxy.log, "the bucket check")

    process.send_signal(signal.SIGINT)

    assert run_cli.finish(process, timeout_seconds=10).exit_code == 130
    assert "sample.raw: FAILURE - Not attempted (interrupted)\n" in last_report(case)
    assert left_staged(case) == []


def test_one_flipped_bit_should_heal_where_s3_has_another_form_of_the_etag(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given an object of exactly one chunk: the bare MD5 in the plan, `…-1` on S3, which first answers 412
    case = make_restore_case(thermo(size_bytes=5 * MIB), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    faulty_proxy.add(Fault(action=Flip(offset=1_000_000), key="sample.raw", method="GET", skip=1, times=1))

    # when
    result = run_cli("apply", plan)

    # then
    assert [exchange.status for exchange in faulty_proxy.log if exchange.fault] == [206]
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []


def test_an_object_longer_than_planned_should_be_told_by_its_size(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo(size_bytes=1000))
    document = unsealed(compile_plan(run_cli, case))
    document["raw_files"]["sample.raw"]["files"][0]["expected_size"] = 900

    result = run_cli("apply", "-", stdin=json.dumps(document))

    line = "sample.raw: FAILURE - S3 corruption detected (size mismatch: S3 1000 bytes, expected 900"
    assert_failed(result, case, line)
    assert not (case.destination() / "sample.raw").exists()


def test_an_object_without_an_etag_should_be_called_not_verifiable(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, s3: "S3Client"
) -> None:
    # given a key with an empty segment
    case = make_restore_case(thermo(size_bytes=1000), endpoint_url=faulty_proxy.endpoint_url)
    document = unsealed(compile_plan(run_cli, case))
    document["raw_files"]["sample.raw"]["files"][0]["s3_key"] = "a//b"
    s3.put_object(Bucket=case.bucket(), Key="a//b", Body=case.raw_files[0].contents["sample.raw"])
    faulty_proxy.add(Fault(action=Rewrite(headers={"ETag": None}), key="a//b"))

    # when
    result = run_cli("apply", "-", stdin=json.dumps(document))

    # then
    assert_failed(result, case, "sample.raw: FAILURE - Not verifiable: ")
    assert any(exchange.fault for exchange in faulty_proxy.log)


# --- odd plans and settings


def test_a_missing_bucket_should_not_keep_the_same_file_of_another_from_being_restored(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    # given two raw files with one destination and etag
    case = make_restore_case(bruker())
    document = unsealed(compile_plan(run_cli, case))
    good = document["raw_files"]["sample.d"]
    document["raw_files"] = {"first": {**good, "bucket_name": "no-such-bucket"}, "sample.d": good}

    # when
    result = run_cli("apply", "-", stdin=json.dumps(document))

    # then
    assert_failed(result, case, "ERROR: S3 bucket does not exist: no-such-bucket\n", "empty.lock: OK - ")
    assert case.unrestored() == []


def test_a_planned_file_below_another_destination_should_not_pass_for_a_report(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo(size_bytes=100))
    document = unsealed(compile_plan(run_cli, case))
    sample, relative_path = document["raw_files"]["sample.raw"], "P1/_download_status_batch_20250101_000000.txt"
    sample["destination_base"] = str(case.output_location)
    sample["files"][0] |= {
        "relative_path": relative_path,
        "absolute_dest_path": f"{case.output_location}/{relative_path}",
    }

    result = run_cli("apply", "-", stdin=json.dumps(document))

    assert result.exit_code == 2
    assert "_download_status_batch_" in result.stderr
    assert list(case.output_location.iterdir()) == []


def test_an_empty_output_root_should_be_refused(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    case = make_restore_case(thermo(size_bytes=100))
    plan = compile_plan(run_cli, case)
    before = sorted(run_cli.folder.rglob("*"))

    result = run_cli("apply", plan, "--output-root", "")

    assert result.exit_code == 2
    assert "--output-root" in result.stderr
    assert sorted(run_cli.folder.rglob("*")) == before


@pytest.mark.parametrize("value", ["2025-13-45", "0x_", "!vault abc", "!!int abc"])
def test_what_others_have_in_the_site_yaml_should_not_disturb_compile(
    run_cli: Cli, make_restore_case: MakeRestoreCase, value: str
) -> None:
    case = make_restore_case(thermo(size_bytes=100))
    text = case.config_path.read_text(encoding="utf-8")
    case.config_path.write_text(f"{text}other: {value}\n", encoding="utf-8")

    assert run_cli("apply", compile_plan(run_cli, case)).exit_code == 0
    assert case.unrestored() == []
