"""What the tests of `apply` share: raw files to back up, the compiled plan, what is left behind."""

from pathlib import Path

from cli import Cli, CliResult
from restore_case import RestoreCase, raw_file
from sample_data import MIB, RawFileSample, made_up_bytes


def thermo(raw_file_id: str = "sample.raw", project_id: str = "PRID001", size_bytes: int = 12 * MIB) -> RawFileSample:
    """A raw file of one file, in chunks of 5 MB."""
    content = made_up_bytes(raw_file_id, size_bytes)
    return raw_file(raw_file_id, {raw_file_id: (content, 5)}, project_id=project_id)


def bruker(raw_file_id: str = "sample.d", project_id: str = "PRID001") -> RawFileSample:
    """A folder of 14 files, one of them of several parts and one empty."""
    files = {f"{raw_file_id}/{number}.m/f{number}.xml": (made_up_bytes(str(number), 300), 5) for number in range(12)}
    files[f"{raw_file_id}/analysis.tdf_bin"] = (made_up_bytes("bin", 11 * MIB), 5)
    files[f"{raw_file_id}/empty.lock"] = (b"", 5)
    return raw_file(raw_file_id, files, project_id=project_id)


def mixed() -> RawFileSample:
    """A file large enough to be resumed, one of three parts, small ones, an empty one."""
    files = {f"s.d/{number}.m/small.xml": (made_up_bytes(str(number), 400), 5) for number in range(8)}
    files["s.d/analysis.tdf_bin"] = (made_up_bytes("resumable", 33 * MIB), 5)
    files["s.d/analysis.tdf"] = (made_up_bytes("parts", 11 * MIB), 5)
    files["s.d/empty.lock"] = (b"", 5)
    return raw_file("s.d", files)


def compile_plan(run_cli: Cli, case: RestoreCase, *ids: str) -> Path:
    """Compile a plan of the case's raw files, or of the ids named."""
    plan = case.folder / "plan.json"
    asked = ids or case.raw_file_ids
    done = run_cli("compile", *asked, "--catalog", case.export_path, "--config", case.config_path, "-o", plan)
    assert plan.exists(), done.stderr
    return plan


def last_report(case: RestoreCase, project_id: str = "PRID001") -> str:
    """The text of a project's newest report."""
    return case.reports(project_id)[-1].read_text(encoding="utf-8")


def left_staged(case: RestoreCase) -> list[Path]:
    """What is staged, with the folders it is in."""
    return [path for found in case.output_location.rglob(".kraken-plan") for path in [found, *found.rglob("*")]]


def assert_no_s3(result: CliResult, case: RestoreCase, *words: str) -> None:
    """Refused at the start, because S3 cannot be used: it is named, and nothing is in anybody's folder."""
    assert result.exit_code == 2, result.stderr
    assert "nothing was restored:\n  S3 cannot be used: http" in result.stderr
    assert [one for one in words if one not in result.stderr] == [], result.stderr
    assert list(case.output_location.iterdir()) == []


def assert_failed(result: CliResult, case: RestoreCase, *lines: str) -> None:
    """Exit code 1, the report named and holding the lines, nothing left behind."""
    assert result.exit_code == 1, result.stderr
    report = last_report(case)
    for line in lines:
        assert line in report
    assert str(case.reports()[-1]) in result.stdout
    assert left_staged(case) == []
