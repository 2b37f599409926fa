"""Metrics, messages and addresses of notifications, and what is never shown of them."""

import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from webhook_receiver import WebhookReceiver

from applier.reports.run_summary import RunSummary
from kraken_plan.finish import hook, notify
from kraken_plan.finish.finished_run import FinishedRun, Refusal
from kraken_plan.finish.message import Message, word_message
from kraken_plan.finish.metrics import render_metrics, write_metrics
from schemas.errors import ConfigError
from schemas.results import (
    ApplyResult,
    Failure,
    FailureKind,
    FileResult,
    Outcome,
    RawFileResult,
    RunEnd,
    RunHead,
)
from schemas.text import printable

BEGAN = datetime(2026, 11, 28, 2, 30, tzinfo=UTC)


def summary(exit_code: int, *failures: FailureKind, verified: int = 1, name: str = "a") -> RunSummary:
    """A run over files of 100 bytes, some of which failed."""
    kinds: list[FailureKind | None] = [None] * verified + list(failures)
    files = tuple(
        FileResult(
            relative_path=f"{name}{number}",
            outcome=Outcome.SKIPPED if kind is None else Outcome.FAILED,
            failure=None if kind is None else Failure(kind, "why"),
            size_bytes=100,
        )
        for number, kind in enumerate(kinds)
    )
    raw_file = RawFileResult(
        raw_file_id="r", project_id="P", destination_base="/o/P", bucket_name="b", planned_files=len(files), files=files
    )
    result = ApplyResult(plan_digest="sha256:0", output_location="/o", raw_files=(raw_file,))
    head = RunHead(plan_digest="sha256:0", output_location="/o", started_at=BEGAN, host="h")
    end = RunEnd(ended_at=BEGAN + timedelta(seconds=90), exit_code=exit_code, reports=("/o/P/report.txt",))
    return RunSummary.of(result, head, end)


def run(end: RunSummary | Refusal, healing: RunSummary | None = None, plan: str = "plan.json") -> FinishedRun:
    return FinishedRun(command="verify", plan=plan, end=end, healing=healing)


REFUSED = run(Refusal(reason="the pool is gone\n  and more", at=BEGAN))


@pytest.mark.parametrize(
    ("finished", "title", "is_good"),
    [
        (run(summary(0)), "all well", True),
        (run(summary(0, FailureKind.NOT_ATTEMPTED)), "all well", True),
        (run(summary(1)), "something needs attention", False),
        (run(summary(1, FailureKind.NOT_AS_PLANNED, FailureKind.NOT_AS_PLANNED)), "2 FAILED", False),
        (run(summary(143, FailureKind.INTERRUPTED)), "interrupted", False),
        (run(summary(1, FailureKind.NOT_AS_PLANNED), summary(0)), "1 were wrong, all are healed", True),
        (
            run(summary(1, FailureKind.NOT_AS_PLANNED), summary(1, FailureKind.NETWORK)),
            "1 were wrong, NOT all could be healed",
            False,
        ),
        (REFUSED, "refused, nothing was done", False),
    ],
)
def test_a_message_should_say_how_it_ended(finished: FinishedRun, title: str, *, is_good: bool) -> None:
    message = word_message(finished, "host01")
    assert (message.title, message.is_good) == (f"kraken-plan verify on host01: {title}", is_good)


def test_a_message_should_name_what_failed_and_where_to_read_on() -> None:
    end = summary(1, FailureKind.NOT_AS_PLANNED, FailureKind.NOT_AS_PLANNED, FailureKind.NOT_ATTEMPTED)
    assert word_message(run(end), "h").lines == (
        "Plan: plan.json",
        "Digest: sha256:0",
        "4 entries: 1 verified, 2 failed, 0 unresolvable, 1 not attempted",
        "100 B of 400 B verified, in 0:01:30",
        "2 x Not as planned; the first: a1: Not as planned: why",
        "Report: /o/P/report.txt",
        "Exit code: 1",
    )


def test_a_message_should_stay_short_and_of_printable_lines_whatever_the_names() -> None:
    kinds = [kind for kind in FailureKind if kind is not FailureKind.UNRESOLVED]
    end = summary(1, *kinds, name="\x1b[31m\n" + "x" * 5000)
    message = word_message(run(end, plan="p\n" * 1000), "h" * 1000)
    assert all(line.isprintable() for line in (message.title, *message.lines))
    assert sum(map(len, (message.title, *message.lines))) < 5000


@given(text=st.text(max_size=50))
@example(text="<!channel> & <https://example.org|x>")
def test_nothing_in_a_message_should_be_markup(text: str) -> None:
    message = Message(title=text, lines=(text,), is_good=True)
    assert not set("<>") & set(str(message.as_slack()["text"]))
    (attachment,) = cast("list[dict[str, Any]]", message.as_teams()["attachments"])
    runs = [run for block in attachment["content"]["body"] for run in block["inlines"]]
    assert [(run["type"], run["text"]) for run in runs] == [("TextRun", text)] * 2  # taken literally


