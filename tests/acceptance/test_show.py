"""`kraken-plan show`, as a user runs it: on a terminal, into a pipe, for programs, as a page."""

import json
import os
import pty
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import click
import pytest
from cli import PROGRAM, Cli
from plan_samples import make_plan, plan_bytes, plan_document, planned_file, planned_raw_file, unresolved_raw_file

from kraken_plan.views.plan_sections import NOTHING
from schemas.plan import Plan, UnresolvedFile

PLAN = make_plan(
    planned_raw_file("big.raw", planned_file("big.raw", size=5 * 1024**3)),
    planned_raw_file(
        "folder.d",
        planned_file("folder.d/a", size=2000),
        UnresolvedFile(relative_path="folder.d/b", error="Not verifiable: no ETag recorded", expected_size=10),
        project_id="PRID002",
    ),
    unresolved_raw_file(),
)


def write_plan(run_cli: Cli, plan: Plan = PLAN) -> Path:
    path = run_cli.folder / "plan.json"
    path.write_bytes(plan_bytes(plan))
    return path


@pytest.fixture
def plan_path(run_cli: Cli) -> Path:
    return write_plan(run_cli)


def on_a_terminal(run_cli: Cli, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """What a terminal of 24 lines and 200 columns is sent."""
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [PROGRAM, *arguments],
        stdin=child,
        stdout=child,
        stderr=subprocess.PIPE,
        cwd=run_cli.folder,
        env={**run_cli.environment, "TERM": "xterm", "LINES": "24", "COLUMNS": "200", **(environment or {})},
    )
    os.close(child)
    sent = bytearray()
    while piece := _read_terminal(parent):
        sent += piece
    os.close(parent)
    assert process.communicate(timeout=30)[1] == b""
    assert process.returncode == 0
    return sent.decode().replace("\r\n", "\n")


