"""A plan is approved with SSH keys, and applied only with the approvals that are asked for."""

import json
from pathlib import Path

import pytest
from apply_case import compile_plan, last_report, thermo
from approvers import Approvers, needs_ssh_keygen
from cli import Cli
from conftest import MakeRestoreCase
from faulty_proxy import FaultyProxy
from restore_case import RestoreCase

pytestmark = needs_ssh_keygen


@pytest.fixture
def case(make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy) -> RestoreCase:
    """One small raw file, its S3 server behind a proxy that sees every request."""
    return make_restore_case(thermo(size_bytes=1000), endpoint_url=faulty_proxy.endpoint_url)


@pytest.fixture
def approvers(tmp_path: Path) -> Approvers:
    folder = tmp_path / "keys"
    folder.mkdir()
    return Approvers(folder=folder)


def site_that_asks_for_two(case: RestoreCase, approvers: Approvers) -> Path:
    path = case.folder / "alphakraken.strict.yaml"
    section = f"kraken_plan:\n  approvals: {{required: 2, allowed_signers: {approvers.allow('anna', 'ben')}}}\n"
    path.write_text(case.config_path.read_text(encoding="utf-8") + section, encoding="utf-8")
    return path


def test_a_plan_should_be_applied_once_it_has_the_approvals_that_the_site_asks_for(
    run_cli: Cli, case: RestoreCase, approvers: Approvers, faulty_proxy: FaultyProxy
) -> None:
    # given a site that asks for two, and a plan that one person has approved
    plan, site = compile_plan(run_cli, case), site_that_asks_for_two(case, approvers)
    approved = run_cli("approve", plan, "--key", approvers.key("anna"), "--comment", "ticket 4711")
    assert (approved.exit_code, approved.stdout) == (0, f"{plan}.approvals\n"), approved.stderr
    assert "1 file (1,000 B) below" in approved.stderr
    mine: list[str | Path] = [*("--require-approvals", "1"), *("--allowed-signers", approvers.allow("anna", "ben"))]

    # when it is applied all the same, then it is refused, whatever the options say
    lenient = {"KRAKEN_PLAN_CONFIG": str(site)}  # and --config names the YAML that asks for nothing
    attempts: list[tuple[list[str | Path], dict[str, str]]] = [
        (["--config", site], {}),
        (["--config", site, *mine], {}),
        (["--config", site, "--dry-run"], {}),
        (["--config", case.config_path, *mine], lenient),
    ]
    for options, environment in attempts:
        refused = run_cli("apply", plan, *options, environment=environment)
        assert refused.exit_code == 2
        assert "kraken_plan.approvals asks for 2 approvals, and it has 1\n  valid: anna@example.org" in refused.stderr
    one_step = run_cli("restore", *case.raw_file_ids, "--catalog", case.export_path, "--config", site, "--yes")
    assert one_step.exit_code == 2
    assert "compile, approve and apply it" in one_step.stderr
    assert faulty_proxy.log == ()
    assert list(case.output_location.iterdir()) == []

    # when a second person approves it
    assert run_cli("approvals", plan, "--config", site).exit_code == 1
    assert run_cli("approve", plan, "--key", approvers.key("ben"), "-q").stderr == ""
    checked = run_cli("approvals", plan, "--config", site, "--json")
    assert (checked.exit_code, json.loads(checked.stdout)["valid"]) == (0, 2)
    applied = run_cli("apply", plan, "--config", site, "--results", "results.jsonl")

    # then it is restored, and reports and results name both
    assert applied.exit_code == 0, applied.stderr
    assert case.unrestored() == []
    results = (run_cli.folder / "results.jsonl").read_text(encoding="utf-8").splitlines()
    named = json.loads(results[0])["approvals"]
    assert [one.partition(",")[0] for one in named] == ["anna@example.org", "ben@example.org"]
    assert '"ticket 4711"' in named[0]
    assert all(f"Approval: {one}" in last_report(case) for one in named)


def test_an_edited_plan_should_need_new_approvals(
    run_cli: Cli, case: RestoreCase, approvers: Approvers, faulty_proxy: FaultyProxy
) -> None:
    plan = compile_plan(run_cli, case)
    asked: list[str | Path] = [*("--require-approvals", "1"), *("--allowed-signers", approvers.allow("anna"))]
    assert run_cli("approve", plan, "--key", approvers.key("anna")).exit_code == 0
    assert run_cli("approvals", plan, *asked).exit_code == 0
    plan.write_text(plan.read_text(encoding="utf-8").replace("eu-central-1", "eu-west-1"), encoding="utf-8")
    assert run_cli("approve", plan, "--key", approvers.key("anna")).exit_code == 2  # not before it is sealed
    assert run_cli("seal", plan).exit_code == 0

    refused = run_cli("apply", plan, *asked)

    assert refused.exit_code == 2
    assert "not valid, it is for another plan, sha256:" in refused.stderr
    assert faulty_proxy.log == ()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["apply", "plan.json", "--require-approvals", "1"], "give --allowed-signers FILE"),
        (["apply", "plan.json", "--max-approval-age", "1d"], "go with --require-approvals N"),
        (["approve", "plan.json"], "which key to sign with? Give --key FILE"),
        (["approve", "plan.json", "--key", "none"], "ssh-keygen could not sign with none"),
        (["approve", "plan.json", "--expect-digest", "sha256:0"], "but this plan has sha256:"),
        (["approve", "plan.json", "plan.json", "--approvals", "x"], "are about a single plan"),
        (["approvals", "plan.json", "--allowed-signers", "none"], "none cannot be read"),
    ],
)
def test_what_cannot_be_done_should_be_refused(
    run_cli: Cli, case: RestoreCase, arguments: list[str], words: str
) -> None:
    compile_plan(run_cli, case).rename(run_cli.folder / "plan.json")

    refused = run_cli(*arguments)

    assert refused.exit_code == 2
    assert words in refused.stderr
    assert not (run_cli.folder / "plan.json.approvals").exists()
