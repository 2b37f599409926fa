"""What `apply` sees to before the first byte: space, destinations, buckets. All that is wrong is told at once."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from apply_case import bruker, compile_plan, left_staged, thermo
from cli import Cli, CliResult
from conftest import MakeRestoreCase
from faulty_proxy import FaultyProxy
from file_systems import mounted_tmpfs
from needs import needs_root
from network_faults import Answer, Fault
from restore_case import RestoreCase
from sample_data import MIB


def with_missing_buckets(run_cli: Cli, case: RestoreCase, *project_ids: str) -> Path:
    """The case's plan, some of whose buckets are not there."""
    plan = compile_plan(run_cli, case)
    text = plan.read_text(encoding="utf-8")
    for project_id in project_ids:
        text = text.replace(case.bucket(project_id), f"no-such-bucket-{project_id.lower()}")
    plan.write_text(text, encoding="utf-8")
    assert run_cli("seal", plan).exit_code == 0
    return plan


def assert_refused(result: CliResult, case: RestoreCase, *lines: str) -> None:
    """Exit code 2, everything named in one message, nothing made."""
    assert result.exit_code == 2, result.stderr
    assert result.stdout == ""
    message = result.stderr.partition("kraken-plan: error: nothing was restored:\n")[2]
    assert [line for line in lines if line not in message] == [], result.stderr
    assert list(case.output_location.iterdir()) == []


# --- space


