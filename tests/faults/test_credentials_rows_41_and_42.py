"""Scorecard rows 41 and 42: credentials that cannot be got or renewed, and helpers that fail, hang or talk too much."""

import hashlib
import json
import signal
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest
from apply_case import compile_plan, last_report, thermo
from cli import Cli
from conftest import MakeRestoreCase
from embedded_s3 import EmbeddedS3
from fault_case import many_files
from raw_server import RawServer
from restore_case import RestoreCase
from waiting import wait_for

from applier.s3.credential_process import MAX_SECONDS

SECRET = "hvs.ASECRETOFATEST"
ROLE = "role_arn = arn:aws:iam::123456789012:role/restore\nsource_profile = base\n"
SSO = "sso_account_id = 123456789012\nsso_role_name = restore\n"
SSO_START = "sso_start_url = https://example.awsapps.com/start\nsso_region = eu-central-1\n"
LOG_IN = "log in with `aws sso login --profile ours`"
BY_HAND = "run it by hand"
NOT_CREDENTIALS = "it printed something that is not credentials"
CONFIGURATION = "check the AWS configuration of profile ours"

LOGIN = {"startUrl": "https://example.awsapps.com/start", "region": "eu-central-1", "accessToken": SECRET}
# SSO session -> the file that its login left
LOGIN_FILES = {
    "past": json.dumps({**LOGIN, "expiresAt": "2020-01-01T00:00:00Z"}).encode(),
    "empty": b"",
    "cut": json.dumps(LOGIN).encode()[:-9],
    "not-utf-8": b"\xff\xfe",
    "null": b"null",
    "naive": json.dumps({**LOGIN, "expiresAt": "2099-01-01T00:00:00"}).encode(),
    "number": json.dumps({**LOGIN, "expiresAt": 5}).encode(),
    "words": json.dumps({**LOGIN, "expiresAt": "soon"}).encode(),
    "no-token": json.dumps({**LOGIN, "expiresAt": "2099-01-01T00:00:00Z", "accessToken": None}).encode(),
}
# profile -> what is said of it
HOPELESS: dict[str, tuple[str, str]] = {
    "SSO, never logged in": (f"sso_session = corp\n{SSO}[sso-session corp]\n{SSO_START}", LOG_IN),
    "SSO, old form": (SSO_START + SSO, LOG_IN),
    **{
        f"SSO, login file: {session}": (f"sso_session = {session}\n{SSO}[sso-session {session}]\n{SSO_START}", LOG_IN)
        for session in LOGIN_FILES
    },
    "SSO, half configured": ("sso_session = corp\nsso_account_id = 1\n[sso-session corp]\n", CONFIGURATION),
    "login": ("login_session = arn:aws:iam::123456789012:user/someone\n", "`aws login --profile ours`|botocore[crt]"),
    "role, STS away": (ROLE, "cannot be reached"),
    "role with MFA": (f"{ROLE}mfa_serial = arn:aws:iam::123456789012:mfa/operator\n", "asks for an MFA code"),
    "role of nobody": ("role_arn = arn:aws:iam::123456789012:role/x\nsource_profile = nobody\n", CONFIGURATION),
    "role of itself": ("role_arn = arn:aws:iam::123456789012:role/x\nsource_profile = ours\n", CONFIGURATION),
    "role, source a helper that fails": (
        (
            "role_arn = arn:aws:iam::123456789012:role/x\nsource_profile = broken\n"
            f"[profile broken]\ncredential_process = sh -c 'echo {SECRET}; echo {SECRET} >&2; exit 3'\n"
        ),
        BY_HAND,
    ),
    "web identity without a token": (
        "role_arn = arn:aws:iam::123456789012:role/x\nweb_identity_token_file = /nonexistent/token\n",
        "cannot be read",
    ),
    "helper that fails": (
        f"credential_process = sh -c 'echo {SECRET} >&2; echo {SECRET}; exit 255'\n",
        "exit code 255",
    ),
    "helper that is not there": ("credential_process = /nonexistent/helper\n", "could not be started"),
    "helper of bad quotes": ("credential_process = 'x\n", "ours"),
    "helper without JSON": (f"credential_process = echo {SECRET}\n", NOT_CREDENTIALS),
    "helper with bytes": ("credential_process = printf \\\\377\n", NOT_CREDENTIALS),
    "helper with a list": ("credential_process = echo [1]\n", "ours"),
    "helper with a number": (
        """credential_process = echo '{"Version": 1, "AccessKeyId": 5, "SecretAccessKey": [7]}'\n""",
        "ours|credentials hold",
    ),
    "helper of version 2": (f"""credential_process = echo '{{"Version": "{SECRET}"}}'\n""", BY_HAND),
    "helper of much": ("credential_process = yes\n", "far more than credentials"),
    "expired at once": (
        (
            """credential_process = echo '{"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "S", """
            """"SessionToken": "T", "Expiration": "2020-01-01T00:00:00Z"}'\n"""
        ),
        "has expired already",
    ),
    "empty secret": (
        "aws_access_key_id = AKIAEXAMPLE\naws_secret_access_key =\n",
        "the AWS credentials have an empty access key or secret key: check where they are set",
    ),
    "half a key": ("aws_access_key_id = AKIAEXAMPLE\n", CONFIGURATION),
    "no configuration": ("= = [\n", "config"),
}


