"""The page of what differs between two plans: written by `kraken-plan diff --html`, read in a real browser."""

from dataclasses import replace
from pathlib import Path

from browser import Tabs
from cli import Cli
from plan_samples import MD5, OTHER_MD5, make_plan, plan_bytes, planned_file, planned_raw_file

from schemas.plan import UnresolvedFile

MINUS = "\u2212"
EVIL = "</script><img src=x onerror=alert(1)>"
OLD = make_plan(
    planned_raw_file("a.d", planned_file("a.d/x", size=3000), planned_file("a.d/y", size=7)),
    planned_raw_file("b.raw", planned_file("b.raw", size=1024**2), project_id="PRID002"),
    planned_raw_file("same.raw"),
)
NEW = make_plan(
    planned_raw_file(
        "a.d",
        planned_file("a.d/x", etag=OTHER_MD5, size=4096),
        UnresolvedFile(relative_path="a.d/y", error=f"no etag {EVIL}", expected_size=7),
        planned_file("a.d/z", size=5 * 1024),
    ),
    planned_raw_file("same.raw"),
    planned_raw_file(EVIL, planned_file(f"{EVIL}/1", size=1024**3), project_id="PRID003"),
)


def write_plans(folder: Path) -> None:
    (folder / "old.json").write_bytes(plan_bytes(OLD))
    (folder / "new.json").write_bytes(plan_bytes(replace(NEW, output_location="/", compiled_from=None)))


def test_the_page_should_tell_what_differs_and_errors_first(run_cli: Cli, tabs: Tabs) -> None:
    # when
    write_plans(run_cli.folder)
    result = run_cli("diff", "old.json", "new.json", "--html", "diff.html")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "")
    page = tabs.open(run_cli.folder / "diff.html", (1280, 1800))
    page.get_by_role("button", name="Unfold all").click()

    # then
    assert [size.split(" ")[0] for size in page.locator("#rows .size").all_inner_texts()] == [
        *("9.0", "7", "4.0", "5.0", "1.0", "1.0", "1.0", "1.0")
    ]
    figures = [figure.split("\n") for figure in page.locator(".figures li").all_inner_texts()]
    assert figures == [
        ["Files added", "2", "1 raw file, 1.0 GiB"],
        ["Files removed", "1", "1 raw file, 1.0 MiB"],
        ["Files changed", "2", "1 raw file, 4.0 KiB"],
    ]
    assert "output_location: /out -> /" in page.locator("main").inner_text()
    assert "5 files in 3 raw files: 1.0 GiB added or changed" in page.locator("#count").inner_text()
    gone = f"s3_key: a.d/y -> null; expected_etag: {MD5} -> null; chunk_size_mb: 5 -> null"
    rows = page.locator("#rows [role=row]")
    assert [
        (row.locator(".state").inner_text(), row.locator(".main").inner_text(), row.locator(".remark").inner_text())
        for row in rows.all()
    ] == [
        ("✗ new error", "a.d", "1 file added; 2 files changed"),
        ("✗ new error", "y", f"error appeared: no etag {EVIL}; {gone}; absolute_dest_path: /out/PRID001/a.d/y -> null"),
        ("~ changed", "x", f"expected_etag: {MD5} -> {OTHER_MD5}; expected_size: 3,000 -> 4,096"),
        ("+ added", "z", ""),
        (f"{MINUS} removed", "b.raw", ""),
        (f"{MINUS} removed", "b.raw", ""),
        ("+ added", EVIL, ""),
        ("+ added", "1", ""),
    ]
    assert page.locator("img").count() == 0


def test_plans_that_ask_for_the_same_should_give_a_page_that_says_so(run_cli: Cli, tabs: Tabs) -> None:
    write_plans(run_cli.folder)
    assert run_cli("diff", "old.json", "old.json", "--html", "diff.html").exit_code == 0
    page = tabs.open(run_cli.folder / "diff.html", java_script=False)
    assert "The plans ask for the same" in page.locator("header").inner_text()
    assert page.locator("#big").count() == 0


def test_html_should_replace_a_page_and_never_a_plan_or_other_data(run_cli: Cli) -> None:
    write_plans(run_cli.folder)
    (run_cli.folder / "sample.raw").write_bytes(b"\x01\xa1F\x00i\x00n\x00n\x00")
    (run_cli.folder / "empty").touch()
    for name in ("old.json", "new.json", "sample.raw"):
        before = (run_cli.folder / name).read_bytes()
        for command in (["show", "old.json"], ["diff", "old.json", "new.json"]):
            result = run_cli(*command, "--html", name)
            assert result.exit_code == 2
            assert "it was left untouched" in result.stderr
        assert (run_cli.folder / name).read_bytes() == before
    assert run_cli("show", "old.json", "--html", "empty").exit_code == 0
    shown = (run_cli.folder / "empty").read_bytes()
    assert run_cli("diff", "old.json", "new.json", "--html", "empty").exit_code == 1
    assert (run_cli.folder / "empty").read_bytes() != shown
