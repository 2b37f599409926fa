"""When credentials are renewed, who waits for it, and what a renewal that fails does to keys that are still valid."""

import json
import os
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import botocore.session
import pytest
from raw_server import RawServer
from waiting import wait_for

from applier.s3.credentials import CredentialSource, Timing
from applier.s3.faults import S3Fault
from schemas.errors import ConfigError
from schemas.results import FailureKind


@dataclass(slots=True)
class Helper:
    """A credential process that is started as the AWS chain starts it, and a clock that moves on request."""

    folder: Path
    now: float = 0.0
    waits: list[float] = field(default_factory=list)

    def gives(self, key: str, *, valid_seconds: int) -> None:
        """Hand out a key from now on."""
        until = datetime.now(UTC) + timedelta(seconds=valid_seconds)
        keys = {"Version": 1, "AccessKeyId": key, "SecretAccessKey": "secret", "Expiration": until.isoformat()}
        (self.folder / "keys.json").write_text(json.dumps(keys), encoding="ascii")

    def prints(self, text: str) -> None:
        """Print this from now on."""
        (self.folder / "keys.json").write_text(text, encoding="ascii")

    def fails(self) -> None:
        """Give nothing from now on."""
        (self.folder / "keys.json").unlink()

    def source(self) -> CredentialSource:
        """Return the credentials of a run that begins now."""
        session = botocore.session.Session(profile="ours")
        return CredentialSource(session, "ours", Timing(self.waits.append, lambda: self.now))

    def hangs(self) -> Path:
        """Give nothing until somebody writes to a pipe."""
        pipe = self.folder / "keys.json"
        pipe.unlink()
        os.mkfifo(pipe)
        return pipe

    @property
    def starts(self) -> int:
        """How often it was started."""
        return len((self.folder / "starts").read_text(encoding="ascii").splitlines())


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Helper:
    script = tmp_path / "helper.sh"
    script.write_text(f"#!/bin/sh\necho x >>{tmp_path}/starts\nexec cat {tmp_path}/keys.json\n", encoding="ascii")
    script.chmod(0o755)
    (tmp_path / "config").write_text(f"[profile ours]\ncredential_process = {script}\n", encoding="ascii")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    return Helper(tmp_path)


def json_keys(**fields: object) -> str:
    """Return what a helper prints, with some fields other than they should be."""
    return json.dumps({"Version": 1, "AccessKeyId": "next", "SecretAccessKey": "other", **fields})


NOT_CREDENTIALS = {
    "words": "no credentials",
    "a list": "[]",
    "nested without end": "[" * 100_000,
    "time without a zone": json_keys(Expiration="2099-01-01T00:00:00"),
    "impossible zone": json_keys(Expiration="2099-01-01T00:00:00+99:99"),
    "empty time": json_keys(Expiration=""),
    "time in words": json_keys(Expiration="soon"),
    "time as a number": json_keys(Expiration=4070908800),
    "times": json_keys(Expiration=["2099-01-01T00:00:00Z"]),
    "null key": json_keys(AccessKeyId=None),
    "empty secret": json_keys(SecretAccessKey=""),
}


@pytest.mark.parametrize(
    ("valid_seconds", "printed"),
    [(890, None), (590, None), *((890, text) for text in NOT_CREDENTIALS.values())],
    ids=["fails", "fails, in the last ten minutes", *NOT_CREDENTIALS],
)
def test_a_renewal_that_fails_should_leave_keys_in_use_that_are_valid_for_minutes(
    helper: Helper, valid_seconds: int, printed: str | None
) -> None:
    # given keys in the 15 minutes before they expire, in which botocore tries to renew them
    helper.gives("first", valid_seconds=valid_seconds)
    source = helper.source()
    helper.fails() if printed is None else helper.prints(printed)
    starts = helper.starts

    # when
    helper.now += 30
    keys = {source.current().access_key for _ in range(50)}

    # then
    assert keys == {"first"}
    assert helper.starts == starts + 1
    helper.gives("second", valid_seconds=3600)
    helper.now += 30
    assert source.current().access_key == "second"
    assert helper.waits == []


@pytest.mark.parametrize("printed", NOT_CREDENTIALS.values(), ids=NOT_CREDENTIALS)
def test_a_helper_that_prints_something_else_should_be_named_with_the_next_step(helper: Helper, printed: str) -> None:
    helper.prints(printed)
    with pytest.raises(ConfigError) as caught:
        helper.source()
    said = "the credential_process of profile ours gave no credentials: it printed something that is not credentials"
    assert said in str(caught.value)
    assert str(caught.value).endswith("; run it by hand to see why")


@pytest.mark.parametrize("until", ["2099-01-01T00:00:00", "2099-01-01T00:00:00+99:99"])
def test_a_service_whose_renewed_keys_expire_at_an_impossible_time_should_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: str
) -> None:
    # given keys of a container, which are about to expire
    def answer(expiration: str) -> bytes:
        keys = {"AccessKeyId": "A", "SecretAccessKey": "S", "Token": "T", "Expiration": expiration}
        text = json.dumps(keys).encode()
        return b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)

    answers = {"/": answer((datetime.now(UTC) + timedelta(seconds=50)).isoformat())}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    now = [0.0]

    with RawServer(answers) as server:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url("/"))
        timing = Timing(lambda _seconds: None, lambda: now[0])
        source = CredentialSource(botocore.session.Session(), "default", timing)

        # when
        answers["/"] = answer(until)
        now[0] += 30
        with pytest.raises(S3Fault) as caught:
            source.current()

    # then
    assert caught.value.failure.kind is FailureKind.ACCESS_DENIED
    assert caught.value.failure.detail.endswith(" (apply again once that is fixed)")


@pytest.mark.parametrize(
    ("valid_seconds", "passed_seconds"), [(50, 0.0), (601, 1.5)], ids=["last-minute", "last-ten-minutes"]
)
def test_a_renewal_that_fails_should_end_the_run_once_it_is_mandatory(
    helper: Helper, valid_seconds: int, passed_seconds: float
) -> None:
    helper.gives("first", valid_seconds=valid_seconds)
    source = helper.source()
    helper.fails()
    time.sleep(passed_seconds)  # botocore's own clock says when they expire
    helper.now += 2

    with pytest.raises(S3Fault, match="the credentials could not be renewed"):
        source.current()

    starts = helper.starts
    with pytest.raises(S3Fault):
        source.current()
    assert helper.starts == starts
    assert len(helper.waits) > 1


def test_keys_that_live_for_a_quarter_of_an_hour_should_not_be_renewed_for_every_request(helper: Helper) -> None:
    helper.gives("first", valid_seconds=890)
    source = helper.source()
    starts = helper.starts

    for _ in range(60):  # a minute
        helper.now += 1
        source.current()

    assert helper.starts <= starts + 3


def test_only_one_request_should_wait_for_a_renewal_while_the_keys_are_valid(helper: Helper) -> None:
    # given a renewal that is under way
    helper.gives("first", valid_seconds=890)
    source = helper.source()
    starts = helper.starts
    pipe = helper.hangs()
    helper.now += 30
    renewing = threading.Thread(target=source.current, daemon=True)
    renewing.start()
    wait_for(lambda: helper.starts > starts, "the helper")

    # when
    keys: list[str] = []
    asking = threading.Thread(target=lambda: keys.append(source.current().access_key), daemon=True)
    asking.start()
    asking.join(5)

    # then
    assert keys == ["first"]
    pipe.write_text("no credentials", encoding="ascii")
    renewing.join(5)
    assert not renewing.is_alive()
