"""`restore`: compile, show, ask and apply in one step. Real program, real S3, real files."""

import json
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from apply_case import bruker, left_staged, thermo
from cli import Cli, CliResult
from conftest import MakeRestoreCase
from faulty_proxy import FaultyProxy
from network_faults import Fault, Stall
from restore_case import RestoreCase
from terminal import run_on_terminal
from waiting import wait_for

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_KEPT = re.compile(r"_download_status_batch_\d{8}_\d{6}(_\d+)?\.(txt|plan\.json|results\.jsonl)")


def catalog_and_config(case: RestoreCase) -> list[str | Path]:
    return ["--catalog", case.export_path, "--config", case.config_path]


def printed(result: CliResult) -> tuple[list[Path], Path, Path]:
    """The reports, the plan and the results that a run has printed the paths of."""
    *reports, plan, results = map(Path, result.stdout.splitlines())
    assert all(report.name.endswith(".txt") for report in reports)
    assert plan.name.endswith(".plan.json")
    assert results.name.endswith(".results.jsonl")
    assert plan.name.removesuffix(".plan.json") == results.name.removesuffix(".results.jsonl")
    return reports, plan, results


def test_restore_should_compile_show_and_apply_and_keep_plan_and_results_beside_the_report(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    # given
    case = make_restore_case(thermo(), bruker())

    # when
    result = run_cli("restore", *case.raw_file_ids, *catalog_and_config(case), "--yes")

    # then
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert left_staged(case) == []
    (report,), plan, results = printed(result)
    assert {report.parent, plan.parent, results.parent} == {case.destination()}
    assert "Status: SUCCESS" in report.read_text(encoding="utf-8")
    assert "Restores" in result.stderr
    assert str(case.output_location) in result.stderr

    # and what was kept is what the two-step way would have made, and can be gone on with
    compiled = run_cli("compile", *case.raw_file_ids, *catalog_and_config(case))
    digest = json.loads(compiled.stdout)["plan_digest"]
    assert json.loads(plan.read_bytes())["plan_digest"] == digest
    assert run_cli("validate", plan).exit_code == 0
    assert run_cli("apply", plan, "--expect-digest", digest).exit_code == 0
    lines = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    assert lines[0]["plan_digest"] == digest
    assert len(lines) == 1 + 15 + 1  # a head, a line for each file, a summary
    assert run_cli("report", "--plan", plan, results).exit_code == 0


def test_restore_should_take_the_options_of_both_steps(
    run_cli: Cli, make_restore_case: MakeRestoreCase, s3: "S3Client", tmp_path: Path
) -> None:
    case = make_restore_case(thermo("a.raw", size_bytes=100), thermo("b.raw", size_bytes=100))
    (run_cli.folder / "ids.txt").write_text("a.raw\n", encoding="utf-8")
    s3.delete_object(Bucket=case.bucket(), Key="a.raw")
    (tmp_path / "elsewhere" / "PRID001").mkdir(parents=True)
    (tmp_path / "elsewhere" / "PRID001" / "a.raw").write_bytes(b"wrong")
    arguments: list[str | Path] = ["--ids-file", "ids.txt", "--output-root", tmp_path / "elsewhere", "--yes"]

    failed = run_cli("restore", *arguments, *catalog_and_config(case))
    with case.config_path.open("a", encoding="utf-8") as file:
        file.write("kraken_plan:\n  commands: {apply: {on_corrupt: quarantine}}\n")
    done = run_cli("restore", *arguments, *catalog_and_config(case), "--recover-versions", "--jobs", "2")

    assert failed.exit_code == 1
    assert done.exit_code == 0, done.stderr
    kept = {path.name for path in (tmp_path / "elsewhere" / "PRID001").iterdir() if not _KEPT.fullmatch(path.name)}
    assert kept == {"a.raw", "a.raw.corrupted"}


def test_a_restore_to_several_destinations_should_keep_its_plan_above_them(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo(size_bytes=100), thermo("other.raw", "PRID002", size_bytes=100))

    result = run_cli("restore", *case.raw_file_ids, *catalog_and_config(case), "--yes")

    assert result.exit_code == 0, result.stderr
    reports, plan, results = printed(result)
    assert [report.parent for report in reports] == [case.destination(), case.destination("PRID002")]
    assert {plan.parent, results.parent} == {case.output_location}


def test_what_cannot_be_resolved_or_restored_should_be_exit_code_1(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo(size_bytes=100))

    result = run_cli("restore", "sample.raw", "unknown.raw", *catalog_and_config(case), "--yes")

    assert result.exit_code == 1
    assert case.unrestored() == []
    assert "unknown.raw" in result.stderr
    assert "RawFile not found in the catalog" in case.reports("")[-1].read_text(encoding="utf-8")


def assert_nothing_touched(case: RestoreCase) -> None:
    assert list(case.output_location.rglob("*")) == []


@pytest.mark.parametrize("arguments", [["sample.raw"], ["unknown.raw", "--yes"], ["--yes"]], ids=str)
def test_a_refused_restore_should_touch_nothing(
    run_cli: Cli, make_restore_case: MakeRestoreCase, arguments: list[str]
) -> None:
    """Nobody to be asked, nothing that resolves, nothing asked for."""
    case = make_restore_case(thermo(size_bytes=100))

    result = run_cli("restore", *arguments, *catalog_and_config(case))

    assert (result.exit_code, result.stdout) == (2, "")
    assert_nothing_touched(case)
    if arguments == ["sample.raw"]:
        assert "Restore 1 file (100 B) below" in result.stderr
        assert "--yes" in result.stderr


@pytest.mark.parametrize(("answer", "exit_code"), [("yes\n", 0), ("\n", 2), (signal.SIGINT, 130)])
def test_on_a_terminal_restore_should_show_the_plan_and_begin_after_a_yes(
    run_cli: Cli, make_restore_case: MakeRestoreCase, *, answer: str | int, exit_code: int
) -> None:
    case = make_restore_case(thermo(size_bytes=100))

    result = run_on_terminal(run_cli, "restore", "sample.raw", *catalog_and_config(case), answer=answer)

    assert result.exit_code == exit_code, result.stderr
    shown, _, _ = result.stderr.partition("Restore 1 file (100 B) below")
    assert "sample.raw" in shown
    if exit_code == 0:
        assert case.unrestored() == []
    else:
        assert_nothing_touched(case)


def test_a_plan_that_is_refused_before_the_first_byte_should_not_be_kept(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo(size_bytes=100))
    (document,) = case.documents
    document["s3_upload_path"] = "s3://no-such-bucket"
    case.write_catalog()

    result = run_cli("restore", "sample.raw", *catalog_and_config(case), "--yes")

    assert result.exit_code == 2
    assert "no bucket of the plan exists" in result.stderr
    assert_nothing_touched(case)


def test_many_restores_at_once_should_each_restore_everything_and_keep_their_own(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    # given
    case = make_restore_case(thermo(), bruker())
    arguments = ["restore", *case.raw_file_ids, *catalog_and_config(case), "--yes", "--jobs", "4"]

    # when
    results = [run_cli.finish(process) for process in [run_cli.start(*arguments) for _ in range(4)]]

    # then
    assert [result.exit_code for result in results] == [0] * 4, [result.stderr for result in results]
    assert case.unrestored() == []
    assert left_staged(case) == []
    paths = {path for result in results for path in result.stdout.splitlines()}
    assert len(paths) == 12
    digests = {json.loads(Path(path).read_bytes())["plan_digest"] for path in paths if path.endswith(".plan.json")}
    assert len(digests) == 1
    for path in paths:
        if path.endswith(".results.jsonl"):
            assert len(Path(path).read_text(encoding="utf-8").splitlines()) == 1 + 15 + 1


def test_an_interrupted_restore_should_leave_the_plan_that_apply_goes_on_with(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given
    case = make_restore_case(thermo("a.raw"), thermo("b.raw"), endpoint_url=faulty_proxy.endpoint_url)
    faulty_proxy.add(Fault(action=Stall(seconds=60), method="GET", key="b.raw"))
    process = run_cli.start("restore", *case.raw_file_ids, *catalog_and_config(case), "--yes")
    wait_for(lambda: faulty_proxy.requests("GET", "b.raw"), "the download")
    plans = list(case.destination().glob("*.plan.json"))

    # when
    process.send_signal(signal.SIGKILL)
    run_cli.finish(process)
    faulty_proxy.clear()

    # then
    (plan,) = plans
    assert run_cli("apply", plan).exit_code == 0
    assert case.unrestored() == []


def test_names_of_ours_should_be_refused_in_a_plan(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    """No raw file can take the place of a kept plan."""
    name = "_download_status_batch_20250101_000000.plan.json"
    case = make_restore_case(thermo(name, size_bytes=100), thermo("good.raw", size_bytes=100))

    result = run_cli("restore", *case.raw_file_ids, *catalog_and_config(case), "--yes")

    assert result.exit_code == 1
    assert case.unrestored() == [f"PRID001/{name}"]
