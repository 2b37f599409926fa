"""What the documentation shows is what the program does."""

import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from cli import Cli
from console_blocks import Command, commands_in, is_as_shown, run_session
from real_blocks import DOCS, EXAMPLE_REPORT, README, ROOT, pages, with_real_blocks
from world import demo_world

from applier.reports.report_text import ReportedRun, render_report
from kraken_plan.command_group import COMMANDS, EXIT_READER_GONE, cli
from kraken_plan.entry_point import EXIT_BUG
from planner.build_plan import build_download_plan
from planner.records import parse_record
from schemas.plan import UnresolvedFile
from schemas.results import Failure, FailureKind, FileResult, Outcome, RawFileResult, RunEnd, RunHead
from schemas.site.config import SiteConfig

PAGES = [pytest.param(page, id=str(page.relative_to(ROOT))) for page in pages()]
SESSIONS = [page for page in PAGES if "<!-- run -->" in Path(str(page.values[0])).read_text(encoding="utf-8")]
FAILURES, EXIT_CODES = DOCS / "failures.md", DOCS / "exit-codes.md"


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def options_of(command: str) -> set[str]:
    found = cli.get_command(click.Context(cli), command)
    assert found is not None
    return {name for option in (*found.params, *cli.params) for name in option.opts} | {"-h", "--help"}


def calls_in(command: Command) -> Iterator[list[str]]:
    """Every call of the program in a line, as its arguments."""
    lexer = shlex.shlex(command.line.replace("\\\n", " "), posix=True, punctuation_chars="|;&()<>")
    lexer.whitespace_split = True
    call: list[str] | None = None
    for token in lexer:
        if token.endswith("kraken-plan"):
            call = []
        elif re.fullmatch(r"[|;&()<>]+", token):
            if call is not None:
                yield call
            call = None
        elif call is not None:
            call.append(token)
    if call is not None:
        yield call


@pytest.mark.parametrize("page", PAGES)
def test_page_should_show_the_real_help_plan_and_report(page: Path) -> None:
    text = read(page)

    assert text == with_real_blocks(text), "run `.venv/bin/python tests/worlds/real_blocks.py`"


@pytest.mark.parametrize("page", PAGES)
def test_page_should_link_only_to_files_that_are_there(page: Path) -> None:
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", read(page))]

    local = [link for link in links if link and not link.startswith(("https://", "mailto:"))]
    assert [link for link in local if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_page_should_name_only_tests_that_are_there(page: Path) -> None:
    named = set(re.findall(r"`(test_\w+)`", read(page)))
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in (path.stem, *re.findall(r"^def (test_\w+)", read(path), re.MULTILINE))
    }

    assert named - there == set()


@pytest.mark.parametrize("page", PAGES)
def test_page_should_call_only_commands_and_options_that_are_there(page: Path) -> None:
    calls = [call for command in commands_in(read(page)) for call in calls_in(command) if call]
    strange = [
        (call[0], argument)
        for call in calls
        for argument in call
        if (call[0] in COMMANDS and argument.startswith("-") and len(argument) > 1)
        and argument.partition("=")[0] not in options_of(call[0])
    ]

    assert [call for call in calls if call[0] not in COMMANDS and not call[0].startswith(("-", "COMMAND"))] == []
    assert strange == []


def test_some_pages_should_have_sessions_that_are_run() -> None:
    assert {page.id for page in SESSIONS} >= {"docs/tutorial.md", "docs/how-to/after-a-failure.md"}


@pytest.mark.parametrize("page", SESSIONS)
def test_session_should_print_what_its_page_shows(page: Path, tmp_path: Path) -> None:
    commands = [command for command in commands_in(read(page)) if command.is_run]

    with demo_world(tmp_path / "world") as world:
        path = f"{Path(sys.executable).parent}:{world.environment['PATH']}"
        ended = run_session(commands, world.folder, {**world.environment, "PATH": path})

    assert len(ended) == len(commands)
    for command, following, end in zip(commands, [*commands[1:], None], ended, strict=True):
        if command.output:
            assert is_as_shown(command.output, end.output), f"$ {command.line}\n{end.output}"
        if following is None or following.line != "echo $?":
            assert end.exit_code == 0, f"$ {command.line}\n{end.output}"


@pytest.mark.parametrize("kind", FailureKind)
def test_failures_should_have_a_section_for_every_kind(kind: FailureKind) -> None:
    label, heading = f"(failure-{kind.name.lower().replace('_', '-')})=", kind.value.format("…")
    section = rf"{re.escape(label)}\n(\(.*\)=\n)*## `{re.escape(f'FAILURE - {heading}')}`\n"

    assert re.search(section, read(FAILURES))


DOCUMENTS: Mapping[str, Mapping[str, object]] = {
    "no project": {"project_id": None},
    "no path": {"s3_upload_path": None},
    "ignored": {"s3_upload_path": None, "status": "ignored"},
    "no files": {"file_info": {}},
    "odd files": {"file_info": "x"},
    "odd bucket": {"s3_upload_path": "s3://a bucket!"},
    "odd project": {"project_id": "a/b"},
    "no etag": {"file_info": {"f": [1, "0" * 32]}},
    "odd etag": {"file_info": {"f": [1, "0" * 32, "x"]}},
    "odd chunk": {"file_info": {"f": [1, "0" * 32, "d41d8cd98f00b204e9800998ecf8427e__0"]}},
    "odd parts": {"file_info": {"f": [1, "0" * 32, "d41d8cd98f00b204e9800998ecf8427e-9__5"]}},
    "odd size": {"file_info": {"f": [-1, "0" * 32, "d41d8cd98f00b204e9800998ecf8427e__5"]}},
    "odd entry": {"file_info": {"f": [1]}},
    "odd name": {"file_info": {"../f": [0, "0" * 32, "d41d8cd98f00b204e9800998ecf8427e__5"]}},
    "not found": {},
}


