"""`kraken-plan split` and `report`: a plan applied in parts, and one set of reports as if it had been applied whole."""

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from apply_case import bruker, compile_plan, last_report, left_staged, thermo
from cli import Cli, CliResult
from conftest import MakeRestoreCase
from plan_samples import OTHER_MD5, make_plan, plan_bytes, planned_file, planned_raw_file

from schemas.plan_source import load_plan


def split(run_cli: Cli, plan: Path, number: int) -> list[Path]:
    """The plans, as printed."""
    done = run_cli("split", plan, "-n", str(number), "-o", "shards")
    assert done.exit_code == 0, done.stderr
    return [run_cli.folder / line for line in done.stdout.splitlines()]


def apply_each(run_cli: Cli, shards: Sequence[Path]) -> list[Path]:
    """Apply plans one after the other, without reports; the results files."""
    results = [shard.with_suffix(".results") for shard in shards]
    for shard, path in zip(shards, results, strict=True):
        assert run_cli("apply", shard, "--no-report", "--results", path).exit_code in {0, 1}
    return results


def report(run_cli: Cli, plan: Path, *arguments: str | Path) -> CliResult:
    return run_cli("report", "--plan", plan, *arguments)


def sections(text: str) -> list[str]:
    """What a report says of each file, less how long it took."""
    return re.findall(r"^.*: (?:OK|FAILURE) - .*?(?= \(|$)|^(?:Raw File|ERROR|Total|Status).*", text, re.MULTILINE)


