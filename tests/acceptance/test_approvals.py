"""A plan is approved with SSH keys, and applied only with the approvals that are asked for."""

import json
import os
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


def test_no_variable_or_option_should_take_back_what_a_site_asks_for(
    run_cli: Cli, case: RestoreCase, approvers: Approvers, faulty_proxy: FaultyProxy
) -> None:
    # given a plan that one person has approved, of the two that a site asks for
    plan, strict = compile_plan(run_cli, case), str(site_that_asks_for_two(case, approvers))
    lax = str(case.config_path)
    assert run_cli("approve", plan, "--key", approvers.key("anna")).exit_code == 0
    mine: list[str | Path] = ["--allowed-signers", approvers.allow("anna", "ben")]

    # when / then: whichever variable names the site, and whatever else is named, `approvals` says what apply does
    by_variable: list[tuple[dict[str, str], list[str | Path]]] = [
        ({"KRAKEN_PLAN_APPLY_CONFIG": strict}, ["--config", lax]),
        ({"KRAKEN_PLAN_APPLY_CONFIG": strict, "KRAKEN_PLAN_CONFIG": lax}, []),
        ({"KRAKEN_PLAN_CONFIG": strict, "KRAKEN_PLAN_APPLY_CONFIG": lax}, ["--config", lax]),
        ({}, ["--config", strict, "--require-approvals", "1"]),
    ]
    for environment, options in by_variable:
        for command in ("apply", "approvals"):
            own = mine if command == "approvals" or "--require-approvals" in options else []
            refused = run_cli(command, plan, *options, *own, environment=environment)
            assert refused.exit_code == (2 if command == "apply" else 1), (command, options, refused.stderr)
    asked_by_variables = {f"KRAKEN_PLAN_APPLY_{name}": value for name, value in (("REQUIRE_APPROVALS", "2"),)}
    asked_by_variables["KRAKEN_PLAN_APPLY_ALLOWED_SIGNERS"] = str(approvers.folder / "allowed_signers")
    assert run_cli("approvals", plan, environment=asked_by_variables).exit_code == 1
    assert run_cli("approvals", plan, *mine).exit_code == 0
    assert run_cli("approvals", plan, "--config", lax, "--if-required").exit_code == 0
    assert run_cli("approvals", plan, plan, "--config", strict, "--if-required").exit_code == 1
    to_restore: list[str | Path] = [*case.raw_file_ids, "--catalog", case.export_path, "--config", lax, "--yes"]
    one_step = run_cli(
        "restore",
        *to_restore,
        environment={"KRAKEN_PLAN_RESTORE_CONFIG": strict},
    )
    assert (one_step.exit_code, "compile, approve and apply it" in one_step.stderr) == (2, True)

    # and verify, which has no option for it, names the variable
    by_verify = run_cli("verify", "-", "--heal", "--config", strict, stdin=plan.read_text(encoding="utf-8"))
    assert by_verify.exit_code == 1
    assert "the variable KRAKEN_PLAN_APPLY_APPROVALS" in by_verify.stderr
    assert "--approvals FILE" not in by_verify.stderr

    # and no pipe is waited for
    Path(f"{plan}.approvals").unlink()
    os.mkfifo(f"{plan}.approvals")
    for command in ("apply", "approvals"):
        held = run_cli(command, plan, "--config", strict)
        assert (held.exit_code, "approvals cannot be read: it is a named pipe" in held.stderr) == (2, True)
    assert run_cli("approve", plan).exit_code == 2
    assert faulty_proxy.log == ()


def test_an_approved_plan_should_be_restored_elsewhere_only_where_the_site_allows_it(
    run_cli: Cli, case: RestoreCase, approvers: Approvers
) -> None:
    # given
    plan, site = compile_plan(run_cli, case), site_that_asks_for_two(case, approvers)
    elsewhere = case.folder / "elsewhere"
    elsewhere.mkdir()
    for name in ("anna", "ben"):
        assert run_cli("approve", plan, "--key", approvers.key(name)).exit_code == 0
    options: list[str | Path] = [plan, "--config", site, "--output-root", elsewhere]

    # when / then
    refusals = [run_cli(command, *options) for command in ("apply", "approvals")]
    refusals.append(run_cli("apply", *options, "--allow-output-root", elsewhere))
    for refused in refusals:
        assert refused.exit_code == 2
        assert f"have seen that it restores to {case.output_location}" in refused.stderr
    assert list(elsewhere.iterdir()) == []

    # when the site allows it
    with site.open("a", encoding="utf-8") as file:
        file.write(f"  allowed_output_roots: [{elsewhere}]\n")
    applied = run_cli("apply", *options)

    # then it is said that the approvers have seen another place
    assert applied.exit_code == 0, applied.stderr
    words = f"; approved for {case.output_location}, applied to {elsewhere}"
    assert applied.stderr.count(words) == 2
    report = Path(applied.stdout.splitlines()[0]).read_text(encoding="utf-8")
    assert report.count(words) == 2


def test_an_age_of_zero_should_be_asked_for_as_apply_does(
    run_cli: Cli, case: RestoreCase, approvers: Approvers
) -> None:
    plan = compile_plan(run_cli, case)
    run_cli("approve", plan, "--key", approvers.key("anna"))
    asked: list[str | Path] = ["--allowed-signers", approvers.allow("anna"), "--max-approval-age", "0"]

    checked = run_cli("approvals", plan, *asked)
    applied = run_cli("apply", plan, "--require-approvals", "1", *asked)

    assert (checked.exit_code, applied.exit_code) == (1, 2)
    assert "0 valid approvals of 1 needed" in checked.stdout


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
