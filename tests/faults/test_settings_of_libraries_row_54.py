"""Scorecard row 54: what libraries would read from the environment is decided once, for all requests alike."""

import re
from base64 import b64encode
from collections import defaultdict
from pathlib import Path

import obstore
import pytest
from apply_case import assert_no_s3, compile_plan
from cli import Cli
from conftest import MakeRestoreCase
from embedded_s3 import EmbeddedS3
from fault_case import many_files
from faulty_proxy import FaultyProxy
from raw_server import RawServer
from tls import make_private_ca

DEAD_PROXY = "http://127.0.0.1:9"
# The names that obstore's library knows, as they stand in it.
LIBRARY = next(Path(obstore.__file__).parent.glob("_obstore*.so"))
OF_THE_CHAIN = re.compile(
    r"(access_key|secret|session_token|^aws_token|region|endpoint_url|container_|web_identity|role_)"
)


def names_that_obstore_reads() -> list[str]:
    """Every AWS_* variable that obstore would obey, less those of the AWS chain."""
    text = LIBRARY.read_bytes()
    known = set(re.findall(rb"aws_(?=[a-z])(?:(?!aws_)[a-z0-9_])+", text))
    names = {name.decode() for name in known}
    return sorted(name.upper() for name in names if not OF_THE_CHAIN.search(name))


