"""A plan that names another folder or S3 server than the site's is refused by name, unless the operator says so.

Row 35's other half: its paths are safe, and yet not where this site restores to.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from apply_case import compile_plan, thermo
from cli import Cli, CliResult
from conftest import MakeRestoreCase
from faulty_proxy import FaultyProxy
from restore_case import RestoreCase
from sample_data import write_site_yaml

from schemas.plan_file import seal_plan


@pytest.fixture
def case(make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy) -> RestoreCase:
    """One small raw file, its S3 server behind a proxy that sees every request."""
    return make_restore_case(thermo(size_bytes=1000), endpoint_url=faulty_proxy.endpoint_url)


def another_sites_yaml(case: RestoreCase, *, output: Path | None = None, endpoint_url: str | None = None) -> Path:
    """The YAML of a site with another output location or S3 server; the case's own where none is given."""
    path = case.folder / "alphakraken.other.yaml"
    own = case.config_path.read_text(encoding="utf-8").partition("endpoint_url: ")[2].split()[0].strip("\"'")
    write_site_yaml(
        path, output_location=output or case.output_location, region="eu-central-1", endpoint_url=endpoint_url or own
    )
    return path


def plan_with_endpoint(run_cli: Cli, case: RestoreCase, endpoint_url: str | None) -> Path:
    """The case's plan, changed to another endpoint and sealed anew."""
    path = compile_plan(run_cli, case)
    document = json.loads(path.read_bytes())
    document["s3"]["endpoint_url"] = endpoint_url
    path.write_bytes(resealed(document))
    return path


def plan_moved_to(run_cli: Cli, case: RestoreCase, output_location: Path) -> Path:
    """The case's plan with another output location, sealed anew."""
    path = compile_plan(run_cli, case)
    text = path.read_text(encoding="utf-8").replace(str(case.output_location), str(output_location))
    path.write_bytes(resealed(json.loads(text)))
    return path


def resealed(document: dict[str, object]) -> bytes:
    """The plan file of a document whose digest no longer holds."""
    return seal_plan(json.dumps(document).encode(), "plan.json")


def assert_refused(result: CliResult, case: RestoreCase, proxy: FaultyProxy, *words: str) -> None:
    """Exit code 2, said why, and nothing asked for, nothing written."""
    assert result.exit_code == 2, result.stderr
    for word in words:
        assert word in result.stderr
    assert proxy.log == ()
    assert list(case.output_location.iterdir()) == []


def test_a_plan_of_this_site_should_be_applied(run_cli: Cli, case: RestoreCase) -> None:
    result = run_cli("apply", compile_plan(run_cli, case), "--config", case.config_path)
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []


@pytest.mark.parametrize("way", ["option", "environment"])
def test_another_output_location_should_be_refused_by_name(
    run_cli: Cli, case: RestoreCase, faulty_proxy: FaultyProxy, way: str
) -> None:
    plan = compile_plan(run_cli, case)
    other = another_sites_yaml(case, output=case.folder / "outpu")  # no prefix of names may pass for a folder
    option: list[str | Path] = ["--config", other] if way == "option" else []

    result = run_cli("apply", plan, *option, environment={"KRAKEN_PLAN_CONFIG": str(other)})

    assert_refused(
        result, case, faulty_proxy, str(case.output_location), f"{case.folder}/outpu.", "--allow-output-root"
    )


@pytest.mark.parametrize("allowed", ["{}", "{}/..", "{}/./../output/"])
def test_another_output_location_should_be_applied_if_it_is_allowed(
    run_cli: Cli, case: RestoreCase, allowed: str
) -> None:
    plan = compile_plan(run_cli, case)
    other = another_sites_yaml(case, output=case.folder / "elsewhere")
    roots = ["--allow-output-root", "/nonexistent", "--allow-output-root", allowed.format(case.output_location)]

    result = run_cli("apply", plan, "--config", other, *roots)

    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []


def test_the_sites_section_should_allow_folders_and_set_options(
    run_cli: Cli, case: RestoreCase, faulty_proxy: FaultyProxy
) -> None:
    plan = compile_plan(run_cli, case)
    other = another_sites_yaml(case, output=case.folder / "elsewhere")
    section = f"kraken_plan:\n  allowed_output_roots: [{case.output_location}]\n  options: {{jobs: 2"
    site = other.read_text(encoding="utf-8") + section

    other.write_text(f"{site}, no_reports: true}}\n", encoding="utf-8")
    refused = run_cli("apply", plan, "--config", other)
    assert_refused(refused, case, faulty_proxy, "options.no_reports is not an option: did you mean no_report?")

    other.write_text(f"{site}, no_report: true}}\n", encoding="utf-8")
    applied = run_cli("apply", plan, environment={"KRAKEN_PLAN_CONFIG": str(other)})
    assert applied.exit_code == 0, applied.stderr
    assert case.unrestored() == []
    assert list(case.output_location.rglob("_download_status_batch_*")) == []


def test_allowed_folders_alone_should_bind_a_plan(run_cli: Cli, case: RestoreCase, faulty_proxy: FaultyProxy) -> None:
    result = run_cli("apply", compile_plan(run_cli, case), "--allow-output-root", case.folder / "elsewhere")
    assert_refused(result, case, faulty_proxy, str(case.output_location), f"{case.folder}/elsewhere.")


