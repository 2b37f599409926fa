"""Scorecard row 50: answers without end cost bounded memory, few requests and bounded time."""

import socketserver

import pytest
from apply_case import compile_plan, last_report
from cli import Cli
from conftest import MakeRestoreCase
from embedded_s3 import EmbeddedS3
from endless_continue import EndlessContinue
from fault_case import assert_old_or_right, many_files
from faulty_proxy import FaultyProxy
from loopback_server import LoopbackServer
from network_faults import Answer, Fault
from peak_memory import peak_memory_bytes

from applier.s3.aws_chain import S3Access
from applier.s3.boto_store import BotoStore
from applier.s3.faults import S3Fault
from schemas.results import FailureKind

BLOCK = b"<a>" * 20_000
MOST_BYTES = 250_000_000
IMPATIENT = ("--retries", "1", "--max-outage", "0", "--timeout", "5")
FOR_EVER_TRUNCATED = (
    b'<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>'
    b"<KeyCount>0</KeyCount><MaxKeys>1</MaxKeys><IsTruncated>true</IsTruncated>"
    b"<NextContinuationToken>x</NextContinuationToken></ListBucketResult>"
)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(action=Answer(status=200, body=BLOCK, is_endless=True), key="/$|^/[^/]*$"), "is not a list of objects"),
        (Fault(action=Answer(status=403, body=BLOCK, is_endless=True), key="many.d/", method="GET"), "answered 403"),
        (Fault(action=Answer(status=404, body=BLOCK, is_endless=True), key="many.d/", method="GET"), "key not found"),
        (Fault(action=Answer(status=500, body=BLOCK, is_endless=True), key="many.d/", method="GET"), "answered 500"),
        (Fault(action=Answer(status=200, body=BLOCK, is_endless=True), key="many.d/", method="GET"), "not the range"),
        (Fault(action=Answer(status=302, body=BLOCK, is_endless=True), key="many.d/", method="GET"), "a redirect"),
    ],
    ids=["listing", "403", "404", "500", "200 for a range", "302"],
)
def test_an_endless_answer_should_be_named_within_bounds_row_50(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, fault: Fault, said: str
) -> None:
    # given
    case = make_restore_case(many_files(4), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    faulty_proxy.add(fault)

    # when
    process = run_cli.start("apply", plan, *IMPATIENT)
    peak = peak_memory_bytes(process)
    result = run_cli.finish(process)

    # then
    assert 30_000_000 < peak < MOST_BYTES
    if fault.method is None:  # where the bucket cannot be asked, nothing is begun
        assert result.exit_code == 2
        assert said in result.stderr
        return
    assert result.exit_code == 1
    assert said in last_report(case)
    assert_old_or_right(case, result.exit_code)


@pytest.mark.parametrize("status", [403, 500])
def test_an_endless_answer_in_mid_run_should_be_broken_off_row_50(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, status: int
) -> None:
    """By then obstore fetches, which would read it whole."""
    # given
    case = make_restore_case(many_files(30), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    endless = Answer(status=status, body=BLOCK, is_endless=True)
    faulty_proxy.add(Fault(action=endless, key="many.d/029", method="GET"))

    # when
    process = run_cli.start("apply", plan, "--jobs", "2", *IMPATIENT)
    peak = peak_memory_bytes(process)
    result = run_cli.finish(process)

    # then
    assert peak < 2 * MOST_BYTES
    assert "take too much memory" in result.stderr
    assert result.exit_code == 1
    assert f"answered {status}" in last_report(case)
    assert last_report(case).count(": OK - ") == 29


def test_a_listing_that_is_truncated_for_ever_should_be_asked_for_once_row_50(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    case = make_restore_case(many_files(2), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    faulty_proxy.add(Fault(action=Answer(status=200, body=FOR_EVER_TRUNCATED), key=f"^/{case.bucket()}/?$"))

    result = run_cli("apply", plan)

    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert ["list-type" in exchange.request.query for exchange in faulty_proxy.requests("GET")].count(True) == 1


@pytest.mark.parametrize("length", ["99999999999999999999999999", "-5", "1e3", "9" * 5000, "12, 13"])
def test_an_absurd_length_should_be_named_row_50(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, length: str
) -> None:
    # given
    case = make_restore_case(many_files(3), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    headers = {"Content-Length": length, "Content-Range": "bytes 0-999/1000", "ETag": '"x"'}
    faulty_proxy.add(Fault(action=Answer(status=206, body=b"x", headers=headers), key="many.d/000"))

    # when
    result = run_cli("apply", plan, *IMPATIENT)

    # then
    assert result.exit_code == 1
    assert "000: FAILURE - Network error: " in last_report(case)
    assert "nforeseen" not in last_report(case)
    assert "001: OK - " in last_report(case)


@pytest.mark.parametrize("command", ["apply", "status"])
def test_headers_that_never_come_should_be_given_up_soon_row_50(
    run_cli: Cli, make_restore_case: MakeRestoreCase, command: str
) -> None:
    """`100 Continue` may stand before an answer any number of times, and each one ends the silence."""
    with EndlessContinue() as server:
        # given
        case = make_restore_case(many_files(1), endpoint_url=server.url)
        plan = compile_plan(run_cli, case)

        # when
        result = run_cli(command, plan, "--retries", "1", "--max-outage", "0", "--timeout", "1", timeout_seconds=45)

    # then
    assert result.exit_code == (2 if command == "apply" else 1)
    assert "Timed out: " in result.stderr + result.stdout


class ForEverBeginning(LoopbackServer):
    """Sends the same piece of an answer's head again and again."""

    def __init__(self, piece: bytes) -> None:
        self.piece = piece
        super().__init__(_Handler)


class _Handler(socketserver.StreamRequestHandler):
    server: ForEverBeginning

    def handle(self) -> None:
        while self.rfile.readline().strip():
            pass
        while not self.server.closing.wait(0.05):
            self.wfile.write(self.server.piece)


@pytest.mark.parametrize("piece", [b"HTTP/1.1 100 Continue\r\n\r\n", b"H"], ids=["100 Continue", "a byte"])
def test_an_answer_that_never_gets_beyond_its_head_should_be_given_up_row_50(
    s3_server: EmbeddedS3, monkeypatch: pytest.MonkeyPatch, piece: bytes
) -> None:
    """Each piece comes in time, so that only a deadline for the whole ends it."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    with ForEverBeginning(piece) as server:
        access = S3Access(
            endpoint_url=f"http://127.0.0.1:{server.port}", read_timeout_seconds=1, request_timeout_seconds=2
        )
        store = BotoStore(access)

        with pytest.raises(S3Fault) as caught:
            store.check_bucket("bucket")

    assert caught.value.failure.kind is FailureKind.TIMEOUT
    assert caught.value.transient
