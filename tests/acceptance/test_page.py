"""The page of a plan, in a real browser: what it says, how it is used, and that nothing in a plan becomes markup."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from browser import NARROW, WIDE, Tabs
from plan_samples import make_plan, planned_file, planned_raw_file, unresolved_raw_file
from playwright.sync_api import Locator, Page, expect

from kraken_plan.views.pages.page import render_page
from kraken_plan.views.pages.plan_page import plan_page
from kraken_plan.views.pages.result_page import result_page
from kraken_plan.views.plan_sections import NOTHING
from schemas.plan import Plan, RawFilePlan, UnresolvedFile
from schemas.results import ApplyResult, Failure, FailureKind, FileResult, Outcome, RawFileResult
from schemas.text import human_size

HOSTILE = "</script><img src=x onerror=alert(1)><!--\u2028<script>alert(2)</script>'\"&lt;{{7*7}}"
PLAN = make_plan(
    planned_raw_file("big.raw", planned_file("big.raw", size=5 * 1024**3)),
    planned_raw_file(
        "folder.d",
        planned_file("folder.d/analysis.tdf", size=2_000_000, etag="0123456789abcdef0123456789abcdef"),
        UnresolvedFile(relative_path="folder.d/old.bin", error="Not verifiable: no ETag recorded", expected_size=10),
        planned_file("folder.d/small.xml", size=1),
        project_id="PRID002",
    ),
    planned_raw_file("small.raw", planned_file("small.raw", size=1000)),
    unresolved_raw_file(),
)
DIGEST = f"sha256:{'5' * 64}"


def written(plan: Plan, folder: Path, result: ApplyResult | None = None) -> Path:
    path = folder / "page.html"
    sealed = replace(plan, plan_digest=DIGEST)
    page = plan_page(sealed, "plan.json") if result is None else result_page(sealed, "plan.json", result)
    path.write_bytes(render_page(page))
    return path


@pytest.fixture
def page(tabs: Tabs, tmp_path: Path) -> Page:
    return at_its_table(tabs.open(written(PLAN, tmp_path)))


def at_its_table(page: Page) -> Page:
    """The page, scrolled to its big table, and that drawn."""
    page.locator("#big").evaluate("table => table.scrollIntoView()")
    page.evaluate("new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    return page


def row_named(page: Page, name: str) -> Locator:
    return rows_of(page).filter(has=page.get_by_text(name, exact=True))


def rows_of(page: Page) -> Locator:
    return page.locator("#rows [role=row]")


def names_of(page: Page) -> list[str]:
    """The names in sight, from top to bottom."""
    rows = rows_of(page).evaluate_all(
        "rows => rows.map(row => [row.offsetTop, row.querySelector('.main').textContent])"
    )
    return [name for _, name in sorted(rows)]


def sort_by(page: Page, column: str) -> None:
    page.get_by_role("columnheader", name=column).get_by_role("button").click()


def test_a_page_should_say_what_the_plan_says(page: Page) -> None:
    assert page.title() == "Restore plan: plan.json"
    head = page.locator("header").inner_text()
    assert DIGEST in head
    assert "2026-11-23 14:30:22 UTC by kraken-plan 0.1.0" in head
    assert "5,370,710,121 bytes" in head
    figures = page.locator(".figures li").all_inner_texts()
    assert [figure.split("\n")[:2] for figure in figures] == [
        ["To restore", "5.0 GiB"],
        ["Files", "4"],
        ["Raw files", "3"],
        ["Unresolvable", "2"],
    ]
    expect(page.locator("#count")).to_have_text("All 5 files in 4 raw files: 5.0 GiB to restore.")


def test_bars_should_be_as_long_as_each_projects_part_of_the_bytes(page: Page) -> None:
    bars = page.locator("svg .bar")
    widths = bars.evaluate_all("bars => bars.map(bar => bar.getBoundingClientRect().width)")
    (track,) = set(page.locator("svg .track").evaluate_all("all => all.map(one => one.getBoundingClientRect().width)"))
    assert [round(width / track, 3) for width in widths] == [1.0, 0.0, 0.0]
    assert page.locator("td.share span").all_inner_texts() == ["100.0 %", "0.0 %", "0.0 %"]


def test_what_is_wrong_should_come_first_and_the_rest_as_planned(page: Page) -> None:
    assert names_of(page) == ["no_such_file", "folder.d", "big.raw", "small.raw"]
    states = rows_of(page).locator(".state").all_inner_texts()
    assert [state.replace("\n", "") for state in states] == [
        "✗ unresolvable",
        "! in part",
        "✓ to restore",
        "✓ to restore",
    ]
    assert rows_of(page).locator(".remark").all_inner_texts()[:2] == [
        "RawFile not found in the catalog",
        "1 of 3 files unresolvable",
    ]


def test_a_click_should_unfold_a_raw_file_and_another_fold_it(page: Page) -> None:
    folder = row_named(page, "folder.d")
    expect(folder).to_have_attribute("aria-expanded", "false")
    folder.click()
    assert names_of(page) == [
        "no_such_file",
        "folder.d",
        "old.bin",
        "analysis.tdf",
        "small.xml",
        "big.raw",
        "small.raw",
    ]
    expect(folder).to_have_attribute("aria-expanded", "true")
    assert "0123456789abcdef0123456789abcdef" in rows_of(page).filter(has_text="analysis.tdf").inner_text()
    folder.click()
    assert len(names_of(page)) == 4


def test_a_chosen_line_should_be_told_in_full(page: Page) -> None:
    row_named(page, "folder.d").click()
    row_named(page, "old.bin").click()
    assert page.locator("#chosen-text").inner_text().split("\n") == [
        "folder.d/old.bin",
        "unresolvable, 10 B",
        "no etag, no key",
        "Not verifiable: no ETag recorded",
    ]
    page.get_by_role("button", name="Close").click()
    expect(page.locator("#chosen")).to_be_hidden()


def test_words_should_find_raw_files_and_files_and_only_those_are_counted(page: Page) -> None:
    page.get_by_label("Find").fill("ANALYSIS folder")
    expect(page.locator("#count")).to_have_text("1 file in 1 raw file of 5 files in 4 raw files: 1.9 MiB to restore.")
    page.get_by_role("button", name="Unfold all").click()
    assert names_of(page) == ["folder.d", "analysis.tdf"]
    page.get_by_label("Find").fill("not found in")
    expect(page.locator("#count")).to_contain_text("0 files in 1 raw file of")
    page.get_by_label("Find").fill("nothing has this")
    expect(page.locator("#count")).to_contain_text("0 files in 0 raw files of")
    assert names_of(page) == []


def test_states_and_projects_should_filter(page: Page) -> None:
    page.locator("#state").select_option("unresolvable")
    expect(page.locator("#count")).to_contain_text("1 file in 2 raw files of")
    assert names_of(page) == ["no_such_file", "folder.d"]
    page.locator("#state").select_option("all")
    page.locator("#label").select_option("PRID001")
    expect(page.locator("#count")).to_contain_text("2 files in 2 raw files of")
    assert names_of(page) == ["big.raw", "small.raw"]


def test_a_columns_button_should_sort_and_say_so(page: Page) -> None:
    def order() -> dict[str, str | None]:
        heads = page.get_by_role("columnheader").all()
        return {head.inner_text().split(" ")[0]: head.get_attribute("aria-sort") for head in heads}

    assert order()["State"] == "ascending"
    sort_by(page, "Size")
    assert names_of(page) == ["big.raw", "folder.d", "small.raw", "no_such_file"]
    assert (order()["Size"], order()["State"]) == ("descending", "none")
    sort_by(page, "Size")
    assert names_of(page) == ["no_such_file", "small.raw", "folder.d", "big.raw"]
    assert order()["Size"] == "ascending"
    sort_by(page, "Raw file")
    assert names_of(page) == ["big.raw", "folder.d", "no_such_file", "small.raw"]


def test_sorting_should_sort_the_files_of_a_raw_file_too(page: Page) -> None:
    sort_by(page, "Size")
    row_named(page, "folder.d").click()
    assert names_of(page) == [
        "big.raw",
        "folder.d",
        "analysis.tdf",
        "old.bin",
        "small.xml",
        "small.raw",
        "no_such_file",
    ]


def test_the_table_should_be_usable_by_keys_alone(page: Page) -> None:
    grid = page.get_by_role("treegrid")
    for _ in range(40):
        if grid.evaluate("grid => grid === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(grid).to_be_focused()

    def chosen() -> str:
        row = page.locator(f"#{grid.get_attribute('aria-activedescendant')}")
        assert row.get_attribute("aria-selected") == "true"
        return row.locator(".main").inner_text()

    steps = []
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight", "End", "Home", "ArrowDown", "ArrowLeft", "End"):
        page.keyboard.press(key)
        steps.append((key, chosen(), rows_of(page).count()))
    assert steps == [
        ("ArrowDown", "no_such_file", 4),
        ("ArrowDown", "folder.d", 4),
        ("ArrowRight", "folder.d", 7),
        ("ArrowRight", "old.bin", 7),
        ("End", "small.raw", 7),
        ("Home", "no_such_file", 7),
        ("ArrowDown", "folder.d", 7),
        ("ArrowLeft", "folder.d", 4),
        ("End", "small.raw", 4),
    ]
    page.keyboard.press("Escape")
    expect(page.locator("#chosen")).to_be_hidden()


def test_exact_bytes_should_be_shown_on_request(page: Page) -> None:
    page.get_by_label("Exact bytes").check()
    assert rows_of(page).locator(".size").all_inner_texts() == [NOTHING, "2,000,001 B", "5,368,709,120 B", "1,000 B"]
    expect(page.locator("#count")).to_contain_text(": 5,370,710,121 B to restore")


def test_sizes_should_be_said_as_everywhere_else(tabs: Tabs, tmp_path: Path) -> None:
    sizes = [0, 1, 1023, 1024, 1024**2 - 1, 1024**2, 1_048_524, 2_224_281_231, 1024**3 - 1, 40 * 1024**4, 3 * 1024**5]
    plan = make_plan(*(planned_raw_file(f"{size}.raw", planned_file(f"{size}.raw", size=size)) for size in sizes))
    shown = rows_of(at_its_table(tabs.open(written(plan, tmp_path)))).locator(".size").all_inner_texts()
    assert shown == [human_size(size) for size in sizes]


@pytest.fixture
def hostile_plan() -> Plan:
    evil = planned_raw_file(
        HOSTILE,
        replace(planned_file(f"{HOSTILE}/a"), s3_key=HOSTILE),
        UnresolvedFile(relative_path="b", error=HOSTILE),
        project_id=HOSTILE,
    )
    broken = replace(evil, raw_file_id="x" + HOSTILE, files=(), error=HOSTILE)
    return replace(make_plan(evil, broken), created_by=HOSTILE, output_location=f"/{HOSTILE}")


def test_nothing_in_a_plan_should_become_markup(tabs: Tabs, tmp_path: Path, hostile_plan: Plan) -> None:
    # given
    page = tabs.open(written(hostile_plan, tmp_path))
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))

    # when
    page.get_by_role("button", name="Unfold all").click()
    rows_of(page).last.click()

    # then
    assert page.locator("img, iframe, object, embed, link, form").count() == 0
    assert page.locator("script").count() == 2
    assert dialogs == []
    shown = HOSTILE.replace("\u2028", "\\u2028")
    assert [name for name in names_of(page) if name.startswith(("<", "x<"))] == [f"x{shown}", shown]
    assert page.locator("td").filter(has_text=shown).count() > 0
    assert {"all", shown} == set(page.locator("#label").locator("option").all_inner_texts())


def test_a_script_that_gets_in_all_the_same_should_not_run(page: Page, tabs: Tabs) -> None:
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "document.title = 'ran'";
            document.body.append(script);
            document.body.insertAdjacentHTML("beforeend", "<img src='//127.0.0.1:9/' onerror='document.title = 1'>");
        }"""
    )
    expect(page).to_have_title("Restore plan: plan.json")
    blocked = [complaint for complaint in tabs.complaints if "Content Security Policy" in complaint]
    assert len(blocked) >= 2
    tabs.complaints.clear()
    tabs.requested[:] = [address for address in tabs.requested if address.startswith("file:")]


