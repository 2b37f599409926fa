"""Scorecard row 51: where S3 redirects to another host, no signature and no session token goes there."""

import socketserver

import pytest
from apply_case import compile_plan, last_report
from cli import Cli
from conftest import MakeRestoreCase
from fault_case import many_files, plant_old_files, whole_object
from faulty_proxy import FaultyProxy
from loopback_server import LoopbackServer
from network_faults import Answer, Fault
from restore_case import RestoreCase
from sample_data import etag_of

IMPATIENT = ("--retries", "1", "--max-outage", "2", "--timeout", "5", "--jobs", "2")
LAST_MODIFIED = "Wed, 01 Jan 2025 00:00:00 GMT"
TOKEN = "SESSIONTOKENOFATEST"


class OtherHost(LoopbackServer):
    """Keeps what it is asked, and answers that there is nothing."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(_Handler)


class _Handler(socketserver.StreamRequestHandler):
    server: OtherHost

    def handle(self) -> None:
        lines = []
        while (line := self.rfile.readline()).strip():
            lines.append(line.decode("latin-1"))
        self.server.asked.append("".join(lines))
        self.wfile.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def play_s3(proxy: FaultyProxy, case: RestoreCase) -> None:
    """Answer for S3, which would know the session token of a test for none of its own."""
    listing = Answer(status=200, body=b"<ListBucketResult></ListBucketResult>")
    proxy.add(Fault(action=listing, key=f"^/{case.bucket()}/?$"))
    for name, content in case.raw_files[0].contents.items():
        etag = etag_of(content, 5)
        head = Answer(status=200, body=content, headers={"ETag": f'"{etag}"', "Last-Modified": LAST_MODIFIED})
        get = whole_object(content, etag, **{"Last-Modified": LAST_MODIFIED})
        proxy.add(Fault(action=head, key=name, method="HEAD"), Fault(action=get, key=name, method="GET"))


def test_the_s3_of_these_tests_should_be_restored_from(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    """The control."""
    case = make_restore_case(many_files(12), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    play_s3(faulty_proxy, case)

    result = run_cli("apply", plan, environment={"AWS_SESSION_TOKEN": TOKEN})

    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []


@pytest.mark.parametrize("status", [302, 308])
@pytest.mark.parametrize("asked", ["listing", "HEAD", "GET", "the tenth GET"])
@pytest.mark.parametrize("token", [TOKEN, None], ids=["token", "no token"])
def test_no_secret_should_follow_a_redirect_row_51(  # noqa: PLR0917  # fixtures
    run_cli: Cli,
    make_restore_case: MakeRestoreCase,
    faulty_proxy: FaultyProxy,
    status: int,
    asked: str,
    token: str | None,
) -> None:
    with OtherHost() as other:
        # given
        case = make_restore_case(many_files(12), endpoint_url=faulty_proxy.endpoint_url)
        plan = compile_plan(run_cli, case)
        action = Answer(status=status, body=b"", headers={"Location": f"http://localhost:{other.port}/there"})
        if asked == "listing":
            faulty_proxy.add(Fault(action=action, key=f"^/{case.bucket()}/?$"))
        else:
            skip = 9 if asked == "the tenth GET" else 0
            faulty_proxy.add(Fault(action=action, key="many.d/", method=asked.rsplit(maxsplit=1)[-1], skip=skip))
        play_s3(faulty_proxy, case)
        if asked == "HEAD":  # of what is there already
            plant_old_files(case)

        # when
        result = run_cli("apply", plan, *IMPATIENT, environment={"AWS_SESSION_TOKEN": token})

    # then
    assert result.exit_code == (2 if asked == "listing" else 1)
    sent = "".join(other.asked).lower()
    assert "authorization" not in sent
    assert "x-amz-security-token" not in sent
    if token or asked in {"listing", "GET"}:
        assert other.asked == []
        assert f"a redirect to http://localhost:{other.port}, which is not followed" in (
            result.stderr if asked == "listing" else last_report(case)
        )