def test_a_path_that_is_not_a_folder_should_not_be_allowed(
    run_cli: Cli, case: RestoreCase, faulty_proxy: FaultyProxy
) -> None:
    result = run_cli("apply", compile_plan(run_cli, case), "--allow-output-root", "a\nb")
    assert_refused(result, case, faulty_proxy, "--allow-output-root")
    assert len(result.stderr.splitlines()) == 1


def test_an_output_root_should_be_the_operators_own_word(run_cli: Cli, case: RestoreCase) -> None:
    plan = compile_plan(run_cli, case)
    other, root = another_sites_yaml(case, output=case.folder / "elsewhere"), case.folder / "here"
    root.mkdir()

    result = run_cli("apply", plan, "--config", other, "--output-root", root)

    assert result.exit_code == 0, result.stderr
    assert (root / "PRID001/sample.raw").stat().st_size == 1000
    assert list(case.output_location.iterdir()) == []


@pytest.mark.parametrize(
    ("planned", "names"), [(None, "null (AWS's own)"), ("http://127.0.0.1:1", "http://127.0.0.1:1")]
)
def test_another_endpoint_should_be_refused_by_name(
    run_cli: Cli, case: RestoreCase, faulty_proxy: FaultyProxy, planned: str | None, names: str
) -> None:
    plan = plan_with_endpoint(run_cli, case, planned)
    result = run_cli("apply", plan, "--config", case.config_path)
    assert_refused(result, case, faulty_proxy, names, faulty_proxy.endpoint_url, "--endpoint-url")


def test_another_endpoint_should_be_applied_if_the_operator_names_one(
    run_cli: Cli, case: RestoreCase, faulty_proxy: FaultyProxy
) -> None:
    plan = plan_with_endpoint(run_cli, case, "http://127.0.0.1:1")
    result = run_cli("apply", plan, "--config", case.config_path, "--endpoint-url", faulty_proxy.endpoint_url)
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []


@pytest.mark.parametrize("command", ["apply", "status", "doctor", "thaw"])
def test_an_empty_endpoint_should_not_pass_for_one_that_the_operator_names(
    run_cli: Cli, case: RestoreCase, faulty_proxy: FaultyProxy, command: str
) -> None:
    """As `--endpoint-url "$S3"` gives where S3 is not set."""
    plan = compile_plan(run_cli, case)
    other = another_sites_yaml(case, endpoint_url="http://127.0.0.1:1")
    result = run_cli(command, plan, "--config", other, "--endpoint-url", "")
    assert_refused(result, case, faulty_proxy, "--endpoint-url", "'' holds no value")


def test_a_slash_at_the_end_should_not_make_another_endpoint(
    run_cli: Cli, case: RestoreCase, faulty_proxy: FaultyProxy
) -> None:
    plan = plan_with_endpoint(run_cli, case, f"{faulty_proxy.endpoint_url}/")
    assert run_cli("apply", plan, "--config", case.config_path).exit_code == 0


def test_both_differences_should_be_told_at_once(run_cli: Cli, case: RestoreCase, faulty_proxy: FaultyProxy) -> None:
    plan = plan_with_endpoint(run_cli, case, "http://127.0.0.1:1")
    other = another_sites_yaml(case, output=case.folder / "elsewhere")
    result = run_cli("apply", plan, "--config", other)
    assert_refused(result, case, faulty_proxy, "output_location", "endpoint_url")


@pytest.mark.parametrize("dry_run", [[], ["--dry-run"]])
def test_a_link_below_the_sites_output_location_should_not_lead_a_plan_out(
    run_cli: Cli, case: RestoreCase, faulty_proxy: FaultyProxy, dry_run: list[str]
) -> None:
    # given a plan for a folder within the output location, which is a link to elsewhere
    outside = case.folder / "outside"
    outside.mkdir()
    site = case.folder / "site"
    site.mkdir()
    (site / "link").symlink_to(outside)
    plan = plan_moved_to(run_cli, case, site / "link")

    # when
    result = run_cli("apply", plan, "--config", another_sites_yaml(case, output=site), *dry_run)

    # then
    assert_refused(result, case, faulty_proxy, f"{site}/link", "a symbolic link stands in the way")
    assert list(outside.iterdir()) == []


def test_the_sites_output_location_itself_may_be_a_link(run_cli: Cli, case: RestoreCase) -> None:
    link = case.folder / "link"
    link.symlink_to(case.output_location)
    plan = plan_moved_to(run_cli, case, link)

    result = run_cli("apply", plan, "--config", another_sites_yaml(case, output=link))

    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []


def test_yaml_should_be_imported_only_where_a_config_is_given() -> None:
    code = "import sys, kraken_plan.commands.apply; sys.exit(repr('yaml' in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False)
    assert done.stderr.strip() == "False"


def test_a_plan_of_the_sites_own_backup_location_should_be_applied(run_cli: Cli, case: RestoreCase) -> None:
    plan = compile_plan(run_cli, case)
    site = yaml.safe_load(case.config_path.read_text(encoding="utf-8"))
    site["locations"] = {"output": "/elsewhere", "backup": {"absolute_path": str(case.output_location)}}
    (case.folder / "backup.yaml").write_text(yaml.safe_dump(site), encoding="utf-8")
    result = run_cli("apply", plan, "--config", case.folder / "backup.yaml")
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
