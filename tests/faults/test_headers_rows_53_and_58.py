"""Scorecard rows 53 and 58, as far as S3's headers go: regions that are none, etags in capitals or missing."""

import re

import pytest
from apply_case import compile_plan, last_report
from cli import Cli
from conftest import MakeRestoreCase
from fault_case import many_files, plant_old_files
from faulty_proxy import FaultyProxy
from network_faults import Answer, Fault, Rewrite
from restore_case import RestoreCase
from sample_data import etag_of


@pytest.mark.parametrize("region", ["EU WEST", "../x", "eu-west-1\tx", "é", "x" * 5000, "-eu-west-1"])
@pytest.mark.parametrize("status", [200, 301, 403])
def test_a_region_that_is_none_should_not_be_taken_over_row_53(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, region: str, status: int
) -> None:
    # given
    case = make_restore_case(many_files(3), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    listing = f"^/{case.bucket()}/?$"
    named = {"x-amz-bucket-region": region}
    code = "PermanentRedirect" if status == 301 else "AccessDenied"
    action = Rewrite(headers={**named}) if status == 200 else Answer(status=status, code=code, headers=named)
    faulty_proxy.add(Fault(action=action, key=listing))

    # when
    result = run_cli("apply", plan)

    # then
    assert "nforeseen" not in result.stderr
    assert result.stderr.count("as its region, which is not one") == 1
    if status == 301:
        assert result.exit_code == 2
        assert "S3 answered 301 PermanentRedirect" in result.stderr
    else:
        assert result.exit_code == 0, result.stderr
        assert case.unrestored() == []


def in_capitals(case: RestoreCase) -> list[Fault]:
    """Etags as some clones write them, with an If-Match that is compared letter by letter."""
    faults = []
    for name, content in case.raw_files[0].contents.items():
        etag = etag_of(content, 5)
        headers = {"ETag": f'"{etag.upper()}"', "Last-Modified": "Wed, 01 Jan 2025 00:00:00 GMT"}
        get = {**headers, "Content-Range": f"bytes 0-{len(content) - 1}/{len(content)}"}
        faults += [
            Fault(action=Answer(status=200, body=content, headers=headers), key=name, method="HEAD"),
            Fault(action=Answer(status=206, body=content, headers=get), key=name, method="GET"),
        ]
    return faults


@pytest.mark.parametrize("old", [False, True], ids=["absent", "old"])
def test_etags_in_capitals_should_count_as_what_they_are_row_58(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, *, old: bool
) -> None:
    case = make_restore_case(many_files(12), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    faulty_proxy.add(*in_capitals(case))
    if old:
        plant_old_files(case)

    result = run_cli("apply", plan)

    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    if old:  # S3 was asked for each etag before its bytes
        sent = {exchange.request.if_match or "" for exchange in faulty_proxy.requests("GET", "many.d/")}
        assert all(re.fullmatch(r'"[0-9A-F]{32}"', header) for header in sent)


def test_a_range_without_an_etag_should_be_named_row_58(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    case = make_restore_case(many_files(12), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    faulty_proxy.add(Fault(action=Rewrite(headers={"ETag": None}), key="many.d/", method="GET", skip=3))

    result = run_cli("apply", plan, "--jobs", "1")

    assert result.exit_code == 1
    assert last_report(case).count("S3 sent no ETag with the range") == 9
