"""`verify`: local files against the plan, without S3, in as many runs as a pass takes. Real program, real files."""

import json
import os
import re
import signal
from pathlib import Path

import pytest
from apply_case import compile_plan
from cli import Cli, CliResult
from conftest import MakeRestoreCase
from faulty_proxy import FaultyProxy
from file_systems import mounted_tmpfs, picture
from needs import needs_root
from restore_case import RestoreCase, raw_file
from sample_data import MIB, made_up_bytes
from waiting import wait_for

WITHOUT_S3 = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_ENDPOINT_URL": None}


def restored_case(run_cli: Cli, make_restore_case: MakeRestoreCase, sizes: dict[str, int]) -> tuple[RestoreCase, Path]:
    """A raw file of files of these sizes in its place, without a restore, and its plan."""
    case = make_restore_case(raw_file("s.d", {f"s.d/{n}": (made_up_bytes(n, size), 5) for n, size in sizes.items()}))
    for path, content in case.raw_files[0].contents.items():
        (case.destination() / path).parent.mkdir(parents=True, exist_ok=True)
        (case.destination() / path).write_bytes(content)
    return case, compile_plan(run_cli, case, "s.d")


def spoil(path: Path) -> None:
    """Turn one bit of a file, behind the back of its times."""
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def verify(run_cli: Cli, plan: Path, *options: str | Path) -> tuple[CliResult, str]:
    """Run it with no way to S3, and return how it ended and the text of its report."""
    result = run_cli("verify", plan, *options, environment=WITHOUT_S3)
    path = result.stdout.rstrip("\n")
    return result, Path(path).read_text(encoding="utf-8") if path else ""


