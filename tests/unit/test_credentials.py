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
from waiting import wait_for

from applier.s3.credentials import CredentialSource, Timing
from applier.s3.faults import S3Fault


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


@pytest.mark.parametrize("valid_seconds", [890, 590])
def test_a_renewal_that_fails_should_leave_keys_in_use_that_are_valid_for_minutes(
    helper: Helper, valid_seconds: int
) -> None:
    # given keys in the 15 minutes before they expire, in which botocore tries to renew them
    helper.gives("first", valid_seconds=valid_seconds)
    source = helper.source()
    helper.fails()
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