def _read_terminal(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # how a terminal says that nobody writes to it any more
        return b""


def test_show_should_tell_all_that_a_review_needs(run_cli: Cli, plan_path: Path) -> None:
    result = run_cli("show", "plan.json")
    digest = json.loads(plan_path.read_bytes())["plan_digest"]
    assert (result.exit_code, result.stderr) == (0, "")
    assert (
        result.stdout
        == f"""\
Plan             plan.json
Digest           {digest}
Made             2026-11-23 14:30:22 UTC by kraken-plan 0.1.0
Compiled from    raw_file.jsonl
S3               AWS, region eu-central-1
Output location  /out
Restores         2 files of 2 raw files, 5.0 GiB
Unresolvable     1 raw file, 1 file

Unresolvable, and why
Entries  Reason                            Which
      1  Not verifiable: no ETag recorded  folder.d/b
      1  RawFile not found in the catalog  raw file no_such_file

By project and destination
   Size  Raw files  Files  Unresolvable  Project  Destination
5.0 GiB          1      1             0  PRID001  /out/PRID001
2.0 KiB          1      1             1  PRID002  /out/PRID002
    0 B          1      0             1  {NOTHING}        {NOTHING}

Largest files
   Size  Project  File
5.0 GiB  PRID001  big.raw
2.0 KiB  PRID002  folder.d/a

Raw files
State         Files     Size  Project  Raw file      Why
to restore        1  5.0 GiB  PRID001  big.raw
in part           1  2.0 KiB  PRID002  folder.d      1 of 2 files unresolvable
unresolvable      0      0 B  {NOTHING}        no_such_file  RawFile not found in the catalog
"""
    )


def test_show_should_read_a_plan_from_stdin(run_cli: Cli, plan_path: Path) -> None:
    result = run_cli("show", "-", stdin=plan_path.read_text())
    assert result.exit_code == 0
    assert result.stdout.startswith("Plan             <stdin>\n")


def test_files_should_have_a_line_each_with_all_that_is_planned(run_cli: Cli, plan_path: Path) -> None:
    lines = run_cli("show", plan_path, "--files", "--exact").stdout.splitlines()
    etag = "d8e8fca2dc0f896fd7cb4cb0031ba249"
    files = [line.split() for line in lines[lines.index("Files") + 2 :]]
    assert files[0] == [
        *("to", "restore", "5,368,709,120", "B", "5", "MiB", etag, "PRID001"),
        *("big.raw", "s3://alphakraken-prid001/big.raw", "/out/PRID001/big.raw"),
    ]
    assert files[1][-2:] == ["s3://alphakraken-prid001/folder.d/a", "/out/PRID002/folder.d/a"]
    assert " ".join(files[2]).endswith("folder.d/b: Not verifiable: no ETag recorded")
    assert " ".join(files[3]).endswith(f"no_such_file {NOTHING} RawFile not found in the catalog")
    assert len(files) == 4


def test_a_pinned_version_should_be_named(run_cli: Cli) -> None:
    pinned = replace(planned_file("r"), version_id="3HL4kqtJvjVBH40Nrjfkd")
    path = write_plan(run_cli, make_plan(planned_raw_file("r", pinned)))
    assert "s3://alphakraken-prid001/r version 3HL4kqtJvjVBH40Nrjfkd" in run_cli("show", path, "--files").stdout


def test_sizes_should_be_exact_on_request(run_cli: Cli, plan_path: Path) -> None:
    result = run_cli("show", plan_path, "--exact")
    assert "2 files of 2 raw files, 5,368,711,120 B\n" in result.stdout
    assert "GiB" not in result.stdout


def test_json_should_hold_the_same_for_programs(run_cli: Cli, plan_path: Path) -> None:
    shown = json.loads(run_cli("show", plan_path, "--json").stdout)
    plan = json.loads(plan_path.read_bytes())
    for name in ("plan_digest", "created_at", "created_by", "compiled_from", "s3", "output_location"):
        assert shown[name] == plan[name]
    assert shown["totals"] == {
        "raw_files": 3,
        "restored_raw_files": 2,
        "skipped_raw_files": 1,
        "files": 2,
        "skipped_files": 1,
        "size_bytes": 5_368_711_120,
        "unknown_sizes": 0,
        "skipped_bytes": 10,
    }
    assert (shown["tally"]["entries"], shown["tally"]["unresolvable"]) == (4, 2)
    assert [destination["size_bytes"] for destination in shown["destinations"]] == [5 * 1024**3, 2000, 0]
    assert [file["relative_path"] for file in shown["largest_files"]] == ["big.raw", "folder.d/a"]
    assert [skipped["reason"] for skipped in shown["skipped"]] == [
        "Not verifiable: no ETag recorded",
        "RawFile not found in the catalog",
    ]
    assert [raw_file["raw_file_id"] for raw_file in shown["raw_files"]] == list(plan["raw_files"])
    assert "file_list" not in shown["raw_files"][0]


def test_json_with_files_should_hold_every_file(run_cli: Cli, plan_path: Path) -> None:
    shown = json.loads(run_cli("show", plan_path, "--json", "--files").stdout)
    plan = json.loads(plan_path.read_bytes())
    assert [raw_file["raw_file_id"] for raw_file in shown["raw_files"]] == list(plan["raw_files"])
    for raw_file in shown["raw_files"]:
        for file, planned in zip(
            raw_file["file_list"], plan["raw_files"][raw_file["raw_file_id"]]["files"], strict=True
        ):
            assert {name: file.get(name) for name in planned if name != "absolute_dest_path"} == {
                name: value for name, value in planned.items() if name != "absolute_dest_path"
            }


@pytest.mark.parametrize("arguments", [["--json"], ["--json", "--files"], [], ["--files"]])
def test_a_plan_without_raw_files_should_be_shown(run_cli: Cli, arguments: list[str]) -> None:
    document = plan_document()
    document["raw_files"] = {}
    (run_cli.folder / "plan.json").write_text(json.dumps(document))
    result = run_cli("show", "plan.json", *arguments)
    assert result.exit_code == 0
    if "--json" in arguments:
        assert json.loads(result.stdout)["raw_files"] == []
    else:
        assert "Restores         0 files of 0 raw files, 0 B" in result.stdout


def test_files_of_unknown_size_should_be_told(run_cli: Cli) -> None:
    path = write_plan(run_cli, make_plan(planned_raw_file("r", planned_file("r", size=None))))
    assert "1 file of 1 raw file, 0 B, 1 file of unknown size\n" in run_cli("show", path).stdout


@pytest.mark.parametrize("arguments", [[], ["--files"], ["--json", "--files"]])
def test_names_should_not_steer_the_terminal_nor_forge_a_line(run_cli: Cli, arguments: list[str]) -> None:
    evil = "x\u202e\u2028\x9b"  # JSON Schema lets these pass in an id, not in a path
    skipped = replace(unresolved_raw_file(evil, error=f"{evil}\n\x1b[31m"), project_id=evil)
    result = run_cli("show", write_plan(run_cli, make_plan(planned_raw_file(), skipped)), *arguments)
    assert result.exit_code == 0
    assert all(line.isprintable() for line in result.stdout.split("\n"))


@pytest.mark.parametrize("lines", ["24", "100"], ids=["in less", "unpaged"])
def test_a_terminal_should_get_colours_and_a_pipe_none(run_cli: Cli, plan_path: Path, lines: str) -> None:
    less = run_cli.folder / "less"
    less.write_text('#!/bin/sh\ntest "$LESS" = -R && exec cat\n')
    less.chmod(0o755)
    bare = run_cli("show", "plan.json").stdout
    coloured = on_a_terminal(run_cli, "show", "plan.json", environment={"PAGER": str(less), "LINES": lines})
    assert "\x1b" not in bare
    assert "\x1b[31m\x1b[1munresolvable\x1b[0m" in coloured
    assert click.unstyle(coloured) == bare
    assert plan_path.name in coloured


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_that_wants_no_colours_should_get_none(
    run_cli: Cli, plan_path: Path, environment: dict[str, str]
) -> None:
    sent = on_a_terminal(run_cli, "show", "plan.json", environment={"LINES": "100", **environment})
    assert sent == run_cli("show", "plan.json").stdout
    assert plan_path.name in sent


def test_a_pager_that_is_not_a_command_should_not_keep_a_plan_from_being_shown(run_cli: Cli, plan_path: Path) -> None:
    environment = {"PAGER": '"less', "NO_COLOR": "1", "LINES": "5"}
    assert (
        on_a_terminal(run_cli, "show", plan_path.name, environment=environment) == run_cli("show", "plan.json").stdout
    )


def test_what_is_longer_than_the_terminal_should_go_through_the_pager(run_cli: Cli, plan_path: Path) -> None:
    pager = {"PAGER": "sed s/^/paged:/", "NO_COLOR": "1"}
    long = on_a_terminal(run_cli, "show", "plan.json", environment=pager)
    assert all(line.startswith("paged:") for line in long.splitlines())
    assert long.replace("paged:", "") == run_cli("show", "plan.json").stdout
    short = on_a_terminal(run_cli, "show", "plan.json", environment={**pager, "LINES": "100"})
    assert "paged:" not in short
    assert plan_path.name in short


def test_html_should_write_one_page_and_say_nothing(run_cli: Cli, plan_path: Path) -> None:
    result = run_cli("show", plan_path, "--html", "plan.html")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert sorted(path.name for path in run_cli.folder.iterdir()) == ["plan.html", "plan.json"]
    page = (run_cli.folder / "plan.html").read_text(encoding="utf-8")
    assert json.loads(plan_path.read_bytes())["plan_digest"] in page
    assert "5,368,711,120 bytes" in page


@pytest.mark.parametrize(
    "arguments",
    [["--html", "x", "--json"], ["--html", "x", "--files"], ["--html", "x", "--exact"], ["--json", "--exact"]],
)
def test_options_that_do_not_go_together_should_be_refused(run_cli: Cli, plan_path: Path, arguments: list[str]) -> None:
    result = run_cli("show", plan_path, *arguments)
    assert result.exit_code == 2
    assert "give it without" in result.stderr
    assert result.stdout == ""
    assert not (run_cli.folder / "x").exists()


def test_a_page_that_cannot_be_written_should_be_one_line(run_cli: Cli, plan_path: Path) -> None:
    result = run_cli("show", plan_path, "--html", "no/such/folder/plan.html")
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert "no/such/folder" in result.stderr


def test_a_plan_that_was_edited_should_be_shown_and_compared_with_a_warning(run_cli: Cli, plan_path: Path) -> None:
    edited = run_cli.folder / "edited.json"
    edited.write_bytes(plan_path.read_bytes().replace(b"eu-central-1", b"eu-west-1"))

    shown, compared = run_cli("show", edited), run_cli("diff", plan_path, edited)

    assert (shown.exit_code, compared.exit_code) == (0, 1)
    assert "S3               AWS, region eu-west-1\n" in shown.stdout
    assert "eu-central-1 -> eu-west-1" in compared.stdout
    for result in (shown, compared):
        assert "edited.json: the plan was changed after it was compiled: its plan_digest is sha256:" in result.stderr
    assert run_cli("validate", edited).exit_code == 2


def test_an_unusable_plan_should_be_refused_and_no_page_written(run_cli: Cli, plan_path: Path) -> None:
    plan_path.write_bytes(plan_path.read_bytes().replace(b'"region"', b'"regions"'))
    for arguments in ([], ["--json"], ["--html", "plan.html"]):
        result = run_cli("show", plan_path, *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "regions" in result.stderr
    assert not (run_cli.folder / "plan.html").exists()


def test_a_reader_that_has_seen_enough_should_end_it_quietly(run_cli: Cli) -> None:
    """As in `kraken-plan show plan.json --files | head -1`."""
    files = [planned_file(f"r/{number:05}") for number in range(5000)]
    path = write_plan(run_cli, make_plan(planned_raw_file("r", *files)))
    process = subprocess.Popen(
        [PROGRAM, "show", path, "--files"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=run_cli.folder
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith(b"Plan ")
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait(30)
