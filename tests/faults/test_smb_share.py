"""Restores onto a real SMB share through FUSE, as the outputs of most sites are one: part of `make test-long`.

There are no hard links on it, names are folded, open files are neither replaced nor removed, the free space is unknown,
and locks hold on this host alone. smbnetfs itself dies of extended attributes, so that the program is told, as by most
mounts, that there are none; it dies of a colon in a name, too, so that no name here has one.
"""

import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
from apply_case import compile_plan, last_report, left_staged, mixed, thermo
from cli import Cli, CliResult
from conftest import MakeRestoreCase
from failing_syscalls import without_extended_attributes
from faulty_proxy import FaultyProxy
from needs import needs_root
from restore_case import RestoreCase, raw_file
from sample_data import RawFileSample
from smb_share import SmbShare, missing_programs, smb_share
from stalled_run import BIG_BYTES, PARTS, big, stall, start_until_four_parts_are_staged
from waiting import wait_for

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = [
    pytest.mark.long,
    needs_root,
    pytest.mark.skipif(bool(missing_programs()), reason=f"no SMB: {', '.join(missing_programs())} not installed"),
]
UNDER = without_extended_attributes()


class MakeShareCase(Protocol):
    def __call__(self, *raw_files: RawFileSample, endpoint_url: str | None = None) -> RestoreCase: ...


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmbShare]:
    with smb_share(tmp_path_factory.mktemp("smb")) as running:
        yield running


@pytest.fixture
def make_share_case(share: SmbShare, make_restore_case: MakeRestoreCase) -> MakeShareCase:
    """Backs raw files up; their output location is a new folder on the share."""

    def make(*raw_files: RawFileSample, endpoint_url: str | None = None) -> RestoreCase:
        case = make_restore_case(*raw_files, endpoint_url=endpoint_url)
        (share.content / case.folder.name).mkdir()
        return replace(case, output_location=share.mounted / case.folder.name)

    return make


def on_server(share: SmbShare, case: RestoreCase, relative_path: str) -> Path:
    """Where a file of the first project lies on the server."""
    return share.content / case.folder.name / "PRID001" / relative_path


def apply_there(run_cli: Cli, case: RestoreCase, plan: Path, *options: str) -> CliResult:
    root = ["--output-root", str(case.output_location)]
    return run_cli("apply", plan, *root, *options, under=UNDER, timeout_seconds=110)


def outcomes(share: SmbShare, case: RestoreCase) -> dict[str, str]:
    """What the newest report, as it lies on the server, says of each file, less sizes and times."""
    behind = replace(case, output_location=share.content / case.folder.name)
    lines = last_report(behind).partition("Files:\n------\n")[2].splitlines()
    return {name: said.partition(" (")[0] for name, _, said in (line.partition(": ") for line in lines) if said}


def test_files_should_be_restored_verified_and_skipped_on_an_smb_share(
    run_cli: Cli, make_share_case: MakeShareCase
) -> None:
    case = make_share_case(mixed(), thermo())
    plan = compile_plan(run_cli, case)

    first, second = (apply_there(run_cli, case, plan) for _ in range(2))

    assert (first.exit_code, second.exit_code) == (0, 0), first.stderr + second.stderr
    assert "12 downloaded" in first.stderr
    assert "12 already right" in second.stderr
    assert case.unrestored() == []
    assert len(case.reports()) == 2
    assert left_staged(case) == []


@pytest.mark.parametrize("on_corrupt", ["replace", "quarantine"])
@pytest.mark.parametrize("damage", ["flipped", "short", "long"])
def test_corrupt_files_should_be_healed_on_an_smb_share(
    run_cli: Cli, make_share_case: MakeShareCase, share: SmbShare, damage: str, on_corrupt: str
) -> None:
    # given a file that was damaged on the server
    case = make_share_case(mixed())
    plan = compile_plan(run_cli, case)
    assert apply_there(run_cli, case, plan).exit_code == 0
    content = on_server(share, case, "s.d/analysis.tdf_bin").read_bytes()
    damaged = {"flipped": b"\xff" + content[1:], "short": content[:-5_000_000], "long": content + b"x"}[damage]
    on_server(share, case, "s.d/analysis.tdf_bin").write_bytes(damaged)
    # the client may keep what it knows of the file for some seconds
    local = case.destination() / "s.d/analysis.tdf_bin"
    wait_for(lambda: local.stat().st_size == len(damaged), "the client to see the damaged file")

    # when
    result = apply_there(run_cli, case, plan, "--on-corrupt", on_corrupt)

    # then
    assert result.exit_code == 0, result.stderr
    assert outcomes(share, case)["s.d/analysis.tdf_bin"] == "OK - Self-healed"
    assert case.unrestored() == []
    kept = {path.name: path.read_bytes() for path in (case.destination() / "s.d").glob("*.corrupted*")}
    assert kept == ({"analysis.tdf_bin.corrupted": damaged} if on_corrupt == "quarantine" else {})
    assert left_staged(case) == []