def test_without_javascript_all_but_the_table_should_be_there(tabs: Tabs, tmp_path: Path) -> None:
    page = tabs.open(written(PLAN, tmp_path), java_script=False)
    text = page.locator("body").inner_text()
    assert DIGEST in text
    assert "5,370,710,121 bytes" in text
    assert "RawFile not found in the catalog" in text
    assert "folder.d/old.bin" in text
    assert "This table needs JavaScript" in text
    expect(page.locator("#controls")).to_be_hidden()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_the_page_should_be_readable_in_light_and_dark_wide_and_narrow(
    tabs: Tabs, tmp_path: Path, size: tuple[int, int], *, dark: bool
) -> None:
    page = at_its_table(tabs.open(written(PLAN, tmp_path), size, dark=dark))
    page.get_by_role("button", name="Unfold all").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert rows_of(page).locator(".state").evaluate_all(IS_CUT_OFF) == []
    for selector in ("h1", ".figures .tone-bad strong", "dt", "td.tone-bad", ".row.tone-bad .state", ".row .detail"):
        assert page.locator(selector).first.evaluate(CONTRAST) >= 4.5, selector
    assert rows_of(page).filter(has_text="Not verifiable: no ETag recorded").first.is_visible()


# The words of elements that are narrower than these.
IS_CUT_OFF = """elements => elements.filter(element => element.scrollWidth > element.clientWidth)
    .map(element => element.textContent)"""