@given(plan=st.text(max_size=20))
def test_metrics_should_be_what_prometheus_reads_and_remember_the_last_success(
    tmp_path_factory: pytest.TempPathFactory, plan: str
) -> None:
    path = tmp_path_factory.mktemp("metrics") / "kraken.prom"

    write_metrics(run(summary(0), plan=plan), path)
    first = path.read_text()
    write_metrics(run(Refusal(reason="x", at=BEGAN + timedelta(days=1)), plan=plan), path)

    samples = {
        sample.name: sample for family in text_string_to_metric_families(path.read_text()) for sample in family.samples
    }
    success = samples["kraken_plan_last_success_timestamp_seconds"]
    assert success.value == (BEGAN + timedelta(seconds=90)).timestamp()
    assert samples["kraken_plan_last_run_timestamp_seconds"].value == (BEGAN + timedelta(days=1)).timestamp()
    assert success.labels == {"command": "verify", "plan": printable(plan)}
    assert "kraken_plan_entries" in first
    assert "kraken_plan_entries" not in samples  # nothing is known of them


@pytest.mark.parametrize("before", [b"", b"\xff\xfe", b"kraken_plan_last_success_timestamp_seconds{} 1\n"])
def test_a_file_that_says_nothing_of_this_plan_should_not_count(tmp_path: Path, before: bytes) -> None:
    path = tmp_path / "kraken.prom"
    path.write_bytes(before)
    write_metrics(REFUSED, path)
    assert "last_success" not in path.read_text()
    assert path.read_text() == render_metrics(REFUSED, None)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://hooks.slack.com/services/T0/B0/secret", "https://hooks.slack.com/…"),
        ("slack:https://user:secret@mattermost.example.org:8443/hooks/secret", "https://mattermost.example.org/…"),
        ("mailto://user:secret@example.org", "mailto://…"),
        ("tgram://secret/secret", "tgram://…"),
        ("https://[secret", "…"),
    ],
)
def test_an_address_should_be_shown_without_its_secret(address: str, shown: str) -> None:
    assert notify.shown_address(address) == shown


def test_slack_and_teams_should_each_get_their_form_as_alphakraken_tells_them_apart() -> None:
    assert notify.form_of("https://hooks.slack.com/services/x") == "slack"
    assert notify.form_of("https://example.webhook.office.com/x") == "teams"
    assert notify.form_of("https://hooks.slack.com.example.org/x") == "teams"
    assert notify.form_of("slack:https://mattermost.example.org/x") == "slack"
    assert notify.form_of("mailto://a@example.org") is None


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of apprise's own, at its first import
@pytest.mark.parametrize("which", ["webhook", "apprise"])
def test_a_receiver_that_never_answers_should_hold_nobody_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, which: str
) -> None:
    monkeypatch.setattr(notify, "_LONGEST_SECONDS", 0.5)
    with WebhookReceiver() as receiver:
        address = receiver.url("/stall/secret")
        if which == "apprise":
            address = address.replace("http:", "json:")
        notify.check_address(address)  # loads apprise, which takes longer than nobody is held up here
        notify.send(Message(title="t", lines=("l",), is_good=True), address)
        assert len(receiver.deliveries) == 1
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.getMessage().endswith("was not sent: no answer came in time")
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("command", "end"),
    [(": {}; exit 3", "exit code 3"), (": {}; kill -9 $$", "exit code -9"), (f"{'x' * 200_000}{{}}", "cannot be run")],
)
def test_the_command_of_on_finish_should_not_be_said_where_it_fails(
    caplog: pytest.LogCaptureFixture, command: str, end: str
) -> None:
    hook.run_hook(command.format("https://hooks.example.org/secret"), {})
    (record,) = caplog.records
    assert record.getMessage().startswith(f"--on-finish: {end}")
    assert "secret" not in caplog.text


def test_the_command_of_on_finish_should_get_a_long_summary_however_late_it_reads(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(hook, "LONGEST_SECONDS", 5)
    record = {"reports": ["x" * 1000] * 1000}
    hook.run_hook(f"sleep 0.5; cat > '{tmp_path}/read'", record)
    assert (json.loads((tmp_path / "read").read_text()), caplog.records) == (record, [])


@pytest.mark.parametrize(
    "address",
    [
        "http://host:abc/secret",
        "http:///secret",
        "https://host/secret ä",
        "slack:https://host/secret?a=ä",
        "teams:https://user:secret@host/x",
        "http://host:0/secret",
        "http://host:99999/secret",
    ],
)
def test_an_address_that_nothing_can_be_sent_to_should_be_refused_without_its_secret(address: str) -> None:
    with pytest.raises(
        ConfigError, match=r"^--notify.*(nothing can be sent to this address: |this is no address)"
    ) as refused:
        notify.check_address(address)
    assert "secret" not in str(refused.value)


def test_a_webhook_with_a_port_and_an_international_host_should_be_taken() -> None:
    for address in ("https://münchen.example:8443/a%20b?c=d", "slack:http://[::1]:80/x"):
        notify.check_address(address)