@pytest.mark.parametrize("case", DOCUMENTS)
def test_failures_should_explain_whatever_a_plan_could_not_resolve(case: str) -> None:
    # given
    document = {
        "_id": "r",
        "project_id": "P",
        "s3_upload_path": "s3://bucket",
        "file_info": {"f": [0, "", "d41d8cd98f00b204e9800998ecf8427e__5"]},
        **DOCUMENTS[case],
    }
    records = [] if case == "not found" else [parse_record(document)]

    # when
    plan = build_download_plan(
        ["r"],
        records,
        site=SiteConfig(output_location="/o"),
        catalog_description="c",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )

    # then
    raw_file = plan.raw_files[0]
    (error,) = (
        [raw_file.error] if raw_file.error else [f.error for f in raw_file.files if isinstance(f, UnresolvedFile)]
    )
    explained = re.findall(r"^\| `([^`]+)` \|", read(FAILURES), re.MULTILINE)
    assert [words for words in explained if is_as_shown(words, error)], error


def test_exit_codes_should_have_a_section_for_every_code_that_a_help_names(run_cli: Cli) -> None:
    helps = [run_cli("--help").stdout, *(run_cli(command, "--help").stdout for command in COMMANDS)]
    lines = [line for text in helps for line in re.findall(r"^    ([\d/]+)  ", text, re.MULTILINE)]
    codes = {code for line in lines for code in line.split("/")} | {str(EXIT_BUG), str(EXIT_READER_GONE)}

    assert codes >= {"0", "1", "2", "70", "129", "130", "143"}
    assert {code for code in codes if f"({'exit-' + code})=\n## " not in read(EXIT_CODES)} == set()


def test_grammar_of_the_report_should_fit_every_line_of_reports() -> None:
    # given
    (block,) = re.findall(r"<!-- grammar -->\n```text\n(.*?)```", read(DOCS / "reference" / "report.md"), re.DOTALL)
    rules = dict(re.split(r" +", line, maxsplit=1) for line in block.splitlines())

    # when
    lines = [*read(EXAMPLE_REPORT).splitlines(), *"".join(_report_of_everything()).splitlines()]

    # then
    assert [line for line in lines if not any(re.fullmatch(rule, line) for rule in rules.values())] == []
    assert [name for name, rule in rules.items() if not any(re.fullmatch(rule, line) for line in lines)] == []


def _report_of_everything() -> Iterator[str]:
    ends = [
        FileResult(relative_path="a", outcome=Outcome.DOWNLOADED, size_bytes=1, remark="from a version of …"),
        FileResult(relative_path="b", outcome=Outcome.SKIPPED),
        FileResult(relative_path="c", outcome=Outcome.HEALED, part_md5s=b"0" * 48, fetched_parts=1),
        FileResult(relative_path="d", outcome=Outcome.HEALED, corrupt_copy="d.corrupted", remark="by MD5"),
        *(
            FileResult(relative_path=kind.name, outcome=Outcome.FAILED, failure=Failure(kind, "x"))
            for kind in FailureKind
        ),
    ]
    base = {"raw_file_id": "r", "project_id": None, "destination_base": "/o", "bucket_name": None}
    whole = [
        RawFileResult(**base, planned_files=5, failure=Failure(kind, "x"))  # type: ignore[arg-type]  # text and None
        for kind in FailureKind
    ]
    raw_files = [RawFileResult(**base, planned_files=len(ends), files=tuple(ends), notes=("n",)), *whole]  # type: ignore[arg-type]
    now = datetime(2026, 1, 1, tzinfo=UTC)
    head = RunHead(plan_digest="sha256:0", output_location="/o", started_at=now, approvals=("somebody",))
    runs = [ReportedRun(head=head, end=end, name="r") for end in (RunEnd(ended_at=now), None)]
    yield from render_report("sha256:0", "/o", raw_files, now, runs)
    yield from render_report("sha256:0", "/o", raw_files, now, runs[:1])


def test_picture_of_the_architecture_should_name_every_room() -> None:
    picture = read(DOCS / "_static" / "architecture.svg")
    rooms = [path.parent for top in ("kraken_plan", "applier") for path in (ROOT / top).glob("*/__init__.py")]

    assert [str(room.relative_to(ROOT)) for room in rooms if f"{room.relative_to(ROOT)}/" not in picture] == []
    assert [room for room in ("kraken_plan", "planner", "applier", "schemas") if room not in picture] == []


def test_readme_should_be_short_and_lead_to_every_page() -> None:
    text = read(README)
    linked = {ROOT / link for link in re.findall(r"\]\((docs/[^)#\s]+)\)", text)}

    assert text.count("\n") <= 200
    assert {page for page in pages() if page.is_relative_to(DOCS) and page.stem != "index"} - linked == set()