# The contrast of an element's text, as WCAG 2 defines it, with the first background behind it.
CONTRAST = """element => {
    const channels = colour => colour.match(/[\\d.]+/g).map(Number);
    const light = ([red, green, blue]) => [red, green, blue]
        .map(value => value / 255).map(value => value <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4)
        .reduce((sum, value, index) => sum + value * [.2126, .7152, .0722][index], 0);
    let behind = element;
    while (channels(getComputedStyle(behind).backgroundColor)[3] === 0) behind = behind.parentElement;
    const [one, other] = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor]
        .map(colour => light(channels(colour)) + .05);
    return Math.max(one, other) / Math.min(one, other);
}"""


def test_printing_should_put_everything_that_is_unfolded_on_paper(tabs: Tabs, tmp_path: Path) -> None:
    # given: more than fits on the screen
    files = [planned_file(f"s.d/{number:04}", size=number) for number in range(2100)]
    page = tabs.open(written(make_plan(planned_raw_file("s.d", *files)), tmp_path))
    page.get_by_role("button", name="Unfold all").click()
    assert rows_of(page).count() < 100

    # when
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")

    # then
    assert rows_of(page).count() == 2000
    expect(page.locator("#count")).to_contain_text("Printed: the first 2,000 lines; 101 are not.")
    expect(page.get_by_label("Find")).to_be_hidden()
    tops = rows_of(page).evaluate_all("rows => rows.slice(0, 50).map(row => row.getBoundingClientRect().top)")
    assert all(upper < lower for upper, lower in pairwise(tops))

    # when it has been printed
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert rows_of(page).count() < 100
    expect(page.locator("#count")).not_to_contain_text("Printed")