def configured(cli: Cli, profile: str) -> dict[str, str | None]:
    """Write an AWS configuration, and return the environment in which it counts."""
    folder = cli.folder / ".aws"
    (folder / "sso" / "cache").mkdir(parents=True)
    base = "[profile base]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = examplesecret\n"
    (folder / "config").write_text(f"{base}[profile ours]\nregion = eu-central-1\n{profile}", encoding="utf-8")
    for session, content in LOGIN_FILES.items():
        name = hashlib.sha1(session.encode(), usedforsecurity=False).hexdigest()
        (folder / "sso" / "cache" / f"{name}.json").write_bytes(content)
    return {
        "AWS_ACCESS_KEY_ID": None,
        "AWS_SECRET_ACCESS_KEY": None,
        "AWS_PROFILE": "ours",
        "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9",
    }


@pytest.mark.parametrize("name", HOPELESS)
def test_credentials_that_cannot_be_got_should_be_refused_with_the_next_step_row_41(
    run_cli: Cli, make_restore_case: MakeRestoreCase, name: str
) -> None:
    # given
    case = make_restore_case(thermo(size_bytes=10))
    plan = compile_plan(run_cli, case)
    profile, said = HOPELESS[name]
    environment = configured(run_cli, profile)

    # when
    result = run_cli("-v", "apply", plan, environment=environment)

    # then
    assert result.exit_code == 2
    assert any(words in result.stderr for words in said.split("|")), result.stderr
    assert SECRET not in result.stderr + result.stdout
    assert len(result.stderr.splitlines()) <= 3
    assert not case.destination().exists()


@pytest.mark.parametrize("stalled", ["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_EC2_METADATA_SERVICE_ENDPOINT"])
def test_a_credential_service_that_answers_nonsense_should_be_refused_row_41(
    run_cli: Cli, make_restore_case: MakeRestoreCase, stalled: str
) -> None:
    case = make_restore_case(thermo(size_bytes=10))
    plan = compile_plan(run_cli, case)
    nonsense = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\n<a/>"
    with RawServer(defaultdict(lambda: nonsense)) as server:
        environment = {stalled: server.url("/"), "AWS_EC2_METADATA_DISABLED": "false"}

        result = run_cli("apply", plan, environment=configured(run_cli, "") | {"AWS_PROFILE": None} | environment)

    assert result.exit_code == 2, result.stderr
    assert "S3 access: " in result.stderr
    assert len(result.stderr.splitlines()) == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Helper:
    """A credential helper that hands out right credentials for some seconds, and what it does at which start.

    Attributes:
        folder: Of the script, not below the program's own: what it holds is secret.
    """

    folder: Path
    server: EmbeddedS3

    def does(self, cli: Cli, body: str, *, seconds: int = 3) -> dict[str, str | None]:
        """Write the script, in which `$n` counts the starts, and return the environment in which it counts."""
        keys = f'"AccessKeyId":"{self.server.access_key}","SecretAccessKey":"{self.server.secret_key}"'
        script = self.folder / "helper.sh"
        script.write_text(
            f"#!/bin/sh\necho x >>{self.folder}/starts; n=$(wc -l <{self.folder}/starts)\n{body}\n"
            f'printf \'{{"Version":1,{keys},"Expiration":"%s"}}\' '
            f"$(date -u -d '+{seconds} seconds' +%Y-%m-%dT%H:%M:%SZ)\n",
            encoding="utf-8",
        )
        script.chmod(0o755)
        return configured(cli, f"credential_process = {script}\n")

    @property
    def starts(self) -> int:
        """How often it was started."""
        return len((self.folder / "starts").read_text(encoding="ascii").splitlines())


@pytest.fixture
def helper(tmp_path_factory: pytest.TempPathFactory, s3_server: EmbeddedS3) -> Helper:
    return Helper(folder=tmp_path_factory.mktemp("helper"), server=s3_server)


