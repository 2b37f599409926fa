"""examples/scheduled: the systemd units and the crontab, run as systemd and cron would, on the folders of a test."""

import configparser
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from apply_case import compile_plan, thermo
from cli import PROGRAM, Cli, CliResult
from conftest import MakeRestoreCase
from webhook_receiver import WebhookReceiver

from build_share import man_pages

EXAMPLES = Path(__file__).parents[2] / "examples" / "scheduled"
UNITS = ("kraken-plan-verify@.service", "kraken-plan-verify@.timer")


def written_for(folder: Path, name: str) -> str:
    """An example with the paths of a test in place of those of a host."""
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    places = {
        "/opt/kraken-plan/bin": PROGRAM.parent,
        "/etc/kraken-plan": folder / "etc",
        "/var/lib/kraken-plan": folder / "state",
    }
    for place, path in places.items():
        text = text.replace(place, str(path))
    return text


@pytest.fixture
def restored(run_cli: Cli, make_restore_case: MakeRestoreCase) -> Path:
    """A restored file, whose plan and site YAML are where the examples look for them."""
    case = make_restore_case(thermo(size_bytes=1000))
    plan = compile_plan(run_cli, case)
    assert run_cli("apply", plan).exit_code == 0
    etc = run_cli.folder / "etc"
    (etc / "plans").mkdir(parents=True)
    shutil.copy(plan, etc / "plans" / "PRID001.json")
    shutil.copy(case.config_path, etc / "alphakraken.prod.yaml")
    (etc / "environment").write_text(f"KRAKEN_PLAN_CONFIG={etc}/alphakraken.prod.yaml\n")
    return case.destination() / "sample.raw"


def run_service(folder: Path) -> CliResult:
    """Run the service for PRID001 with nothing but the environment that systemd would give it."""
    unit = configparser.RawConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # as its documentation has it
    unit.read_string(written_for(folder, UNITS[0]).replace("%i", "PRID001"))
    service = unit["Service"]
    lines = [service["Environment"], *Path(service["EnvironmentFile"].lstrip("-")).read_text().splitlines()]
    variables = dict(line.split("=", 1) for line in lines)
    done = subprocess.run(
        shlex.split(service["ExecStart"]),
        capture_output=True,
        encoding="utf-8",
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **variables},
        check=False,
    )
    return CliResult(exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr)


def run_cron_job(folder: Path) -> CliResult:
    """Run the crontab's job by a shell, with its variables."""
    lines = [line for line in written_for(folder, "crontab").splitlines() if line and not line.startswith("#")]
    *variables, job = lines
    minute, hour, day, month, weekday, command = job.split(maxsplit=5)
    assert (day, month, weekday) == ("*", "*", "*")
    assert (int(minute) < 60, int(hour) < 24) == (True, True)
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        capture_output=True,
        encoding="utf-8",
        # the home of a system account, which nobody makes
        env={"HOME": "/nonexistent", "LANG": "C.UTF-8", **dict(line.split("=", 1) for line in variables)},
        check=False,
    )
    return CliResult(exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr)


def test_the_service_should_verify_and_where_a_file_is_wrong_notify_and_fail(run_cli: Cli, restored: Path) -> None:
    site = run_cli.folder / "etc" / "alphakraken.prod.yaml"
    with WebhookReceiver() as receiver:
        site.write_text(site.read_text().replace("http://127.0.0.1:9/ops-alerts", receiver.url("/ops")))

        well = run_service(run_cli.folder)
        assert well.exit_code == 0, well.stderr
        assert re.fullmatch(f"{run_cli.folder}/state/verify/.*/_verification_report_.*[.]txt\n", well.stdout)
        assert receiver.deliveries == []

        restored.write_bytes(bytes(1000))
        wrong = run_service(run_cli.folder)
        assert wrong.exit_code == 1
        assert "sample.raw: FAILURE - Not as planned: etag" in wrong.stderr
        assert "sample.raw: Not as planned: etag" in json.dumps(receiver.contents("/ops"))


def test_the_cron_job_should_remember_its_pass_and_be_silent_while_all_is_well(run_cli: Cli, restored: Path) -> None:
    site = run_cli.folder / "etc" / "alphakraken.prod.yaml"
    with WebhookReceiver() as receiver:
        site.write_text(site.read_text().replace("http://127.0.0.1:9/ops-alerts", receiver.url("/ops")))

        well = run_cron_job(run_cli.folder)
        assert (well.exit_code, well.stdout, well.stderr) == (0, "", "")
        assert receiver.deliveries == []
        (remembered,) = (run_cli.folder / "state").rglob("pass.jsonl")
        assert "sample.raw" in remembered.read_text()

        restored.unlink()
        wrong = run_cron_job(run_cli.folder)
        assert (wrong.exit_code, wrong.stdout) == (1, "")
        assert wrong.stderr.count("\n") == 1
        assert "sample.raw: FAILURE - Not as planned: there is no such file" in wrong.stderr
        assert "sample.raw: Not as planned: there is no such file" in json.dumps(receiver.contents("/ops"))


@pytest.mark.skipif(not Path("/usr/bin/systemd-analyze").exists(), reason="there is no systemd here")
def test_systemd_should_find_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    for name in UNITS:
        (tmp_path / name).write_text(written_for(tmp_path, name))
    done = subprocess.run(
        ["/usr/bin/systemd-analyze", "verify", *(tmp_path / name for name in UNITS)],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_service_should_name_a_man_page_that_an_installation_has() -> None:
    service = (EXAMPLES / UNITS[0]).read_text(encoding="utf-8")
    (page,) = re.findall(r"^Documentation=file:/opt/kraken-plan/share/man/man1/(.+)[.]1$", service, re.MULTILINE)

    assert page in dict(man_pages())