def many_raw_files() -> Iterator[RawFilePlan]:
    for number in range(5000):
        name = f"sample_{number:05}.d"
        files = (planned_file(f"{name}/{file:02}", size=number * 20 + file) for file in range(20))
        yield planned_raw_file(name, *files, project_id=f"PRID{number % 7:03}")


def test_a_hundred_thousand_files_should_be_all_there_and_few_of_them_drawn(tabs: Tabs, tmp_path: Path) -> None:
    page = tabs.open(written(make_plan(*many_raw_files()), tmp_path))
    total = human_size(sum(range(100_000)))
    expect(page.locator("#count")).to_have_text(f"All 100,000 files in 5,000 raw files: {total} to restore.")
    page.get_by_role("button", name="Unfold all").click()
    page.get_by_role("treegrid").focus()
    page.keyboard.press("End")
    assert names_of(page)[-1] == "19"
    expect(page.locator("#chosen-text")).to_contain_text("sample_04999.d/19")
    expect(rows_of(page).last).to_be_in_viewport()
    assert page.locator("*").count() < 1000
    page.get_by_label("Find").fill("sample_04321.d/07")
    expect(page.locator("#count")).to_contain_text("1 file in 1 raw file of")
    assert names_of(page) == ["sample_04321.d", "07"]


def test_after_an_apply_the_page_should_tell_what_became_of_each_file(tabs: Tabs, tmp_path: Path) -> None:
    # given
    denied = Failure(FailureKind.ACCESS_DENIED, HOSTILE)
    folder = [
        FileResult(
            relative_path="folder.d/analysis.tdf", outcome=Outcome.HEALED, corrupt_copy="analysis.tdf.corrupted"
        ),
        FileResult(relative_path="folder.d/old.bin", outcome=Outcome.FAILED, failure=denied),
        FileResult(relative_path="folder.d/small.xml", outcome=Outcome.DOWNLOADED),
    ]
    ended = {
        "big.raw": (FileResult(relative_path="big.raw", outcome=Outcome.SKIPPED),),
        "folder.d": tuple(folder),
        "no_such_file": (),
    }
    result = ApplyResult(
        plan_digest=DIGEST,
        output_location="/out",
        raw_files=tuple(
            RawFileResult(
                raw_file_id=raw_file.raw_file_id,
                project_id=raw_file.project_id,
                destination_base=raw_file.destination_base,
                bucket_name=raw_file.bucket_name,
                planned_files=len(raw_file.files),
                files=ended[raw_file.raw_file_id],
                failure=Failure(FailureKind.UNRESOLVED, raw_file.error) if raw_file.error else None,
            )
            for raw_file in PLAN.raw_files
            if raw_file.raw_file_id in ended
        ),
    )

    # when
    page = at_its_table(tabs.open(written(PLAN, tmp_path, result)))
    page.get_by_role("button", name="Unfold all").click()

    # then
    lines = dict(
        zip(
            names_of(page),
            ["".join(state.split("\n")) for state in rows_of(page).locator(".state").all_inner_texts()],
            strict=True,
        )
    )
    assert lines == {
        "no_such_file": "✗ unresolvable",
        "small.raw": "– not attempted",  # noqa: RUF001
        "folder.d": "✗ in part",
        "old.bin": "✗ failed",
        "analysis.tdf": "! healed",
        "small.xml": "✓ downloaded",
        "big.raw": "✓ already right",
    }
    text = page.locator("body").inner_text()
    assert "Access denied: </script><img src=x" in text
    assert "1 of 3 files not verified: Access denied: </script>" in row_named(page, "folder.d").inner_text()
    assert "corrupt file kept as analysis.tdf.corrupted" in text
