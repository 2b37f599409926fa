"""Rows 18, 19 and 21: S3 that is throttled, away for a while or for ever, or answered for by others."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from apply_case import assert_failed, assert_no_s3, compile_plan, last_report, left_staged, thermo
from cli import Cli
from conftest import MakeRestoreCase
from embedded_s3 import embedded_s3
from fault_case import assert_old_or_right, many_files
from faulty_proxy import FaultyProxy
from network_faults import Action, Answer, Cut, Fault, Rewrite, Stall
from raw_server import RawServer
from restore_case import build_restore_case
from sample_data import MIB, create_versioned_bucket
from waiting import wait_for

from applier.restore.jobs import SMALL_FILE_JOBS

THROTTLED = Answer(status=503, code="SlowDown")
ANSWERS = [Answer(status=status, code=code) for status, code in ((503, "SlowDown"), (500, "InternalError"), (429, ""))]
FILE_BYTES = 1000


@contextmanager
def ending_after(seconds: float, proxy: FaultyProxy) -> Iterator[None]:
    """Clear the proxy's faults after a while."""
    timer = threading.Timer(seconds, proxy.clear)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


# --- row 18


def test_two_errors_of_the_server_should_be_retried_row_18(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given
    actions: list[Action] = [*ANSWERS, Cut(after=0)]
    case = make_restore_case(many_files(len(actions)), endpoint_url=faulty_proxy.endpoint_url)
    for number, action in enumerate(actions):
        faulty_proxy.add(Fault(action=action, key=f"many.d/{number:03}", times=2))

    # when
    result = run_cli("apply", compile_plan(run_cli, case))

    # then
    assert result.exit_code == 0, result.stderr
    assert_old_or_right(case, result.exit_code)
    assert len([exchange for exchange in faulty_proxy.log if exchange.fault]) == 2 * len(actions)


@pytest.mark.parametrize("outage_seconds", [3, pytest.param(30, marks=pytest.mark.long)])
def test_an_outage_should_be_waited_out_row_18(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, outage_seconds: float
) -> None:
    # given a server that is throttled as a whole, and from the bucket check on
    case = make_restore_case(many_files(200), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    faulty_proxy.add(Fault(action=THROTTLED))

    # when
    with ending_after(outage_seconds, faulty_proxy):
        result = run_cli("apply", plan, timeout_seconds=110)

    # then
    assert result.exit_code == 0, result.stderr
    assert_old_or_right(case, result.exit_code)


@pytest.mark.parametrize(
    ("action", "said"),
    [(THROTTLED, ": S3 answered 503 SlowDown (throttled)\n"), (Stall(seconds=60), ": no answer in time\n")],
    ids=["throttled", "silent"],
)
def test_files_of_a_server_that_never_recovers_should_be_told_one_by_one_row_18(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, action: Action, said: str
) -> None:
    # given a server that lists its bucket, and no more
    count = 30
    case = make_restore_case(many_files(count), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    faulty_proxy.add(Fault(action=action, key="many.d/"))

    # when
    result = run_cli("apply", plan, "--retries", "1", "--timeout", "1")

    # then; it has not been silent for long enough to be given up
    assert_failed(result, case, f"Successful files: 0\nFailed files: {count}\nStatus: FAILURE\n")
    assert last_report(case).count(said) == count
    assert len(faulty_proxy.requests("GET", "many.d/")) == 2 * count
    assert len(case.unrestored()) == count


def test_an_outage_that_outlasts_all_retries_should_cost_few_files_row_18(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given requests with retries for 8 seconds, and an outage of 16
    case = make_restore_case(many_files(200), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    faulty_proxy.add(Fault(action=THROTTLED, key="many.d/"))

    # when
    with ending_after(16, faulty_proxy):
        result = run_cli("apply", plan, "--retries", "5", timeout_seconds=110)

    # then the run has waited for it, and said so, and only what had asked in vain before that can have failed
    assert "no answer from S3 for " in result.stderr
    assert "S3 answers again" in result.stderr
    assert len(case.unrestored()) <= SMALL_FILE_JOBS
    assert_old_or_right(case, result.exit_code)


def test_an_outage_that_outlasts_all_retries_should_not_cost_a_big_file_row_18(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given the one file of a plan, of 12 ranges, of which each has retries for 8 seconds
    case = make_restore_case(thermo("big.raw", size_bytes=96 * MIB), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    faulty_proxy.add(Fault(action=THROTTLED, key="big.raw", method="GET"))

    # when
    with ending_after(16, faulty_proxy):
        result = run_cli("apply", plan, "--retries", "5", timeout_seconds=110)

    # then
    assert result.exit_code == 0, result.stderr
    assert "S3 answers again" in result.stderr
    assert case.unrestored() == []


def test_a_server_that_stays_away_should_be_given_up_row_18(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given
    case = make_restore_case(many_files(200), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    faulty_proxy.add(Fault(action=THROTTLED, key="many.d/"))

    # when
    result = run_cli("apply", plan, "--max-outage", "6", timeout_seconds=110)

    # then
    assert_failed(result, case, "Failed files: 200\n", "was not asked for, as ")
    assert last_report(case).count("503 SlowDown (throttled)\n") == 200
    assert len(faulty_proxy.requests("GET", "many.d/")) <= SMALL_FILE_JOBS * 8


@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_server_that_never_recovers_should_be_given_up_after_a_minute_row_18(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given
    case = make_restore_case(many_files(2000), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    faulty_proxy.add(Fault(action=THROTTLED, key="many.d/"))

    # when
    begun = time.monotonic()
    result = run_cli("apply", plan, "--max-outage", "60", timeout_seconds=300)

    # then; each for itself, 128 at a time, they would have taken 14 minutes
    assert time.monotonic() - begun < 180
    assert_failed(result, case, "Failed files: 2000\n", "was not asked for, as ")
    assert last_report(case).count("503 SlowDown (throttled)\n") == 2000
    assert len(faulty_proxy.requests("GET", "many.d/")) <= SMALL_FILE_JOBS * 8


def test_a_server_that_is_not_there_should_be_told_once_for_a_bucket_row_18(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(many_files(20), endpoint_url="http://127.0.0.1:1")

    result = run_cli("apply", compile_plan(run_cli, case), "--retries", "1")

    assert_no_s3(result, case, ": http://127.0.0.1:1 (", f"): Network error: s3://{case.bucket()}/: cannot connect\n")


# --- row 19

# where the answer is whole, the next attempt must not take the connection that is about to be closed
PARTIAL = b"HTTP/1.1 206 Partial Content\r\nConnection: close\r\n"
RAW = {
    "/portal": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 14\r\n\r\n<html>Log in!\n",
    "/no http": b"\x00\x16\x03 garbage\r\n\r\n",
    "/nothing": b"",
    "/headers": PARTIAL + b"".join(b"x-%d: y\r\n" % number for number in range(1000)) + b"\r\n",
    "/length": PARTIAL + b"Content-Length: -5\r\n\r\nabc",
    "/range": PARTIAL + b"Content-Length: 3\r\nContent-Range: rubbish\r\n\r\nabc",
    "/continue": b"HTTP/1.1 100 Continue\r\n\r\n",
    "/status": b"HTTP/1.1 999 What\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
}
REDIRECTED = "a bad answer: a redirect to http://127.0.0.1:"
BAD_ANSWERS: dict[str, tuple[Action, str]] = {
    "a portal": (Answer(status=200, body=b"<html>Log in!</html>"), "a bad answer: "),
    "200 for a range": (Rewrite(status=200, headers={"Content-Range": None}), "a bad answer: "),
    "another range": (Rewrite(headers={"Content-Range": f"bytes 1-{FILE_BYTES}/{FILE_BYTES + 1}"}), "a bad answer: "),
    "no range": (Rewrite(headers={"Content-Range": None}), "a bad answer: "),
    "a redirect to nowhere": (Answer(status=302, headers={"Location": "http://127.0.0.1:1/"}), REDIRECTED),
    "a redirect of no address": (Answer(status=302), "a bad answer: "),
}


@pytest.mark.parametrize("times", [1, None], ids=["once", "always"])
def test_answers_that_are_not_s3s_should_be_named_or_retried_row_19(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, times: int | None
) -> None:
    with RawServer({path.replace(" ", "%20"): answer for path, answer in RAW.items()}) as other_host:
        # given each bad answer for a file of its own, of another host's too
        redirects = {
            path: (Answer(status=307, headers={"Location": other_host.url(path.replace(" ", "%20"))}), REDIRECTED)
            for path in RAW
        }
        bad = [*BAD_ANSWERS.items(), *redirects.items()]
        case = make_restore_case(many_files(len(bad) + 1, FILE_BYTES), endpoint_url=faulty_proxy.endpoint_url)
        for number, (_, (action, _)) in enumerate(bad):
            faulty_proxy.add(Fault(action=action, key=f"many.d/{number:03}", method="GET", times=times))

        # when
        result = run_cli("apply", compile_plan(run_cli, case), "--retries", "1", "--timeout", "2")

    # then
    assert_old_or_right(case, result.exit_code)
    if times == 1:
        assert result.exit_code == 0, result.stderr
        return
    assert_failed(result, case, f"Successful files: 1\nFailed files: {len(bad)}\n")
    told = [line.partition("FAILURE - ")[2] for line in last_report(case).splitlines() if "FAILURE - " in line]
    for (name, (_, words)), line in zip(bad, told, strict=True):
        assert line.startswith("Network error: "), (name, line)
        assert words in line, (name, line)


# --- row 21


@pytest.mark.parametrize("away_seconds", [1, pytest.param(20, marks=pytest.mark.long)])
def test_a_server_that_is_killed_and_comes_back_should_be_waited_for_row_21(
    run_cli: Cli, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, away_seconds: float
) -> None:
    folder, case_folder, bucket = tmp_path_factory.mktemp("s3"), tmp_path / "case", "alphakraken-prid001"
    case_folder.mkdir()
    with embedded_s3(folder) as server, closing(server.client()) as client:
        # given a run of some seconds, half done
        create_versioned_bucket(client, bucket)
        case = build_restore_case(
            [many_files(20, 250_000)],
            client=client,
            folder=case_folder,
            buckets={"PRID001": bucket},
            endpoint_url=server.endpoint_url,
        )
        plan = compile_plan(run_cli, case)
        options = ["--jobs", "4", "--max-bandwidth", "1500K"]
        process = run_cli.start("-v", "apply", plan, *options, environment=server.environment)
        wait_for(lambda: len(case.unrestored()) < 15, "the first files")

    # when the server, killed at the end of the block, is back after a while
    assert case.unrestored() != []
    time.sleep(away_seconds)
    with embedded_s3(folder, again=server):
        result = run_cli.finish(process, timeout_seconds=100)

    # then
    assert result.exit_code == 0, result.stderr
    assert "the first attempt failed: " in result.stderr
    assert case.unrestored() == []
    assert left_staged(case) == []
