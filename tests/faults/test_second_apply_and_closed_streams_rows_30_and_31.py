"""Scorecard rows 30 and 31: run again when all is right; run where nobody listens and the locale knows ASCII alone."""

import pytest
from apply_case import bruker, compile_plan, last_report, left_staged, thermo
from cli import Cli, shell
from conftest import MakeRestoreCase
from faulty_proxy import FaultyProxy
from file_systems import picture

# --- row 30


def test_a_second_apply_should_verify_skip_and_touch_nothing_row_30(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given a restored plan
    case = make_restore_case(thermo(), bruker(), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    run_cli("apply", plan)
    faulty_proxy.clear()
    restored = [case.destination() / name for name in case.raw_file_ids]
    before = [picture(path) for path in restored]

    # when
    result = run_cli("apply", plan)

    # then nothing changed, every object was asked for or listed, and no body was fetched
    assert result.exit_code == 0
    assert [picture(path) for path in restored] == before
    assert last_report(case).count("OK - Skipped (already exists)") == 15
    assert len(case.reports()) == 2
    assert faulty_proxy.requests("GET", "sample") == []
    listed = any("start-after=" in exchange.request.query for exchange in faulty_proxy.requests("GET"))
    assert len(faulty_proxy.requests("HEAD", "sample")) in (range(4, 15) if listed else [15])
    assert left_staged(case) == []


# --- row 31


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_should_not_keep_apply_from_its_work_row_31(
    run_cli: Cli, make_restore_case: MakeRestoreCase, closed: str
) -> None:
    case = make_restore_case(thermo(), thermo("p.raw", "PRID002", 100))
    plan = compile_plan(run_cli, case)

    result = run_cli("-v", "apply", plan, under=shell(f'exec "$@" {closed}'))

    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert left_staged(case) == []
    for project_id in case.buckets:
        assert "Status: SUCCESS" in last_report(case, project_id)


@pytest.mark.parametrize("locale", [{"LANG": "C"}, {"LC_ALL": "POSIX", "LANG": None}])
def test_names_should_be_utf_8_in_any_c_locale_row_31(
    run_cli: Cli, make_restore_case: MakeRestoreCase, locale: dict[str, str | None]
) -> None:
    case = make_restore_case(thermo("Müller 试样.raw", "PRID001", 100))
    plan = compile_plan(run_cli, case)

    result = run_cli("-v", "apply", plan, environment=locale)

    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert result.stdout == f"{case.reports()[0]}\n"
    assert "\nMüller 试样.raw: OK - Downloaded and verified " in last_report(case)


def test_names_that_are_not_utf_8_here_should_be_refused_before_anything_is_touched_row_31(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo("Müller.raw", size_bytes=100))
    plan = compile_plan(run_cli, case)

    ascii_alone = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    result = run_cli("apply", plan, environment=ascii_alone)

    assert result.exit_code == 2
    assert "set a UTF-8 locale (LC_ALL=C.UTF-8)" in result.stderr
    assert list(case.output_location.iterdir()) == []