def test_verify_should_find_what_is_wrong_without_s3_and_change_nothing(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    # given
    sizes = {"right": 11 * MIB, "empty": 0, "flipped": 7 * MIB, "short": 100, "missing": 100, "in_the_way": 100}
    case, plan = restored_case(run_cli, make_restore_case, sizes)
    plan = compile_plan(run_cli, case, "s.d", "unknown")
    folder = case.destination() / "s.d"
    spoil(folder / "flipped")
    (folder / "short").write_bytes(b"short")
    (folder / "missing").unlink()
    (folder / "in_the_way").unlink()
    (folder / "in_the_way").mkdir()
    before = picture(case.output_location)

    # when
    result, report = verify(run_cli, plan, "--results", run_cli.folder / "results.jsonl")

    # then
    assert result.exit_code == 1
    assert picture(case.output_location) == before
    assert "7 entries: 2 verified, 4 failed, 1 unresolvable, 0 not attempted\n" in result.stderr
    lines = dict(re.findall(r"^s\.d/(\w+): (.*)$", report, re.MULTILINE))
    assert lines["right"] == "OK - Verified (11.0 MiB)"
    assert lines["empty"] == "OK - Verified (0 B)"
    assert re.fullmatch("FAILURE - Not as planned: etag .{34}, expected .{34}", lines["flipped"])
    assert lines["short"] == "FAILURE - Not as planned: 5 bytes, expected 100"
    assert lines["missing"] == "FAILURE - Not as planned: there is no such file"
    assert lines["in_the_way"] == "FAILURE - Not as planned: a folder stands in the way"
    assert "\nERROR: RawFile not found in the catalog\n" in report
    assert "\nAttention:\n----------\nNot as planned: 4 entries. Applying again helps: yes.\n" in report
    assert "\nOptions: --results " in report
    assert "\nStatus: PARTIAL FAILURE\n" in report

    # and the results are those of apply: a smaller plan comes out of them
    failed = run_cli("select", plan, "--failed", "results.jsonl", "--include", "*")
    (selected,) = json.loads(failed.stdout)["raw_files"].values()
    assert {file["relative_path"].removeprefix("s.d/") for file in selected["files"]} == {
        "flipped",
        "short",
        "missing",
        "in_the_way",
    }


def test_a_stopped_pass_should_be_resumed_and_then_begin_anew(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    # given a slow run that has read some of the files
    case, plan = restored_case(run_cli, make_restore_case, {str(n): 2 * MIB for n in range(6)})
    slow = run_cli.start("verify", plan, "--jobs", "1", "--max-read", "2M", environment=WITHOUT_S3)

    def recorded() -> str:
        return "".join(path.read_text() for path in run_cli.folder.rglob("pass.jsonl"))

    wait_for(lambda: '"path"' in recorded(), "the first files to be recorded")

    # when another one comes in its way, and the slow one is stopped
    refused = run_cli("verify", plan, environment=WITHOUT_S3)
    slow.send_signal(signal.SIGTERM)
    stopped = run_cli.finish(slow)

    # then
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "another run is verifying this plan here" in refused.stderr
    assert stopped.exit_code == 143
    first = Path(stopped.stdout.strip()).read_text()
    assert first.count(": FAILURE - Not attempted (interrupted)") > 0
    assert "\nStatus: INCOMPLETE\n" in first
    verified_at_first = first.count(": OK - Verified")
    assert 0 < verified_at_first < 6

    # and the next run reads what is left, the one after that everything
    result, report = verify(run_cli, plan)
    assert result.exit_code == 0, result.stderr
    assert report.count(": OK - Verified earlier in this pass, at ") == verified_at_first
    assert f"\nVerified: 6 ({6 - verified_at_first} in this run, {verified_at_first} earlier in this pass)" in report
    assert "\nStatus: SUCCESS\n" in report
    assert verify(run_cli, plan)[1].count("earlier") == 0
    assert case.unrestored() == []


def test_samples_should_read_everything_in_turn_and_what_is_wrong_every_time(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    # given
    case, plan = restored_case(run_cli, make_restore_case, {str(n): MIB for n in range(8)})
    folder = case.destination() / "s.d"
    spoil(folder / "3")
    runs = []

    # when every run reads a quarter
    while True:
        runs.append(verify(run_cli, plan, "--sample", "25%"))
        if "is complete" in runs[-1][1]:
            break

    # then
    assert len(runs) == 4
    found = ["s.d/3: FAILURE" in report for _, report in runs]
    assert found == sorted(found)  # once it was found, every run says so
    assert found[-1]
    assert [result.exit_code for result, _ in runs] == [int(wrong) for wrong in found]
    assert [re.findall("^Not attempted: (.)$", report, re.MULTILINE) for _, report in runs] == [
        ["6"],
        ["4"],
        ["2"],
        ["0"],
    ]

    # and in the next pass, too, where a file that is missing is noticed whoever's turn it is
    (folder / "5").unlink()
    result, report = verify(run_cli, plan, "--sample", "1%")
    assert result.exit_code == 1
    assert "s.d/3: FAILURE - Not as planned: etag" in report
    assert "s.d/5: FAILURE - Not as planned: there is no such file" in report
    assert "\nFailed: 2\n" in report

    # and a file that was touched since it was read is read again, but not when the time is up
    verify(run_cli, plan)
    (read,) = set(re.findall(r"^s\.d/(.): OK - Verified \(", verify(run_cli, plan, "--sample", "1%")[1], re.MULTILINE))
    content = bytearray((folder / read).read_bytes())
    content[0] ^= 1
    (folder / read).write_bytes(content)
    result, report = verify(run_cli, plan, "--max-time", "0")
    assert f"s.d/{read}: Not attempted (its size is right)" in report
    assert f"s.d/{read}: FAILURE - Not as planned: etag" in verify(run_cli, plan, "--sample", "1%")[1]


def test_verify_should_heal_what_is_wrong_and_fetch_nothing_else(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given
    case, _ = restored_case(run_cli, make_restore_case, {"right": 1000, "flipped": 1000, "missing": 1000})
    site = case.config_path.read_text().replace(f"{run_cli.environment['AWS_ENDPOINT_URL']}", faulty_proxy.endpoint_url)
    case.config_path.write_text(
        f"{site}\nkraken_plan:\n  commands: {{verify: {{on_corrupt: quarantine, heal: true}}}}\n"
    )
    plan = compile_plan(run_cli, case, "s.d")
    folder = case.destination() / "s.d"
    spoil(folder / "flipped")
    (folder / "missing").unlink()

    # when
    healing = {"KRAKEN_PLAN_APPLY_RETRIES": "0"}
    options = ("--config", case.config_path, "--results", "results.jsonl")
    result = run_cli("verify", plan, *options, environment=healing)

    # then
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert (folder / "flipped.corrupted").exists()
    assert not faulty_proxy.requests("GET", "right")
    digest = json.loads(plan.read_text())["plan_digest"]
    report = case.reports()[-1].read_text()
    assert f"\nPlan: {digest}\n" in report
    assert report.count(": OK - ") == 2
    assert verify(run_cli, plan)[0].exit_code == 0

    # and the results say so
    reported = run_cli("report", "--plan", plan, "results.jsonl")
    assert reported.exit_code == 0, reported.stderr
    assert "results.jsonl are not complete" not in result.stderr


def test_unresolvable_entries_should_fail_whatever_is_read_or_healed(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    # given
    case, _ = restored_case(run_cli, make_restore_case, {"right": 1000, "missing": 1000})
    plan = compile_plan(run_cli, case, "s.d", "unknown")
    (case.destination() / "s.d" / "missing").unlink()

    # when
    healed = run_cli("verify", plan, "--heal", "--summary", "summary.json")
    result, report = verify(run_cli, plan, "--sample", "1%")

    # then
    assert case.unrestored() == []
    assert (healed.exit_code, result.exit_code) == (1, 1)
    summary = json.loads((run_cli.folder / "summary.json").read_text())
    assert (summary["exit_code"], summary["healing"]["exit_code"]) == (1, 0)
    assert "\nunresolvable, as the plan says:\n  unknown: RawFile not found in the catalog\nnext: " in result.stderr
    assert "\nStatus: PARTIAL FAILURE\n" in report


def test_healing_should_be_refused_where_apply_would_refuse_it_or_only_look(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case, plan = restored_case(run_cli, make_restore_case, {"missing": 1000})
    (case.destination() / "s.d" / "missing").unlink()

    dry = run_cli("verify", plan, "--heal", environment={"KRAKEN_PLAN_APPLY_DRY_RUN": "1"})
    other = run_cli("verify", plan, "--heal", environment={"KRAKEN_PLAN_APPLY_EXPECT_DIGEST": "sha256:00"})

    assert (dry.exit_code, other.exit_code) == (2, 2)
    assert "(KRAKEN_PLAN_APPLY_DRY_RUN): unset that, or leave out --heal" in dry.stderr.replace("\n", " ")
    assert "--expect-digest asks for sha256:00, but this plan has " in other.stderr
    assert dry.stdout + other.stdout == ""


def test_an_output_location_that_goes_away_should_be_said_and_nothing_healed(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case, plan = restored_case(run_cli, make_restore_case, {str(n): 2 * MIB for n in range(5)})
    slow = run_cli.start("verify", plan, "--jobs", "1", "--max-read", "2M", "--heal")
    wait_for(lambda: any('"path"' in path.read_text() for path in run_cli.folder.rglob("pass.jsonl")), "a file read")
    case.output_location.rename(case.folder / "elsewhere")
    case.output_location.mkdir()

    result = run_cli.finish(slow)

    assert result.exit_code == 1
    assert "another folder stands where the output location was" in result.stderr
    assert "applying the plan" not in result.stderr
    assert list(case.output_location.iterdir()) == []


def test_what_cannot_be_healed_should_be_said(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    case, plan = restored_case(run_cli, make_restore_case, {"right": 1000, "missing": 1000})
    (case.destination() / "s.d" / "missing").unlink()
    options = ("--heal", "--report-dir", "reports", "--endpoint-url")

    unreachable = run_cli(
        "verify", plan, *options, "http://127.0.0.1:9", environment={"KRAKEN_PLAN_APPLY_RETRIES": "0"}
    )
    refused = run_cli("verify", plan, *options, "nonsense")

    assert (unreachable.exit_code, refused.exit_code) == (1, 1)
    assert "127.0.0.1" in unreachable.stderr
    assert "error: nothing was healed: " in refused.stderr
    assert refused.stdout.startswith(f"{run_cli.folder}/reports/_verification_report_")


def test_verify_should_do_without_a_state_folder_and_say_so(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    _, plan = restored_case(run_cli, make_restore_case, {"right": 1000})
    (run_cli.folder / "taken").write_text("a file")

    result = run_cli("verify", plan, "--state-dir", "taken", "--report-dir", "taken/reports", environment=WITHOUT_S3)

    assert result.exit_code == 1
    assert "cannot be saved: Not a directory (choose another folder with --state-dir)" in result.stderr
    assert "the report cannot be written: Not a directory" in result.stderr
    assert "1 entry: 1 verified, 0 failed, 0 unresolvable, 0 not attempted" in result.stderr


@pytest.mark.parametrize("option", [("--max-time", "6h"), ("--sample", "5%")])
def test_verify_should_refuse_a_part_of_a_pass_that_nothing_would_remember(
    run_cli: Cli, make_restore_case: MakeRestoreCase, option: tuple[str, str]
) -> None:
    # given the account of a service, which has no home
    _, plan = restored_case(run_cli, make_restore_case, {"right": 1000})
    homeless = {**WITHOUT_S3, "HOME": "/nonexistent", "XDG_STATE_HOME": None, "KRAKEN_PLAN_STATE_DIR": None}

    # when
    refused = run_cli("-q", "verify", plan, *option, environment=homeless)

    # then
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "there is no state folder, so every run would begin a new pass" in refused.stderr
    assert "(--state-dir or KRAKEN_PLAN_STATE_DIR)" in refused.stderr

    # and a run that reads everything needs none
    assert run_cli("verify", plan, environment=homeless).exit_code == 0


def test_a_stopped_run_should_not_promise_what_nothing_remembers(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    _, plan = restored_case(run_cli, make_restore_case, {str(n): MIB for n in range(8)})
    (run_cli.folder / "taken").write_text("a file")

    def promises(state: str) -> bool:
        results = run_cli.folder / f"{state}.results"
        options = ("--jobs", "1", "--max-read", "2M", "--state-dir", state, "--results", results)
        slow = run_cli.start("verify", plan, *options, environment=WITHOUT_S3)
        wait_for(lambda: results.exists() and '"s.d/' in results.read_text(), "the first file to be read")
        slow.send_signal(signal.SIGTERM)
        stopped = run_cli.finish(slow)
        assert stopped.exit_code == 143
        return "goes on: the next run reads what is left" in stopped.stderr

    assert promises("state")
    assert not promises("taken")


@needs_root
def test_a_pass_that_does_not_get_on_because_its_folder_is_full_should_not_end_with_exit_code_0(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    # given room for the records of some of the files
    case, plan = restored_case(run_cli, make_restore_case, {str(n): 100 for n in range(60)})
    (run_cli.folder / "state").mkdir()
    options = ("--state-dir", run_cli.folder / "state", "--report-dir", run_cli.folder)
    with mounted_tmpfs(run_cli.folder / "state", "size=4k"):
        # when
        part, _ = verify(run_cli, plan, "--sample", "90%", *options)
        whole, _ = verify(run_cli, plan, "--restart", *options)
        for n in range(10):
            spoil(case.destination() / f"s.d/{n}")
        wrong, _ = verify(run_cli, plan, "--restart", "--sample", "90%", *options)

    # then
    assert part.exit_code == 1
    assert "/pass.jsonl: the progress of this pass cannot be saved: No space left on device (choose" in part.stderr
    assert "the next run will read the same files again" in part.stderr
    assert "goes on: the next run reads what is left" not in part.stderr

    # and a run that reads everything does without
    assert whole.exit_code == 0
    assert "/pass.jsonl: the progress of this pass cannot be saved: No space left on device (choose" in whole.stderr

    # and it is said beside files that are wrong, too
    assert "the next run will read the same files again: this pass may never be complete" in wrong.stderr


@needs_root
def test_a_pass_that_cannot_begin_because_its_folder_is_full_should_be_said(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    # given
    _, plan = restored_case(run_cli, make_restore_case, {"a": 100})
    (run_cli.folder / "state").mkdir()
    options = ("--state-dir", run_cli.folder / "state", "--report-dir", run_cli.folder)
    with mounted_tmpfs(run_cli.folder / "state", "size=4k"):
        (run_cli.folder / "state" / "full").write_bytes(bytes(4096))

        # when
        whole, _ = verify(run_cli, plan, *options)
        part, _ = verify(run_cli, plan, "--sample", "90%", *options)

    # then
    assert whole.exit_code == 0, whole.stderr
    assert "pass.jsonl: the progress of this pass cannot be saved: No space left on device (choose" in whole.stderr
    assert part.exit_code == 2
    assert "pass.jsonl cannot be written, so every run would begin a new pass" in part.stderr