@pytest.mark.parametrize("value", ["true", "of no sense"])
def test_variables_that_only_obstore_reads_should_change_nothing_row_54(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, value: str
) -> None:
    # given all of them at once
    case = make_restore_case(many_files(12), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    names = [
        *("AWS_SKIP_SIGNATURE", "AWS_S3_EXPRESS", "AWS_CHECKSUM_ALGORITHM", "AWS_CONDITIONAL_PUT", "AWS_ALLOW_HTTP"),
        *("AWS_COPY_IF_NOT_EXISTS", "AWS_UNSIGNED_PAYLOAD", "AWS_REQUEST_PAYER", "AWS_DISABLE_TAGGING", "AWS_BUCKET"),
        *("AWS_DISABLE_BULK_DELETE", "AWS_SERVER_SIDE_ENCRYPTION", "AWS_SSE_BUCKET_KEY_ENABLED", "AWS_PROXY_URL"),
        *("AWS_SSE_CUSTOMER_KEY_BASE64", "AWS_SSE_KMS_KEY_ID", "AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "AWS_ENDPOINT"),
        *("AWS_ALLOW_INVALID_CERTIFICATES", "AWS_HTTP2_ONLY", "AWS_TIMEOUT", "AWS_DEFAULT_HEADERS", "AWS_TOKEN"),
        *names_that_obstore_reads(),
    ]

    # when
    result = run_cli("apply", plan, environment=dict.fromkeys(names, value))

    # then
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert {exchange.request.signed_region for exchange in faulty_proxy.log} == {"eu-central-1"}
    assert result.stderr.count("not heeded: AWS_ENDPOINT, AWS_SKIP_SIGNATURE, ") == 1


def test_the_endpoint_of_the_plan_should_go_before_the_variable_for_s3_row_54(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(many_files(12))

    result = run_cli("apply", compile_plan(run_cli, case), environment={"AWS_ENDPOINT_URL_S3": DEAD_PROXY})

    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []


@pytest.mark.parametrize(
    "exempt",
    [
        "127.0.0.1",
        "127.0.0.0/8",
        "127.0.0.1:{port}",
        "*",
        ".0.0.1",
        "other, 127.0.0.1",
        "other 127.*, http://127.0.0.1",
    ],
)
def test_an_exempt_server_should_be_asked_directly_row_54(
    run_cli: Cli, make_restore_case: MakeRestoreCase, s3_server: EmbeddedS3, exempt: str
) -> None:
    case = make_restore_case(many_files(12))
    proxies = {"http_proxy": DEAD_PROXY, "ALL_PROXY": DEAD_PROXY, "NO_PROXY": exempt.format(port=s3_server.port)}

    result = run_cli("apply", compile_plan(run_cli, case), "--retries", "0", environment=proxies)

    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_a_proxy_that_is_not_there_should_be_named_row_54(
    run_cli: Cli, make_restore_case: MakeRestoreCase, variable: str
) -> None:
    case = make_restore_case(many_files(2))
    plan = compile_plan(run_cli, case)
    proxy = {variable: "http://someone:APROXYPASSWORD@127.0.0.1:9", "NO_PROXY": "127.0.0.1:1, 127.0.0.2, 10.0.0.0/8"}

    result = run_cli("apply", plan, "--retries", "0", "--max-outage", "0", environment=proxy)

    assert_no_s3(result, case, "cannot connect through the proxy http://127.0.0.1:9\n")
    assert "APROXYPASSWORD" not in result.stderr


@pytest.mark.parametrize(
    ("endpoint_url", "answer", "said"),
    [
        ("http://s3.example.org", "407 Proxy Authentication Required", "the proxy wants a login, or another one: "),
        ("https://s3.example.org", "407 Proxy Authentication Required", "the proxy wants a login, or another one: "),
        ("https://s3.example.org", "403 Forbidden", "the proxy refuses it (status 403): ask who runs it"),
        ("http://s3.example.org", "511 Network Authentication Required", "a portal on the way wants a login"),
    ],
)
def test_what_a_proxy_wants_should_be_said_at_once_row_54(
    run_cli: Cli, make_restore_case: MakeRestoreCase, endpoint_url: str, answer: str, said: str
) -> None:
    # given
    case = make_restore_case(many_files(2))
    plan = compile_plan(run_cli, case)
    raw_answer = f"HTTP/1.1 {answer}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode()
    with RawServer(defaultdict(lambda: raw_answer)) as proxy:
        url = proxy.url("").replace("//", "//someone:APROXYPASSWORD@")
        environment = {"HTTP_PROXY": url, "HTTPS_PROXY": url}
        options = ("--endpoint-url", endpoint_url, "--max-outage", "0")

        # when
        applied = run_cli("apply", plan, *options, "--retries", "1", environment=environment, timeout_seconds=30)
        checked = run_cli("doctor", "--endpoint-url", endpoint_url, environment=environment)

    # then
    assert applied.exit_code == 2
    assert said in applied.stderr
    assert checked.exit_code == 1
    assert said in checked.stdout.replace("\n                      ", " ")
    assert "APROXYPASSWORD" not in applied.stderr + checked.stdout


def test_a_proxy_should_get_the_first_look_and_the_bytes_row_54(
    run_cli: Cli, make_restore_case: MakeRestoreCase, s3_server: EmbeddedS3
) -> None:
    with FaultyProxy(s3_server.port) as proxy:
        case = make_restore_case(many_files(12))

        url = proxy.endpoint_url.replace("//", "//me:%E2%82%AC%C3%BC@")
        result = run_cli("apply", compile_plan(run_cli, case), environment={"http_proxy": url})

    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert len(proxy.requests("GET")) >= 13
    logins = {exchange.request.proxy_login for exchange in proxy.log}
    assert logins == {f"Basic {b64encode('me:€ü'.encode()).decode()}"}


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("socks5://127.0.0.1:9", "a proxy that speaks socks5 cannot be used"),
        ("http://", "it does not name a proxy"),
        ("http://[x", "it does not name a proxy"),
        ("http://h:99999", "it does not name a proxy"),
    ],
)
def test_a_proxy_that_cannot_be_used_should_be_refused_row_54(
    run_cli: Cli, make_restore_case: MakeRestoreCase, url: str, said: str
) -> None:
    case = make_restore_case(many_files(2))

    result = run_cli("apply", compile_plan(run_cli, case), environment={"all_proxy": url})

    assert result.exit_code == 2
    assert f"all_proxy: {said}" in result.stderr


@pytest.mark.parametrize("setting", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_certificates_should_count_for_the_first_look_and_the_bytes_row_54(
    run_cli: Cli, make_restore_case: MakeRestoreCase, s3_server: EmbeddedS3, tmp_path: Path, setting: str
) -> None:
    ca = make_private_ca(tmp_path)
    with FaultyProxy(s3_server.port, tls=ca.context) as proxy:
        case = make_restore_case(many_files(12), endpoint_url=proxy.endpoint_url)
        plan = compile_plan(run_cli, case)

        right = run_cli("apply", plan, environment={setting: str(ca.bundle)})
        missing = run_cli("apply", plan, environment={setting: "/nonexistent/bundle.pem"})
        wrong = run_cli("apply", plan, environment={setting: str(plan)})

    assert right.exit_code == 0, right.stderr
    assert case.unrestored() == []
    assert (missing.exit_code, wrong.exit_code) == (2, 2)
    assert f"{setting}" in missing.stderr
    assert "CA bundle /nonexistent/bundle.pem" in missing.stderr
    assert "expected certificates in PEM form" in wrong.stderr


def test_a_machine_without_certificates_should_need_none_for_http_row_54(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(many_files(12))
    nothing = {"SSL_CERT_FILE": "/nonexistent", "SSL_CERT_DIR": "/nonexistent"}

    result = run_cli("apply", compile_plan(run_cli, case), environment=nothing)

    assert result.exit_code == 0, result.stderr
    assert result.stderr.count("certificate") == 0
