"""What is passed on at the end of a run: summary, metrics, notifications, a command. Real program, local receiver."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apply_case import compile_plan, thermo
from cli import Cli
from conftest import MakeRestoreCase
from faulty_proxy import FaultyProxy
from network_faults import Fault, Stall
from prometheus_client.parser import text_string_to_metric_families
from restore_case import RestoreCase
from waiting import wait_for
from webhook_receiver import WebhookReceiver

TOKEN = "T00000000-B00000000-XXXXXXXXXXXXXXXX"


@pytest.fixture
def receiver(run_cli: Cli) -> Iterator[WebhookReceiver]:
    run_cli.secrets.add(TOKEN)  # webhooks are secrets: they are said nowhere, nor written
    with WebhookReceiver() as server:
        yield server
    for yaml in run_cli.folder.rglob("*.yaml"):  # the one place where they stand
        yaml.unlink()


@pytest.fixture
def case(run_cli: Cli, make_restore_case: MakeRestoreCase) -> RestoreCase:
    """Two raw files, one of which cannot be restored, for there is a folder in its place."""
    case = make_restore_case(
        thermo("good.raw", size_bytes=3000), thermo("<!channel> & [x](http:y).raw", size_bytes=2000)
    )
    (case.destination() / "<!channel> & [x](http:y).raw").mkdir(parents=True)
    compile_plan(run_cli, case)
    return case


def plan_of(case: RestoreCase) -> Path:
    return case.folder / "plan.json"


def webhook_in_site_yaml(case: RestoreCase, url: str) -> None:
    text = case.config_path.read_text()
    case.config_path.write_text(text.replace("http://127.0.0.1:9/ops-alerts", url))


def teams_text(message: Any) -> list[str]:  # noqa: ANN401  # JSON
    """The lines of an adaptive card."""
    (attachment,) = message["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    blocks = attachment["content"]["body"]
    assert {block["type"] for block in blocks} == {"RichTextBlock"}
    return [run["text"] for block in blocks for run in block["inlines"]]


def metrics_in(path: Path) -> dict[tuple[str, str | None], float]:
    """Every sample in a metrics file, by its name and the state that it is about."""
    families = text_string_to_metric_families(path.read_text())
    samples = [sample for family in families for sample in family.samples]
    assert {sample.labels["command"] for sample in samples} <= {"apply", "verify", "report", "status"}
    return {(sample.name.removeprefix("kraken_plan_"), sample.labels.get("state")): sample.value for sample in samples}


def test_a_run_should_be_passed_on_to_programs_monitoring_and_people(
    run_cli: Cli, case: RestoreCase, receiver: WebhookReceiver
) -> None:
    # given
    plan, metrics = plan_of(case), run_cli.folder / "kraken.prom"
    webhook_in_site_yaml(case, receiver.url(f"/ops/{TOKEN}"))
    before = time.time()

    # when
    result = run_cli(
        *("apply", plan, "--config", case.config_path, "--summary", "summary.json", "--metrics", metrics),
        *("--notify", f"slack:{receiver.url(f'/slack/{TOKEN}')}", "--notify", "ops"),
        *("--notify", receiver.url(f"/any/{TOKEN}").replace("http:", "json:"), "-v"),
        *("--on-finish", "cat > hook.json; echo said by the hook; exit 3"),
    )

    # then programs get the summary
    assert result.exit_code == 1
    summary = json.loads((run_cli.folder / "summary.json").read_text())
    (report,) = case.reports()
    assert summary == json.loads((run_cli.folder / "hook.json").read_text())
    digest = json.loads(plan.read_text())["plan_digest"]
    expected = {"command": "apply", "plan": str(plan), "plan_digest": digest, "exit_code": 1, "succeeded": False}
    expected |= {"entries": 2, "verified": 1, "failed": 1, "verified_bytes": 3000, "reports": [str(report)]}
    assert {name: summary[name] for name in expected} == expected
    assert result.stdout == f"{report}\n"
    assert "said by the hook\n" in result.stderr
    assert "WARNING" in result.stderr
    assert "exit code 3" in result.stderr

    # and Prometheus
    found = metrics_in(metrics)
    assert before - 1 <= found["last_run_timestamp_seconds", None] <= time.time() + 1
    assert found["last_run_exit_code", None] == 1
    assert "The exit code of the last run: 0 all well, 1 something needs attention, 2 refused.\n" in metrics.read_text()
    assert found["last_run_fetched_bytes", None] == 3000
    assert ("last_success_timestamp_seconds", None) not in found
    states = {state: value for (name, state), value in found.items() if name == "entries"}
    assert states == {"verified": 1, "failed": 1, "unresolvable": 0, "not_attempted": 0}

    # and people, in whom no name of a file can ring a bell
    (slack,) = receiver.contents(f"/slack/{TOKEN}")
    title, *lines = slack["text"].splitlines()
    assert title.startswith("*kraken-plan apply on ")
    assert title.endswith(": 1 FAILED*")
    assert "2 entries: 1 verified, 1 failed, 0 unresolvable, 0 not attempted" in lines
    assert (
        "the first: &lt;!channel&gt; &amp; [x](http:y).raw: Cannot write: a folder stands in the way" in slack["text"]
    )
    (teams,) = receiver.contents(f"/ops/{TOKEN}")
    card = teams_text(teams)
    assert f"Report: {report}" in card
    assert f"Digest: {digest}" in card
    assert any("<!channel> & [x](http:y).raw" in line for line in card)
    (anything,) = receiver.contents(f"/any/{TOKEN}")
    assert anything["title"].endswith(": 1 FAILED")
    assert "Exit code: 1" in anything["message"]


def test_notifications_that_fail_should_only_be_warned_of(
    run_cli: Cli, case: RestoreCase, receiver: WebhookReceiver
) -> None:
    addresses = [
        receiver.url(f"/status/500/{TOKEN}"),
        receiver.url(f"/redirect/{TOKEN}"),
        f"http://127.0.0.1:9/{TOKEN}",
    ]

    result = run_cli("verify", plan_of(case), *(option for one in addresses for option in ("--notify", one)))

    assert result.exit_code == 1  # of the files
    warning = "the notification to http://127.0.0.1/… was not sent: "
    warnings = [line.partition(warning)[2] for line in result.stderr.splitlines() if "notification" in line]
    assert warnings == ["HTTP status 500", "HTTP status 302", "Connection refused"]
    assert receiver.contents("/elsewhere") == []


def test_apply_should_notify_of_a_healed_file_as_of_a_problem(
    run_cli: Cli, case: RestoreCase, receiver: WebhookReceiver
) -> None:
    # given an apply that has nothing to tell
    run_cli("select", plan_of(case), "--raw-file", "good.raw", "-o", "good.json")
    apply = ("apply", "good.json", "--notify", receiver.url(f"/any/{TOKEN}"), "--notify-on", "problem")
    assert run_cli(*apply).exit_code == 0
    assert run_cli(*apply).exit_code == 0
    assert receiver.deliveries == []

    # when a file has gone bad
    (case.destination() / "good.raw").write_bytes(bytes(3000))
    assert run_cli(*apply).exit_code == 0

    # then
    (message,) = receiver.contents(f"/any/{TOKEN}")
    assert teams_text(message)[0].endswith(": all well, 1 healed")


def test_verify_should_notify_only_of_what_is_wrong_or_refused(
    run_cli: Cli, case: RestoreCase, receiver: WebhookReceiver
) -> None:
    # given a site that has it all in its YAML
    webhook_in_site_yaml(case, receiver.url(f"/ops/{TOKEN}"))
    settings = {"notify": ["ops"], "metrics": str(run_cli.folder / "verify.prom")}
    with case.config_path.open("a") as yaml:
        yaml.write(f"kraken_plan: {json.dumps({'commands': {'verify': settings}})}\n")
    run_cli("select", plan_of(case), "--raw-file", "good.raw", "-o", "good.json")
    verify = ("verify", "good.json", "--config", case.config_path)
    good = case.destination() / "good.raw"

    # when all is well
    run_cli("apply", "good.json")
    assert run_cli(*verify).exit_code == 0
    assert receiver.deliveries == []
    success = metrics_in(run_cli.folder / "verify.prom")["last_success_timestamp_seconds", None]

    # when a file is wrong, and is healed
    good.write_bytes(bytes(3000))
    assert run_cli(*verify).exit_code == 1
    assert run_cli(*verify, "--heal", "--summary", "healed.json").exit_code == 0
    wrong, healed = (teams_text(content) for content in receiver.contents(f"/ops/{TOKEN}"))
    assert wrong[0].endswith(": 1 FAILED")
    assert any("good.raw: Not as planned: etag" in line for line in wrong)
    assert healed[0].endswith(": 1 were wrong, all are healed")
    summary = json.loads((run_cli.folder / "healed.json").read_text())
    assert (summary["exit_code"], summary["failed"], summary["healing"]["healed"]) == (0, 1, 1)

    # when it cannot be healed
    good.write_bytes(bytes(3000))
    refused = run_cli(*verify, "--heal", "--summary", "-", "--endpoint-url", "nonsense")
    assert refused.exit_code == 1
    record = json.loads(refused.stdout.partition("{")[1] + refused.stdout.partition("{")[2])
    assert (record["exit_code"], record["healing"]["exit_code"]) == (1, 2)
    told = teams_text(receiver.deliveries[-1].content)
    assert told[0].endswith(": 1 FAILED, and healing was refused")
    assert record["healing"]["error"].split("\n")[0] in " ".join(told)

    # when the pool is not mounted
    case.output_location.rename(case.folder / "elsewhere")
    refused = run_cli(*verify, "--summary", "-")
    assert refused.exit_code == 2
    record = json.loads(refused.stdout)
    assert (record["exit_code"], record["succeeded"]) == (2, False)
    assert "does not exist: is its file system mounted?" in record["error"]
    told = teams_text(receiver.deliveries[-1].content)
    assert told[0].endswith(": refused, nothing was done")
    assert "is its file system mounted?" in told[2]
    found = metrics_in(run_cli.folder / "verify.prom")
    assert found["last_run_exit_code", None] == 2
    assert found["last_success_timestamp_seconds", None] >= success


def test_the_summary_should_be_alone_on_stdout(run_cli: Cli, case: RestoreCase) -> None:
    plan = plan_of(case)
    for command, *of_plan in (("apply", plan), ("verify", plan), ("report", "--plan", plan)):
        result = run_cli(command, *of_plan, "--summary", "-")
        summary = json.loads(result.stdout)
        assert (summary["command"], summary["failed"], len(summary["reports"])) == (command, 1, 1)
        assert result.stdout.count("\n") == 1

    status = run_cli("status", plan, "--summary", "-", "--metrics", "status.prom")
    summary = json.loads(status.stdout)
    assert status.exit_code == summary["exit_code"] == 1
    assert (summary["entries"], summary["verified"], summary["failed"]) == (2, 1, 1)
    found = metrics_in(run_cli.folder / "status.prom")
    assert [found["entries", state] for state in ("verified", "failed", "not_attempted")] == [1, 1, 0]
    last = json.loads(run_cli("status", plan, "--last", "--summary", "-").stdout)
    assert (last["command"], last["verified"], last["failed"]) == ("status", 1, 1)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--notify", "ops"], "--notify ops is for a webhook of the site YAML: name it (--config)"),
        (["--notify", f"nonsense:{TOKEN}"], "nor an address that apprise knows"),
        (["--summary", "taken"], "taken: something that is not a summary already exists there"),
        (["--metrics", "taken"], "taken: something that is not metrics already exists there"),
        (["--summary", "one", "--metrics", "./one"], "--summary and --metrics name one file, one: give each its own"),
        (["--summary", "one", "--results", "one"], "--summary and --results name one file"),
        (["--metrics", "one", "--log-file", "one"], "--metrics and --log-file name one file"),
    ],
)
def test_what_cannot_be_passed_on_should_be_refused_at_first(
    run_cli: Cli, case: RestoreCase, receiver: WebhookReceiver, options: list[str], reason: str
) -> None:
    del receiver  # its token is a secret
    (run_cli.folder / "taken").write_text("a file of somebody else")

    result = run_cli("apply", plan_of(case), *options)

    assert (result.exit_code, result.stdout) == (2, "")
    assert reason in result.stderr
    assert case.reports() == []


def test_a_summary_that_cannot_be_written_should_make_the_run_unwell(run_cli: Cli, case: RestoreCase) -> None:
    run_cli("select", plan_of(case), "--raw-file", "good.raw", "-o", "good.json")

    result = run_cli("apply", "good.json", "--summary", "none/summary.json", "--metrics", "none/metrics.prom")

    assert result.exit_code == 1
    assert "the summary cannot be written: cannot write none/summary.json: No such file or directory" in result.stderr
    assert "the metrics cannot be written: cannot write none/metrics.prom: No such file or directory" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("command", "hook"),
    [
        ("apply", "touch begun; exec sleep 30"),
        ("verify", "touch begun; sleep 30; true"),
        ("report", "touch begun; (trap '' TERM; sleep 30; true); true"),
    ],
)
def test_a_signal_should_end_the_command_of_on_finish_and_leave_the_exit_code_as_it_was_passed_on(
    run_cli: Cli, case: RestoreCase, command: str, hook: str, number: signal.Signals
) -> None:
    # given a run that is over, but for a command that takes its time
    plan = plan_of(case)
    run_cli("apply", plan)
    of_plan = ["--plan", plan] if command == "report" else [plan]
    process = run_cli.start(command, *of_plan, "--summary", "summary.json", "--on-finish", hook)
    wait_for((run_cli.folder / "begun").exists, "the command of --on-finish")

    # when
    process.send_signal(number)
    result = run_cli.finish(process, timeout_seconds=20)  # whatever still ran would hold stderr open

    # then
    assert result.exit_code == json.loads((run_cli.folder / "summary.json").read_text())["exit_code"] == 1
    assert f"{number.name}: stopping" in result.stderr
    assert f"--on-finish: ended by {number.name}" in result.stderr


def test_a_second_signal_should_end_the_command_of_on_finish_at_once(run_cli: Cli, case: RestoreCase) -> None:
    hook = "trap '' TERM; touch begun; sleep 30; true"
    process = run_cli.start("verify", plan_of(case), "--on-finish", hook)
    wait_for((run_cli.folder / "begun").exists, "the command of --on-finish")

    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)

    assert run_cli.finish(process, timeout_seconds=20).exit_code == 130  # whatever still ran would hold stderr open


def test_a_run_that_a_signal_ended_should_be_passed_on_to_the_command_of_on_finish(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    case = make_restore_case(thermo(size_bytes=100), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    faulty_proxy.add(Fault(action=Stall(seconds=60), key="sample.raw"))
    process = run_cli.start("apply", plan, "--on-finish", "sleep 1; cat > hook.json")
    wait_for(lambda: any("sample.raw" in one.request.path for one in faulty_proxy.log), "the request")

    process.send_signal(signal.SIGTERM)

    assert run_cli.finish(process).exit_code == 143
    assert json.loads((run_cli.folder / "hook.json").read_text())["exit_code"] == 143