def test_parts_should_make_the_report_that_the_whole_plan_would(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    # given raw files of two projects, and one that is in no catalog
    case = make_restore_case(thermo(), bruker(), thermo("b.raw", "PRID002", 3000), thermo("c.raw", "PRID002", 1000))
    plan = compile_plan(run_cli, case, *case.raw_file_ids, "absent.raw")

    # when
    results = apply_each(run_cli, split(run_cli, plan, 3))
    assert list(case.output_location.rglob("_download*")) == []
    done = report(run_cli, plan, *results)

    # then the reports are of all of it, and the files are there
    assert done.exit_code == 1
    counts = "17 verified, 0 failed, 1 unresolvable, 0 not attempted"
    reason = "not verified: 1 unresolvable; the first: absent.raw: RawFile not found in the catalog"
    assert done.stderr == f"5 raw files, 18 entries: {counts}\n{reason}\n"
    reports = [path for project in ("PRID001", "PRID002") for path in case.reports(project)]
    at_the_top = list(case.output_location.glob("_download*"))
    assert done.stdout.splitlines() == [*map(str, reports), *map(str, at_the_top)]
    assert "ERROR: RawFile not found in the catalog" in at_the_top[0].read_text(encoding="utf-8")
    assert f"Plan: {load_plan(str(plan)).plan_digest}\n" in last_report(case)
    assert case.unrestored() == []
    assert left_staged(case) == []

    # and say what a report of one apply would
    merged = [sections(path.read_text(encoding="utf-8")) for path in reports]
    shutil.rmtree(case.output_location)
    case.output_location.mkdir()
    run_cli("apply", plan)
    whole = [sections(case.reports(project)[-1].read_text(encoding="utf-8")) for project in ("PRID001", "PRID002")]
    assert merged == whole


def test_parts_of_one_destination_should_be_applied_at_once(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    # given files of several parts, small ones, and corrupt ones on the disk, all for one destination
    case = make_restore_case(*map(thermo, ("a.raw", "b.raw", "c.raw")), *map(bruker, ("d.d", "e.d", "f.d")))
    shards = split(run_cli, compile_plan(run_cli, case), 4)
    for name in ("a.raw", "d.d/3.m/f3.xml", "e.d/analysis.tdf_bin"):
        (case.destination() / name).parent.mkdir(parents=True, exist_ok=True)
        (case.destination() / name).write_bytes(b"corrupt")

    # when every part is applied by a process of its own, which writes a report of its own
    runs = [run_cli.start("apply", shard) for shard in shards]
    results = [run_cli.finish(run) for run in runs]

    # then each is right, none has taken anything from another, and all reports are there
    assert [result.exit_code for result in results] == [0, 0, 0, 0], results
    assert case.unrestored() == []
    assert left_staged(case) == []
    assert sorted(result.stdout for result in results) == [f"{path}\n" for path in case.reports()]
    reports = [path.read_text(encoding="utf-8") for path in case.reports()]
    digests = {re.findall("^Plan: (.*)$", text, re.MULTILINE)[0] for text in reports}
    assert digests == {load_plan(str(shard)).plan_digest for shard in shards}
    said = "".join(reports)
    assert said.count(": OK - Downloaded and verified") == 3 + 3 * 14 - 3
    assert said.count(": OK - Self-healed") == 3


def test_report_should_name_what_no_run_attempted(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    # given two parts, of which one was applied
    case = make_restore_case(thermo("a.raw", size_bytes=1001), thermo("b.raw", size_bytes=1000))
    plan = compile_plan(run_cli, case)
    (first, *_) = apply_each(run_cli, split(run_cli, plan, 2)[:1])

    # when
    done = report(run_cli, plan, first)

    # then
    assert done.exit_code == 1
    assert "a.raw: OK - Downloaded and verified" in last_report(case)
    assert "b.raw: FAILURE - Not attempted\n" in last_report(case)
    assert "Total files: 2\nSuccessful files: 1\nFailed files: 1\nStatus: PARTIAL FAILURE\n" in last_report(case)


def test_report_should_count_a_later_success(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    # given a run in which a file fails, and a later one in which it does not
    case = make_restore_case(thermo("a.raw", size_bytes=1000), thermo("b.raw", size_bytes=1000))
    plan = compile_plan(run_cli, case)
    case.destination().mkdir()
    (case.destination() / "b.raw").mkdir()
    assert run_cli("apply", plan, "--results", "first.jsonl", "--no-report").exit_code == 1
    (case.destination() / "b.raw").rmdir()
    assert run_cli("apply", plan, "--results", "second.jsonl", "--no-report").exit_code == 0
    set_started_at(run_cli.folder / "first.jsonl", "2020-01-01T00:00:00Z")

    # when / then: whatever the order in which they are given
    for order in (["first.jsonl", "second.jsonl"], ["second.jsonl", "first.jsonl"]):
        assert report(run_cli, plan, *order).exit_code == 0
        assert "b.raw: OK - Downloaded and verified" in last_report(case)
    assert report(run_cli, plan, "first.jsonl").exit_code == 1
    assert "b.raw: FAILURE - Cannot write: " in last_report(case)


def set_started_at(results: Path, started_at: str) -> None:
    head, *lines = results.read_text(encoding="utf-8").splitlines(keepends=True)
    results.write_text("".join([json.dumps(json.loads(head) | {"started_at": started_at}) + "\n", *lines]))


def test_report_should_not_count_results_of_other_bytes(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    # given results of a plan that asked for other bytes under the same names
    case = make_restore_case(thermo("a.raw", size_bytes=1000), thermo("b.raw", size_bytes=1000))
    plan = compile_plan(run_cli, case)
    assert run_cli("apply", plan, "--results", "results.jsonl", "--no-report").exit_code == 0
    document = json.loads(plan.read_bytes())
    del document["plan_digest"]
    document["raw_files"]["a.raw"]["files"][0]["expected_etag"] = OTHER_MD5
    (run_cli.folder / "other.json").write_text(json.dumps(document))

    # when
    done = report(run_cli, Path("other.json"), "results.jsonl")

    # then
    assert done.exit_code == 1
    assert "results.jsonl: 1 of 2 results not of this plan" in done.stderr
    assert "a.raw: FAILURE - Not attempted\n" in last_report(case)
    assert "b.raw: OK - Downloaded" in last_report(case)

    # and where none is of this plan, it is refused
    document["raw_files"]["b.raw"]["files"][0]["expected_etag"] = OTHER_MD5
    (run_cli.folder / "other.json").write_text(json.dumps(document))
    refused = report(run_cli, Path("other.json"), "results.jsonl")
    assert refused.exit_code == 2
    assert "results.jsonl: none of its 2 results is of this plan" in refused.stderr
    assert len(case.reports()) == 1


def test_report_should_follow_a_restore_to_another_root(
    run_cli: Cli, make_restore_case: MakeRestoreCase, tmp_path: Path
) -> None:
    # given
    case = make_restore_case(thermo(size_bytes=1000))
    plan = compile_plan(run_cli, case)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    root = ("--output-root", elsewhere)
    assert run_cli("apply", plan, "--results", "results.jsonl", "--no-report", *root).exit_code == 0

    # when / then: those are other files than the plan's own
    refused = report(run_cli, plan, "results.jsonl")
    assert refused.exit_code == 2
    assert f"--output-root {elsewhere}" in refused.stderr
    assert list(case.output_location.iterdir()) == []

    # when / then
    done = report(run_cli, plan, "results.jsonl", *root)
    assert done.exit_code == 0
    assert Path(done.stdout.strip()).parent == elsewhere / "PRID001"


def test_report_should_read_what_a_killed_run_has_left(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    # given results whose last line is cut off
    case = make_restore_case(thermo("a.raw", size_bytes=1000), thermo("b.raw", size_bytes=1000))
    plan = compile_plan(run_cli, case)
    assert run_cli("apply", plan, "--results", "results.jsonl", "--no-report", "--jobs", "1").exit_code == 0
    *finished, summary = (run_cli.folder / "results.jsonl").read_bytes().splitlines(keepends=True)
    assert summary.startswith(b'{"run_summary": ')
    (run_cli.folder / "results.jsonl").write_bytes(b"".join(finished)[:-20])

    # when
    done = report(run_cli, plan, "results.jsonl")

    # then
    assert done.exit_code == 1
    assert "results.jsonl: line 3 is cut off" in done.stderr
    assert sorted(re.findall("(OK|FAILURE) - ", last_report(case))) == ["FAILURE", "OK"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no such results file"),
        (b"notes\nmore\n", "line 1: not JSON"),
        (b'{"a": 1}\n', "line 1: no results_version"),
    ],
)
def test_report_should_refuse_files_that_are_not_results(run_cli: Cli, content: bytes | None, words: str) -> None:
    (run_cli.folder / "plan.json").write_bytes(plan_bytes(make_plan()))
    if content is not None:
        (run_cli.folder / "results").write_bytes(content)
    done = report(run_cli, Path("plan.json"), "results")
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"results: {words}" in done.stderr


def test_report_should_refuse_a_plan_of_another_site(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    case = make_restore_case(thermo(size_bytes=1000))
    plan = compile_plan(run_cli, case)
    run_cli("apply", plan, "--results", "results.jsonl", "--no-report")
    (run_cli.folder / "site.yaml").write_text("locations:\n  output: /another\n")
    done = report(run_cli, plan, "results.jsonl", "--config", "site.yaml")
    assert done.exit_code == 2
    assert "--allow-output-root" in done.stderr
    assert case.reports() == []


def test_split_should_write_plans_of_equal_bytes_beside_the_plan(run_cli: Cli) -> None:
    # given
    files = [planned_file(f"a.d/{number}", size=1000) for number in range(7)]
    whole = make_plan(planned_raw_file("a.d", *files), planned_raw_file("b.raw", planned_file("b.raw", size=1000)))
    (run_cli.folder / "week.json").write_bytes(plan_bytes(whole))

    # when
    done = run_cli("split", "week.json", "-n", "2")

    # then
    assert (done.exit_code, done.stdout) == (0, "week-1-of-2.json\nweek-2-of-2.json\n")
    assert done.stderr == "2 plans of 3.9 KiB to 3.9 KiB; together 8 files\n"
    assert all(run_cli("validate", name).exit_code == 0 for name in done.stdout.split())
    written = (run_cli.folder / "week-1-of-2.json").read_bytes()
    assert json.loads(written)["created_at"] == whole.created_at

    # and the same plan is split in the same way, from stdin too, as often as one likes
    assert run_cli("split", "week.json", "-n", "2", "-q").stderr == ""
    assert (run_cli.folder / "week-1-of-2.json").read_bytes() == written
    run_cli("split", "-", "-n", "2", "-o", "new/folder", stdin=(run_cli.folder / "week.json").read_text())
    assert (run_cli.folder / "new" / "folder" / "plan-1-of-2.json").read_bytes() == written


def test_split_should_keep_files_that_are_not_plans(run_cli: Cli) -> None:
    (run_cli.folder / "plan.json").write_bytes(plan_bytes(make_plan()))
    (run_cli.folder / "plan-2-of-2.json").write_text('{"results": []}')
    done = run_cli("split", "plan.json", "-n", "2")
    assert done.exit_code == 2
    assert "plan-2-of-2.json: something that is not a plan already exists there" in done.stderr
    assert (run_cli.folder / "plan-2-of-2.json").read_text() == '{"results": []}'
    assert sorted(path.name for path in run_cli.folder.iterdir()) == ["plan-2-of-2.json", "plan.json"]


def test_split_should_not_lose_the_plan_that_it_reads(run_cli: Cli) -> None:
    content = plan_bytes(make_plan())
    (run_cli.folder / "plan.json").write_bytes(content)
    (run_cli.folder / "plan-1-of-1.json").symlink_to("plan.json")
    done = run_cli("split", "plan.json", "-n", "1")
    assert done.exit_code == 2
    assert (run_cli.folder / "plan.json").read_bytes() == content


def test_an_empty_part_should_be_applied(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    """A Slurm array or an Airflow map wants exactly as many plans as it has asked for."""
    case = make_restore_case(thermo(size_bytes=1000))
    plan = compile_plan(run_cli, case)
    shards = split(run_cli, plan, 3)
    assert [run_cli("apply", shard, "--results", f"{shard}.results").exit_code for shard in shards] == [0, 0, 0]
    assert report(run_cli, plan, *(f"{shard}.results" for shard in shards)).exit_code == 0


def test_a_report_that_cannot_be_written_should_be_told(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    # given a destination that has become a file since
    case = make_restore_case(thermo(size_bytes=1000), thermo("b.raw", "PRID002", 1000))
    plan = compile_plan(run_cli, case)
    assert run_cli("apply", plan, "--results", "results.jsonl", "--no-report").exit_code == 0
    shutil.rmtree(case.destination())
    case.destination().write_bytes(b"")

    # when
    done = report(run_cli, plan, "results.jsonl")

    # then the others are written all the same
    assert done.exit_code == 1
    assert f"{case.destination()}: the report cannot be written: " in done.stderr
    assert done.stdout.splitlines() == [str(path) for path in case.reports("PRID002")]


def test_nothing_should_be_named_in_another_encoding_than_the_plans(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo(size_bytes=1000))
    plan = compile_plan(run_cli, case)
    latin = {"LANG": "C", "LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    (run_cli.folder / "results.jsonl").write_bytes(b"")
    for arguments in (("apply", plan), ("report", "--plan", plan, "results.jsonl")):
        done = run_cli(*arguments, environment=latin)
        assert done.exit_code == 2
        assert "file names are not UTF-8 here" in done.stderr
    assert list(case.output_location.iterdir()) == []
