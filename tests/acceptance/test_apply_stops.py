"""Runs that are killed, or not alone, and what the next run makes of it; signals: `test_signals_row_29`."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
from typing import TYPE_CHECKING

import pytest
from apply_case import compile_plan, left_staged, thermo
from cli import PROGRAM, Cli
from conftest import MakeRestoreCase
from faulty_proxy import FaultyProxy
from network_faults import Fault, Stall
from restore_case import raw_file
from sample_data import MIB, made_up_bytes
from screen import Screen
from stalled_run import (
    BIG_BYTES,
    PARTS,
    big,
    journal_lines,
    kill_with_four_parts_staged,
    stall,
    start_until_four_parts_are_staged,
)
from waiting import wait_for

from applier.disk.part_hashing import SEGMENT_BYTES

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def test_a_killed_run_should_be_resumed_and_cleaned_up(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given a run that is killed with four of five parts staged
    case = make_restore_case(big(), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    stall(faulty_proxy, 2)
    kill_with_four_parts_staged(run_cli, case, plan)
    assert not (case.destination() / "big.raw").exists()
    assert left_staged(case) != []
    faulty_proxy.clear()

    # when
    result = run_cli("apply", plan)

    # then
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert left_staged(case) == []
    fetched_bytes = sum(exchange.sent_bytes for exchange in faulty_proxy.requests("GET", "big.raw"))
    assert 0 < fetched_bytes <= 1.1 * BIG_BYTES / PARTS


@pytest.mark.parametrize(
    "damage", ["bytes", "more bytes", "journal lies", "journal cut", "journal of another etag", "no part"]
)
def test_damaged_leftovers_should_cost_a_fetch_and_never_correctness(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, damage: str
) -> None:
    # given what a killed run left, damaged
    case = make_restore_case(big(), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    stall(faulty_proxy, 4)
    kill_with_four_parts_staged(run_cli, case, plan)
    faulty_proxy.clear()
    (journal,) = case.output_location.rglob("*.journal")
    (part,) = case.output_location.rglob("*.part")
    text = journal.read_text(encoding="ascii")
    match damage:
        case "bytes":
            with part.open("r+b") as file:
                file.seek(BIG_BYTES // 2)
                file.write(b"damaged")
        case "more bytes":
            with part.open("ab") as file:
                file.truncate(BIG_BYTES)
                file.seek(0, os.SEEK_END)
                file.write(b"more than there should be")
        case "journal lies":
            never_fetched = [BIG_BYTES - SEGMENT_BYTES, BIG_BYTES]
            journal.write_text(f'{text}{{"landed": {never_fetched}}}\n', encoding="ascii")
        case "journal cut":
            journal.write_text(text[: len(text) // 2], encoding="ascii")
        case "journal of another etag":
            journal.write_text(text.replace('{"etag": "', '{"etag": "0', 1), encoding="ascii")
        case "no part":
            part.unlink()

    # when
    result = run_cli("apply", plan)

    # then
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert left_staged(case) == []


def test_a_killed_run_should_be_resumed_inside_a_part(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given a file of one part, killed with all but the last of its segments staged
    content = made_up_bytes("one part", BIG_BYTES)
    case = make_restore_case(raw_file("one.raw", {"one.raw": (content, 500)}), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    last = BIG_BYTES - SEGMENT_BYTES
    faulty_proxy.add(Fault(action=Stall(seconds=60, after=MIB), key="one.raw", range=f"bytes={last}-"))
    process = run_cli.start("apply", plan)
    others = BIG_BYTES // SEGMENT_BYTES - 1
    wait_for(lambda: journal_lines(case).count('"landed"') == others, "all but one segment in the journal")
    process.kill()
    process.wait()
    faulty_proxy.clear()

    # when
    result = run_cli("apply", plan)

    # then only that one is fetched
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert [exchange.request.range for exchange in faulty_proxy.requests("GET", "one.raw")] == [
        f"bytes={last}-{BIG_BYTES - 1}"
    ]


@pytest.mark.parametrize("options", [[], ["--no-report"]], ids=["report", "no report"])
def test_what_is_staged_of_a_file_that_has_become_right_should_be_deleted(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, options: list[str]
) -> None:
    # given what a killed run has staged, and the file restored by other means
    case = make_restore_case(big(), thermo("new.raw", size_bytes=100), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    stall(faulty_proxy, 4)
    kill_with_four_parts_staged(run_cli, case, plan)
    faulty_proxy.clear()
    (case.destination() / "big.raw").write_bytes(case.raw_files[0].contents["big.raw"])

    # when
    result = run_cli("apply", plan, *options)

    # then
    assert result.exit_code == 0, result.stderr
    assert faulty_proxy.requests("GET", "big.raw") == []
    assert case.unrestored() == []
    assert left_staged(case) == []


def test_what_a_living_run_has_staged_should_be_left_to_it(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given a run that hangs
    case = make_restore_case(big(), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    faulty_proxy.add(Fault(action=Stall(seconds=5, after=MIB), key="big.raw", method="GET", times=1))
    first = start_until_four_parts_are_staged(run_cli, case, plan)

    # when another one does the same meanwhile
    second = run_cli("apply", plan)

    # then both end well
    assert second.exit_code == 0, second.stderr
    assert case.unrestored() == []
    assert run_cli.finish(first).exit_code == 0
    assert case.unrestored() == []
    assert len(case.reports()) == 2
    assert left_staged(case) == []


@pytest.mark.parametrize("columns", [40, 120])
def test_apply_should_draw_one_line_on_a_terminal_and_erase_it(
    run_cli: Cli, make_restore_case: MakeRestoreCase, s3: "S3Client", columns: int
) -> None:
    # given a terminal, and a file that fails
    case = make_restore_case(thermo(), thermo("gone.raw"))
    plan = compile_plan(run_cli, case)
    s3.delete_object(Bucket=case.bucket(), Key="gone.raw")
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    shown: list[bytes] = []

    def read() -> None:
        try:
            while chunk := os.read(controller, 4096):
                shown.append(chunk)
        except OSError:  # the terminal is closed
            pass

    reader = threading.Thread(target=read)
    reader.start()

    # when
    process = subprocess.Popen(
        [PROGRAM, "apply", plan], env=run_cli.environment, stdout=subprocess.PIPE, stderr=terminal
    )
    stdout, _ = process.communicate(timeout=60)
    os.close(terminal)
    reader.join()
    os.close(controller)

    # then the line told the counts, from begin to end
    text = b"".join(shown).decode()
    assert "0 verified, 2 to go" in text
    assert "1 verified, 1 failed" in text
    # and what stays is the begin, what failed, the end and no copy of the line
    screen = Screen(columns)
    screen.write(text)
    seen = "".join(screen.rows)
    assert "to go" not in seen
    assert seen.startswith(f"{plan}: 2 files of 2 raw files, 24.0 MiB; compiled ")
    assert "ERROR gone.raw: FAILURE - S3 key not found" in seen
    assert "2 raw files, 2 entries: 1 verified, 1 failed, 0 unresolvable, 0 not attempted" in seen
    # and stdout has the report alone
    assert stdout.decode() == f"{case.reports()[0]}\n"


def test_apply_should_say_nothing_of_progress_elsewhere(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    case = make_restore_case(thermo())

    plan = compile_plan(run_cli, case)
    result = run_cli("apply", plan)

    start, source, destination, sums, figures = result.stderr.splitlines()
    assert start.startswith(f"{plan}: 1 file of 1 raw file, 12.0 MiB; compiled ")
    assert source.startswith("from http://127.0.0.1:")
    assert "credentials: the environment, access key …" in source
    assert destination == f"to {case.destination()}"
    assert sums == "1 raw file, 1 entry: 1 verified, 0 failed, 0 unresolvable, 0 not attempted"
    assert re.fullmatch(r"  verified 12\.0 MiB \(1 downloaded\) in 0:\d\d; fetched 12\.0 MiB( at \S+ MiB/s)?", figures)