def test_a_corrupt_file_that_somebody_reads_should_be_old_or_right_on_an_smb_share(
    run_cli: Cli, make_share_case: MakeShareCase, share: SmbShare
) -> None:
    # given a wrong file that a program on a client holds open, which keeps it from being replaced
    case = make_share_case(thermo())
    plan = compile_plan(run_cli, case)
    case.destination().mkdir()
    (case.destination() / "sample.raw").write_bytes(b"old")
    with (case.destination() / "sample.raw").open("rb") as reader:
        # when
        result = apply_there(run_cli, case, plan)
        # then
        assert reader.read() == b"old"

    found = on_server(share, case, "sample.raw").read_bytes()
    assert (result.exit_code, found == b"old") in {(1, True), (0, False)}, result.stderr
    assert apply_there(run_cli, case, plan).exit_code == 0
    assert case.unrestored() == []
    assert left_staged(case) == []


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_was_ended_should_be_resumed_on_an_smb_share(
    run_cli: Cli, make_share_case: MakeShareCase, faulty_proxy: FaultyProxy, how: signal.Signals
) -> None:
    # given a run that is ended with four of five parts staged
    case = make_share_case(big(), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    stall(faulty_proxy, 2)
    process = start_until_four_parts_are_staged(run_cli, case, plan, "--output-root", case.output_location, under=UNDER)
    process.send_signal(how)
    process.wait(timeout=30)
    assert not (case.destination() / "big.raw").exists()
    faulty_proxy.clear()

    # when
    result = apply_there(run_cli, case, plan)

    # then
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert left_staged(case) == []
    fetched_bytes = sum(exchange.sent_bytes for exchange in faulty_proxy.requests("GET", "big.raw"))
    assert 0 < fetched_bytes <= 1.1 * BIG_BYTES / PARTS


def test_three_applies_at_once_should_restore_all_on_an_smb_share(run_cli: Cli, make_share_case: MakeShareCase) -> None:
    case = make_share_case(mixed(), thermo())
    plan = compile_plan(run_cli, case)
    root = ["--output-root", str(case.output_location)]

    processes = [run_cli.start("apply", plan, *root, under=UNDER) for _ in range(3)]
    results = [run_cli.finish(process, timeout_seconds=110) for process in processes]

    assert {result.exit_code for result in results} <= {0, 1}, results
    assert apply_there(run_cli, case, plan).exit_code == 0
    assert case.unrestored() == []
    assert left_staged(case) == []


def test_odd_names_should_be_restored_and_folded_ones_refused_by_name_on_an_smb_share(
    run_cli: Cli, make_share_case: MakeShareCase, share: SmbShare
) -> None:
    # given names that the server shows in another form, and two that are one to it
    odd = {f"s.d/{name}": (name.encode(), 5) for name in ("ä ünïcode #1", "dot.", "blank ", "AUX", "x" * 200)}
    restored, folded = (
        make_share_case(raw_file("s.d", odd)),
        make_share_case(raw_file("t.d", {"t.d/Data": (b"upper", 5), "t.d/data": (b"lower", 5)})),
    )

    # when
    first, second = (apply_there(run_cli, restored, compile_plan(run_cli, restored)) for _ in range(2))
    refused = apply_there(run_cli, folded, compile_plan(run_cli, folded))

    # then
    assert (first.exit_code, second.exit_code) == (0, 0), first.stderr + second.stderr
    assert "5 already right" in second.stderr
    found = {path.name: path.read_bytes() for path in on_server(share, restored, "s.d").iterdir()}
    assert found == {name.removeprefix("s.d/"): content for name, (content, _) in odd.items()}
    assert refused.exit_code == 2, refused.stderr
    assert "t.d/Data" in refused.stderr
    assert "t.d/data" in refused.stderr
    assert list((share.content / folded.folder.name).rglob("[Dd]ata")) == []


def test_status_should_change_nothing_on_an_smb_share(
    run_cli: Cli, make_share_case: MakeShareCase, share: SmbShare, s3: "S3Client"
) -> None:
    case = make_share_case(mixed(), thermo("gone.raw", size_bytes=100))
    plan = compile_plan(run_cli, case)
    assert apply_there(run_cli, case, plan).exit_code == 0
    s3.delete_object(Bucket=case.bucket(), Key="gone.raw")
    on_server(share, case, "s.d/analysis.tdf").write_bytes(b"wrong")
    before = sorted(path for path in (share.content / case.folder.name).rglob("*"))

    result = run_cli("status", plan, "--output-root", case.output_location, under=UNDER, timeout_seconds=110)

    assert result.exit_code == 1
    assert result.stdout.startswith(
        "12 entries: 10 verified, 1 failed, 0 unresolvable, 1 not attempted\nTo do: 1 to heal"
    )
    assert sorted(path for path in (share.content / case.folder.name).rglob("*")) == before
