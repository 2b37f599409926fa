"""Rows 18 to 21: S3 that is throttled, away for a while or for ever, answered for by others, or not to be trusted."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from apply_case import assert_failed, assert_no_s3, compile_plan, last_report, left_staged, thermo
from cli import Cli
from conftest import MakeRestoreCase
from embedded_s3 import EmbeddedS3, embedded_s3
from fault_case import assert_old_or_right, many_files
from faulty_proxy import FaultyProxy
from network_faults import Action, Answer, Cut, Fault, Rewrite, Stall
from raw_server import RawServer
from restore_case import build_restore_case
from sample_data import MIB, create_versioned_bucket
from tls import make_private_ca
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


# --- row 20


@pytest.mark.parametrize(
    ("known", "days", "said"),
    [
        (False, 1, "the certificate is signed by an unknown CA (a private one is named with AWS_CA_BUNDLE)"),
        (True, -1, "the certificate has expired, or this machine's clock is wrong"),
        (True, 1, None),
    ],
    ids=["unknown", "expired", "right"],
)
def test_a_certificate_should_be_refused_with_its_reason_or_accepted_with_the_right_ca_row_20(
    run_cli: Cli,
    make_restore_case: MakeRestoreCase,
    s3_server: EmbeddedS3,
    tmp_path: Path,
    *,
    known: bool,
    days: int,
    said: str | None,
) -> None:
    # given
    ca = make_private_ca(tmp_path, valid_until=datetime.now(UTC) + timedelta(days=days))
    with FaultyProxy(s3_server.port, tls=ca.context) as proxy:
        case = make_restore_case(many_files(20), endpoint_url=proxy.endpoint_url)
        plan = compile_plan(run_cli, case)

        # when
        result = run_cli("apply", plan, environment={"AWS_CA_BUNDLE": str(ca.bundle)} if known else None)

        # then
        assert_old_or_right(case, result.exit_code)
        if said is None:
            assert result.exit_code == 0, result.stderr
            assert len(proxy.requests("GET", "many.d/")) == 20
        else:
            assert_no_s3(result, case, f"Network error: s3://{case.bucket()}/: TLS: {said}\n")
            assert proxy.connections == 1


class _FailingHandshakes(FaultyProxy):
    """Ends some connections in the midst of their handshake, by an alert (TLS 1.2, 7.2) or by nothing at all."""

    failing = range(1, 4)
    alert: int | None = None

    def get_request(self) -> tuple[socket.socket, object]:
        connection, address = super().get_request()
        if self.connections not in self.failing:
            return connection, address
        with socket.socket(fileno=connection.detach()) as plain:
            plain.recv(4096)
            if self.alert is not None:
                plain.sendall(bytes([0x15, 3, 3, 0, 2, 2, self.alert]))
        raise ConnectionAbortedError  # the server passes over it


@pytest.mark.parametrize("alert", [None, 20, 50, 80], ids=["end", "bad record mac", "decode error", "internal error"])
@pytest.mark.parametrize("failing", [range(1, 4), range(2, 5)], ids=["at first", "later on"])
def test_a_handshake_that_breaks_off_should_be_tried_again_row_20(
    run_cli: Cli,
    make_restore_case: MakeRestoreCase,
    s3_server: EmbeddedS3,
    tmp_path: Path,
    *,
    alert: int | None,
    failing: range,
) -> None:
    # given
    ca = make_private_ca(tmp_path)
    with _FailingHandshakes(s3_server.port, tls=ca.context) as proxy:
        proxy.alert, proxy.failing = alert, failing
        case = make_restore_case(many_files(20), endpoint_url=proxy.endpoint_url)
        plan = compile_plan(run_cli, case)

        # when
        result = run_cli("apply", plan, environment={"AWS_CA_BUNDLE": str(ca.bundle)})

        # then
        assert result.exit_code == 0, result.stderr
        assert case.unrestored() == []
        assert proxy.connections > failing[-1]


def test_a_server_without_tls_should_be_named_as_such_row_20(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    case = make_restore_case(many_files(1), endpoint_url=faulty_proxy.endpoint_url.replace("http:", "https:"))

    result = run_cli("apply", compile_plan(run_cli, case))

    assert_no_s3(result, case, "TLS: the server does not speak it (check --endpoint-url)\n")


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
