"""Row 20: S3 whose certificate is not to be trusted, whose handshake breaks off, or that does not speak TLS."""

import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from apply_case import assert_no_s3, compile_plan, thermo
from cli import Cli
from conftest import MakeRestoreCase
from embedded_s3 import EmbeddedS3
from fault_case import assert_old_or_right, many_files
from faulty_proxy import FaultyProxy
from tls import make_private_ca

from applier.restore.download import SMALL_FILE_BYTES


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


def test_a_server_that_only_one_of_the_libraries_can_agree_with_should_be_read_from_row_20(
    run_cli: Cli, make_restore_case: MakeRestoreCase, s3_server: EmbeddedS3, tmp_path: Path
) -> None:
    # given cipher suites that rustls does not have, and files that are asked for by a HEAD first
    ca = make_private_ca(tmp_path)
    ca.context.maximum_version = ssl.TLSVersion.TLSv1_2
    ca.context.set_ciphers("ECDHE-ECDSA-AES256-SHA384")
    with FaultyProxy(s3_server.port, tls=ca.context) as proxy:
        raw_files = [thermo(f"{number}.raw", size_bytes=SMALL_FILE_BYTES + 1) for number in range(2)]
        case = make_restore_case(many_files(20), *raw_files, endpoint_url=proxy.endpoint_url)
        plan = compile_plan(run_cli, case)

        # when
        result = run_cli("apply", plan, "--retries", "1", environment={"AWS_CA_BUNDLE": str(ca.bundle)})

    # then
    assert result.exit_code == 0, result.stderr
    assert_old_or_right(case, 0)


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