@pytest.fixture
def case(make_restore_case: MakeRestoreCase) -> RestoreCase:
    return make_restore_case(many_files(200, 50_000))


SLOW = ("--max-bandwidth", "1M", "--max-outage", "60")


def test_credentials_that_are_renewed_should_serve_a_whole_run_row_41(
    run_cli: Cli, case: RestoreCase, helper: Helper
) -> None:
    """The control."""
    plan = compile_plan(run_cli, case)

    result = run_cli("apply", plan, *SLOW, environment=helper.does(run_cli, "true"))

    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert 3 <= helper.starts <= 40


def test_a_login_that_ends_in_mid_run_should_end_the_run_row_41(
    run_cli: Cli, case: RestoreCase, helper: Helper
) -> None:
    plan = compile_plan(run_cli, case)
    ends = helper.does(run_cli, f"if [ $n -gt 3 ]; then echo {SECRET} >&2; echo {SECRET}; exit 9; fi")

    result = run_cli("-v", "apply", plan, *SLOW, environment=ends)

    assert result.exit_code == 1
    report = last_report(case)
    failures = [line for line in report.splitlines() if ": FAILURE - " in line]
    assert failures
    assert all(": FAILURE - Access denied: " in line for line in failures)
    assert "the credentials could not be renewed: the credential_process of profile ours gave no credentials" in report
    assert SECRET not in report + result.stderr
    assert helper.starts < 12


def test_a_renewal_that_fails_for_a_moment_should_be_got_over_row_41(
    run_cli: Cli, case: RestoreCase, helper: Helper
) -> None:
    plan = compile_plan(run_cli, case)

    result = run_cli("apply", plan, *SLOW, environment=helper.does(run_cli, "case $n in 4|5) exit 9;; esac"))

    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []


@pytest.mark.parametrize(
    "good_starts", [pytest.param(0, id="at the start"), pytest.param(3, id="in mid-run", marks=pytest.mark.long)]
)
def test_a_helper_that_hangs_should_be_ended_with_its_children_row_42(
    run_cli: Cli, case: RestoreCase, helper: Helper, good_starts: int
) -> None:
    # given one whose child holds on to its output
    plan = compile_plan(run_cli, case)
    pids = helper.folder / "pids"
    hangs = f"if [ $n -gt {good_starts} ]; then sleep 300 & echo $$ $! >{pids}; wait; fi"

    # when
    result = run_cli("apply", plan, *SLOW, environment=helper.does(run_cli, hangs), timeout_seconds=100)

    # then
    said = result.stderr if good_starts == 0 else last_report(case)
    assert result.exit_code == (2 if good_starts == 0 else 1)
    assert f"it gave no answer within {MAX_SECONDS:.0f} s and was ended" in said
    assert not any(_runs(int(pid)) for pid in pids.read_text(encoding="ascii").split())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_should_end_a_run_that_still_waits_for_credentials_rows_29_and_42(
    run_cli: Cli, case: RestoreCase, helper: Helper, number: signal.Signals
) -> None:
    plan = compile_plan(run_cli, case)
    pids = helper.folder / "pids"
    hangs = helper.does(run_cli, f"echo $$ >{pids}; exec sleep 300")
    process = run_cli.start("apply", plan, environment=hangs)
    wait_for(pids.exists, "the helper")

    process.send_signal(number)
    begun = time.monotonic()
    result = run_cli.finish(process)

    assert result.exit_code == 128 + number
    assert time.monotonic() - begun < MAX_SECONDS / 2
    wait_for(lambda: not _runs(int(pids.read_text(encoding="ascii"))), "the end of the helper")
    assert list(case.output_location.iterdir()) == []


def test_a_signal_that_ends_a_run_in_a_renewal_should_end_the_helper_row_42(
    run_cli: Cli, case: RestoreCase, helper: Helper
) -> None:
    # given a renewal in mid-run that hangs
    plan = compile_plan(run_cli, case)
    pids = helper.folder / "pids"
    hangs = helper.does(run_cli, f"if [ $n -gt 3 ]; then echo $$ >{pids}; exec sleep 300; fi")
    process = run_cli.start("apply", plan, *SLOW, environment=hangs)
    wait_for(pids.exists, "the helper")

    # when
    process.send_signal(signal.SIGTERM)
    result = run_cli.finish(process)

    # then
    assert result.exit_code == 128 + signal.SIGTERM
    wait_for(lambda: not _runs(int(pids.read_text(encoding="ascii"))), "the end of the helper")


def _runs(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
