"""The page of a plan with what became of it: `kraken-plan report --html` after real applies, in a real browser."""

from apply_case import compile_plan, thermo
from browser import Tabs
from cli import Cli
from conftest import MakeRestoreCase


def test_the_page_should_tell_what_became_of_each_file(
    run_cli: Cli, make_restore_case: MakeRestoreCase, tabs: Tabs
) -> None:
    # given one file that is right, one that is damaged after it was restored, one whose place is taken by a folder
    names = ("right.raw", "damaged.raw", "taken.raw")
    case = make_restore_case(*(thermo(name, size_bytes=1000) for name in names))
    plan = compile_plan(run_cli, case, *names, "absent.raw")
    case.destination().mkdir()
    (case.destination() / "taken.raw").mkdir()
    run_cli("apply", plan, "--no-report")
    (case.destination() / "damaged.raw").write_bytes(bytes(1000))
    run_cli("apply", plan, "--no-report", "--results", "results.jsonl")

    # when
    done = run_cli("report", "--plan", plan, "results.jsonl", "--html", "results.html")
    page = tabs.open(run_cli.folder / "results.html", (1280, 2000))

    # then
    assert done.exit_code == 1
    assert page.title() == f"Restore results: {plan}"
    figures = [figure.split("\n") for figure in page.locator(".figures li").all_inner_texts()]
    assert figures == [
        ["Failed", "1", "1,000 B"],
        ["Unresolvable", "1"],
        ["Not attempted", "0"],
        ["Verified", "2 of 4", "0 downloaded, 1 healed, 1 already right, 2.0 KiB of 2.9 KiB"],
    ]
    titles = page.locator("main :is(h2, h3)").all_inner_texts()
    assert titles[:3] == ["What is not verified, and why", "Raw files and their files", "The plan"]
    assert "--results results.jsonl --no-report" in page.locator("header .facts").inner_text()
    rows = page.locator("#rows [role=row]")
    assert [(row.locator(".main").inner_text(), row.locator(".state").inner_text()) for row in rows.all()] == [
        ("taken.raw", "✗ failed"),
        ("absent.raw", "✗ unresolvable"),
        ("damaged.raw", "! healed"),
        ("right.raw", "✓ already right"),
    ]
    page.get_by_role("button", name="Unfold all").click()
    assert "Cannot write: " in rows.nth(1).locator(".remark").inner_text()
    assert "3 files in 4 raw files: 2.0 KiB verified" in page.locator("#count").inner_text()


def test_a_page_that_cannot_be_written_should_leave_all_as_it_is(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo(size_bytes=1000))
    plan = compile_plan(run_cli, case)
    run_cli("apply", plan, "--no-report", "--results", "results.jsonl")
    for page in (plan, run_cli.folder / "results.jsonl", run_cli.folder / "no" / "folder.html"):
        assert run_cli("report", "--plan", plan, "results.jsonl", "--html", page).exit_code == 2
        assert case.reports() == []
    assert run_cli("report", "--plan", plan, "results.jsonl").exit_code == 0


def test_files_of_a_bucket_that_is_gone_should_be_counted_once(
    run_cli: Cli, make_restore_case: MakeRestoreCase, tabs: Tabs
) -> None:
    # given two raw files of two projects, and the bucket of one is gone
    case = make_restore_case(thermo("there.raw", size_bytes=10), thermo("gone.raw", "PRID002", size_bytes=10))
    plan = compile_plan(run_cli, case)
    path = run_cli.folder / plan
    path.write_text(path.read_text().replace(case.bucket("PRID002"), "no-such-bucket"))
    run_cli("seal", plan)

    # when
    run_cli("apply", plan, "--no-report", "--results", "results.jsonl")
    run_cli("report", "--plan", plan, "results.jsonl", "--html", "results.html")

    # then it is one file that failed, as the report has it
    page = tabs.open(run_cli.folder / "results.html", (1280, 2000))
    figures = [figure.split("\n") for figure in page.locator(".figures li").all_inner_texts()]
    assert figures[0] == ["Failed", "1", "10 B"]
    assert figures[3][:2] == ["Verified", "1 of 2"]

    # and on a narrow screen nothing is beside it, and each cell of a short table says what it is
    narrow = tabs.open(run_cli.folder / "results.html", (400, 2000))
    assert narrow.evaluate("document.documentElement.scrollWidth") == 400
    cell = narrow.locator("td").first
    assert cell.evaluate("cell => getComputedStyle(cell, '::before').content") == '"Entries"'
    assert narrow.locator("#rows .aside").first.bounding_box()["height"] > 20  # type: ignore[index]  # the whole reason