@needs_root
def test_what_does_not_fit_should_be_refused_before_the_first_byte_and_fit_once_there_is_room(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given 20 MB for 12 + 7 MB, which would fit, and 10 % more, which does not
    case = make_restore_case(
        thermo("a.raw"), thermo("b.raw", size_bytes=7 * MIB), endpoint_url=faulty_proxy.endpoint_url
    )
    plan = compile_plan(run_cli, case)
    with mounted_tmpfs(case.output_location, "size=20m"):
        # when / then
        assert_refused(
            run_cli("apply", plan),
            case,
            f"{case.destination()}: 20.9 MiB needed (19.0 MiB missing, and 10 %), 20.0 MiB free",
            "--skip-space-check",
        )
        assert faulty_proxy.requests("GET", r"\.raw") == faulty_proxy.requests("HEAD", r"\.raw") == []

        # and the operator may know better
        result = run_cli("apply", plan, "--skip-space-check")
        assert result.exit_code == 0, result.stderr
        assert case.unrestored() == []

        # and a plan whose files are all right needs no space
        assert os.statvfs(case.output_location).f_bavail * os.statvfs(case.output_location).f_bsize < 2 * MIB
        assert run_cli("apply", plan).exit_code == 0


@needs_root
def test_each_file_system_should_be_held_against_what_goes_there(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    # given a file system for each of two projects, one of which is too small
    case = make_restore_case(thermo("a.raw"), thermo("b.raw", "PRID002"))
    plan = compile_plan(run_cli, case)
    case.destination().mkdir()
    case.destination("PRID002").mkdir()
    with (
        mounted_tmpfs(case.destination(), "size=8m"),
        mounted_tmpfs(case.destination("PRID002"), "size=40m"),
    ):
        # when
        result = run_cli("apply", plan)

        # then
        assert result.exit_code == 2
        assert f"{case.destination()}: 13.2 MiB needed" in result.stderr
        assert "PRID002" not in result.stderr.partition("error: ")[2]

        # and once the first has room
        subprocess.run(["/bin/mount", "-o", "remount,size=20m", case.destination()], check=True)
        assert run_cli("apply", plan).exit_code == 0
        assert case.unrestored() == []


@needs_root
@pytest.mark.parametrize(
    ("on_corrupt", "links", "exit_code"), [("replace", 1, 0), ("quarantine", 1, 2), ("replace", 2, 2)]
)
def test_healing_should_need_room_for_new_copies_beside_old_ones_only_as_long_as_these_stay(
    run_cli: Cli, make_restore_case: MakeRestoreCase, on_corrupt: str, links: int, exit_code: int
) -> None:
    # given two files that are too short by a byte, on a disk with room for one more but not for two
    case = make_restore_case(*(thermo(name, size_bytes=6 * MIB) for name in ("a.raw", "b.raw")))
    plan = compile_plan(run_cli, case)
    with mounted_tmpfs(case.output_location, "size=22m"):
        case.destination().mkdir()
        for number, name in enumerate(case.raw_file_ids):
            content = case.raw_files[number].contents[name]
            (case.destination() / name).write_bytes(content[:-1])
            if links > 1:
                (case.destination() / f"{name}.link").hardlink_to(case.destination() / name)

        # when, one at a time
        result = run_cli("apply", plan, "--jobs", "1", "--on-corrupt", on_corrupt)

        # then
        assert result.exit_code == exit_code, result.stderr
        assert ("12.0 MiB missing" in result.stderr) == (exit_code == 2)
        assert case.unrestored() == ([] if exit_code == 0 else ["PRID001/a.raw", "PRID001/b.raw"])


@needs_root
def test_what_an_interrupted_run_has_staged_should_count_as_there(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given a run that lost S3 in the middle of a file, on a disk that has no room for a second copy
    case = make_restore_case(thermo(size_bytes=40 * MIB), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    with mounted_tmpfs(case.output_location, "size=48m"):
        faulty_proxy.add(Fault(action=Answer(status=503), method="GET", key="sample.raw", skip=5))
        assert run_cli("apply", plan, "--retries", "0", "--jobs", "1").exit_code == 1
        staged = [path for path in left_staged(case) if path.suffix == ".part"]
        assert [path.stat().st_blocks > 0 for path in staged] == [True]
        free_bytes = os.statvfs(case.output_location).f_bavail * os.statvfs(case.output_location).f_bsize
        assert free_bytes < 44 * MIB
        faulty_proxy.clear()

        # when / then
        result = run_cli("apply", plan)
        assert result.exit_code == 0, result.stderr
        assert case.unrestored() == []


# --- buckets and destinations


def test_a_plan_of_which_no_bucket_exists_should_be_refused(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    case = make_restore_case(bruker(), thermo("p.raw", "PRID002"))
    plan = with_missing_buckets(run_cli, case, "PRID001", "PRID002")

    result = run_cli("apply", plan)

    named = "no bucket of the plan exists: no-such-bucket-prid001, no-such-bucket-prid002: is this the right S3"
    assert_refused(result, case, named)


def test_an_s3_that_cannot_be_used_at_the_start_should_be_refused_without_reports(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo(size_bytes=10), thermo("b.raw", "PRID002", size_bytes=10))
    plan = compile_plan(run_cli, case)
    gone = ("apply", plan, "--retries", "0", "--endpoint-url", "http://127.0.0.1:1")

    assert_refused(run_cli(*gone), case, "S3 cannot be used", "127.0.0.1:1", "Network error: ", "(and 1 other bucket")
    refused = run_cli("apply", plan, environment={"AWS_SECRET_ACCESS_KEY": "another"})
    assert_refused(refused, case, "S3 cannot be used", "the credentials are not those of this S3")
    assert "credentials: the environment" in refused.stderr.partition("nothing was restored")[2]
    assert "As things stand, apply would be refused:\n  S3 cannot be used" in run_cli("status", *gone[1:]).stdout


def test_a_missing_bucket_beside_a_good_one_should_be_its_own_raw_files_failure(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo(), thermo("p.raw", "PRID002"))
    plan = with_missing_buckets(run_cli, case, "PRID001")

    result = run_cli("apply", plan)

    assert result.exit_code == 1
    assert case.unrestored() == ["PRID001/sample.raw"]
    assert len(case.reports("PRID001")) == len(case.reports("PRID002")) == 1


@needs_root
def test_all_that_is_wrong_should_be_told_at_once(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    # given a destination that is no folder, one on a read-only file system, one that is full, and no bucket
    case = make_restore_case(*(thermo(f"{number}.raw", f"PRID00{number}", 6 * MIB) for number in range(3)))
    plan = with_missing_buckets(run_cli, case, "PRID000", "PRID001")
    case.destination("PRID000").write_bytes(b"")
    for number in (1, 2):
        case.destination(f"PRID00{number}").mkdir()
    with (
        mounted_tmpfs(case.destination("PRID001"), "ro"),
        mounted_tmpfs(case.destination("PRID002"), "size=4m"),
    ):
        # when
        result = run_cli("apply", plan)

    # then
    assert result.exit_code == 2
    for line in (
        "PRID000: PRID000: a file stands in the way",
        "PRID001: the file system is read-only",
        "PRID002: 6.6 MiB needed",
    ):
        assert line in result.stderr
    assert list(case.output_location.rglob("*.txt")) == left_staged(case) == []


def test_dry_run_should_be_refused_as_apply_would_be(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    case = make_restore_case(thermo())
    plan = with_missing_buckets(run_cli, case, "PRID001")

    assert_refused(run_cli("apply", plan, "--dry-run"), case, "no bucket of the plan exists")


def test_a_plan_that_resolves_nothing_should_not_be_refused_for_its_buckets(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo())
    document = json.loads(compile_plan(run_cli, case, "sample.raw", "unknown.raw").read_bytes())
    del document["raw_files"]["sample.raw"], document["plan_digest"]

    result = run_cli("apply", "-", stdin=json.dumps(document))

    assert result.exit_code == 1
    (report,) = case.output_location.glob("_download*")
    assert "RawFile not found in the catalog" in report.read_text(encoding="utf-8")
