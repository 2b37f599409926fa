"""Scorecard row 40: endpoints that make a library panic are refused by name, and a panic is an error like any other."""

import json
import threading
from collections import defaultdict
from dataclasses import replace

import pytest
from apply_case import assert_no_s3, compile_plan, thermo
from cli import Cli
from conftest import MakeRestoreCase
from embedded_s3 import EmbeddedS3
from raw_server import RawServer

from applier.s3.aws_chain import S3Access
from applier.s3.boto_store import BotoStore
from applier.s3.faults import S3Fault
from applier.s3.network import S3Address
from applier.s3.obstore_store import ObstoreStore
from schemas.s3_location import ObjectLocation, explain_bad_endpoint_url

ODD_ENDPOINTS = [
    "http://ü.example",
    "http://a%20b.example",
    "http://127.0.0.1:9/`x`",
    "http://.:9",
    "http://a..b:9",
    "http://" + "a" * 64 + ".example",
    "http://xn--a:9",
    "http://a.b.1:9",
    "http://999.1.1.1:9",
    "http://0x7f.1:9",
    "http://[v1.a]:9",
    "http://[fe80::1%25eth0]:9",
    "http://127.0.0.1:9/a/../b",
]


@pytest.mark.parametrize("command", ["apply", "status"])
@pytest.mark.parametrize("endpoint_url", ODD_ENDPOINTS)
def test_an_odd_endpoint_should_be_refused_at_once_row_40(
    run_cli: Cli, make_restore_case: MakeRestoreCase, command: str, endpoint_url: str
) -> None:
    # given a plan that names it
    case = make_restore_case(thermo(size_bytes=10))
    document = json.loads(compile_plan(run_cli, case).read_bytes())
    document["s3"]["endpoint_url"] = endpoint_url
    document.pop("plan_digest")

    # when
    result = run_cli(command, "-", stdin=json.dumps(document), timeout_seconds=30)

    # then
    assert result.exit_code == 2
    assert "endpoint" in result.stderr
    assert "panicked" not in result.stderr
    assert not case.destination().exists()


@pytest.mark.parametrize(
    "endpoint_url",
    [
        "http://localhost:9000",
        "http://minio_1:9000",
        "https://s3.example.org./base/",
        "https://xn--bcher-kva.example",
        "http://[::1]:9000",
        "http://10.1.2.3",
    ],
)
def test_an_endpoint_that_servers_have_should_be_accepted(endpoint_url: str) -> None:
    assert explain_bad_endpoint_url(endpoint_url) is None


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 45\r\n\r\nThe plain HTTP request was sent to HTTPS port",
        b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
    ],
    ids=["nginx", "go"],
)
def test_http_to_a_port_that_speaks_tls_should_lead_to_the_endpoint_row_40(
    run_cli: Cli, make_restore_case: MakeRestoreCase, answer: bytes
) -> None:
    case = make_restore_case(thermo(size_bytes=10))
    with RawServer(defaultdict(lambda: answer)) as server:
        result = run_cli("apply", compile_plan(run_cli, case), "--endpoint-url", server.url(""))

    assert_no_s3(result, case, "S3 answered 400, not in S3's words (check the endpoint: http:// or https://?)\n")


class _Unchecked(BotoStore):
    """Has an address that no check has let through."""

    def address(self, bucket_name: str) -> S3Address:
        return replace(super().address(bucket_name), endpoint_url="http://a.b.1:9")


def test_a_panic_of_the_s3_library_should_be_a_fault_row_40(
    s3_server: EmbeddedS3, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # given a store whose endpoint was not checked
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    store = ObstoreStore(_Unchecked(S3Access()))
    place = ObjectLocation(bucket_name="bucket", key="key")

    # when
    outcome: list[BaseException] = []

    def ask() -> None:
        try:
            store.head(place)
        except BaseException as error:  # noqa: BLE001  # the point: what it is
            outcome.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    asking.join(30)

    # then
    assert "panicked" in capfd.readouterr().err  # the library did what it is known for
    assert isinstance(outcome[0], S3Fault)
    assert "the S3 library failed: " in str(outcome[0])
