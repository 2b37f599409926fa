"""Scorecard row 35: plans that name places outside, links planted before or during a run. Nothing outside changes."""

import ctypes
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from apply_case import compile_plan, left_staged, thermo
from cli import Cli
from conftest import MakeRestoreCase
from ended_runs import ENDED_HERE, plant_ended_run
from faulty_proxy import FaultyProxy
from file_systems import mounted_tmpfs, picture
from needs import needs_root
from restore_case import raw_file
from sample_data import MIB, made_up_bytes

from applier.disk.staging import staged_name
from schemas.plan_file import read_plan

EXCHANGE = 2  # of renameat2


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A tree beside the output location, with the names that a run would use."""
    folder = tmp_path / "outside"
    (folder / "x.d").mkdir(parents=True)
    for name in ("y", "x.d/y", "x.d/0", "run-dead.lock", "sample.raw"):
        (folder / name).write_bytes(b"not ours")
    return folder


# --- what a plan says


@pytest.mark.parametrize(
    ("destination", "path", "words"),
    [
        ("P", "../x", "it has the component '..'"),
        ("P", "x/../../y", "it has the component '..'"),
        ("P", "/etc/x", "it is absolute"),
        ("P", "x\0y", "U+0000"),
        ("P", "x\ud800", "surrogate"),
        ("P", ".kraken-plan/run-x.lock", "kraken-plan's own folder"),
        ("P", ".kraken\u200b-plan/y", "kraken-plan's own folder"),
        ("P", ".\u212araken-plan/y", "kraken-plan's own folder"),  # the Kelvin sign
        ("P", "_Download_status_batch_20250101_000000.txt", "kraken-plan's own reports"),
        ("../P", "y", "it has the component '..'"),
        ("x/.Kraken-PLAN", "y", "kraken-plan's own folder"),
        ("/etc", "y", "not within the output_location"),
    ],
)
def test_a_path_that_leads_out_or_to_our_own_files_should_be_refused_by_name_row_35(
    run_cli: Cli, outside: Path, destination: str, path: str, words: str
) -> None:
    # given a plan that is as it should be, but for one path
    output = run_cli.folder / "out"
    output.mkdir()
    base = destination if destination.startswith("/") else f"{output}/{destination}"
    file = {"relative_path": path, "s3_key": "y", "expected_etag": "d41d8cd98f00b204e9800998ecf8427e"}
    file |= {"chunk_size_mb": 5, "expected_size": 0, "absolute_dest_path": f"{base}/{path}", "error": None}  # type: ignore[dict-item]  # JSON
    document = {
        "format_version": "1.0",
        "created_at": "2026-11-23T14:30:22Z",
        "created_by": "a test",
        "s3": {"region": None, "endpoint_url": "http://127.0.0.1:1"},
        "output_location": str(output),
        "raw_files": {
            "bad.d": {
                "project_id": "P",
                "destination_base": base,
                "bucket_name": "bucket",
                "files": [file],
                "error": None,
                "skipped": False,
            }
        },
    }
    before = picture(outside)

    # when
    result = run_cli("apply", "-", stdin=json.dumps(document))

    # then
    assert result.exit_code == 2, result.stderr
    assert words in result.stderr
    assert "\u200b" not in result.stderr
    assert picture(outside) == before
    assert list(output.iterdir()) == []


# --- links planted before


def test_a_destination_that_is_a_link_should_be_refused_row_35(
    run_cli: Cli, make_restore_case: MakeRestoreCase, outside: Path
) -> None:
    case = make_restore_case(thermo(size_bytes=100))
    case.destination().symlink_to(outside)
    before = picture(outside)

    result = run_cli("apply", compile_plan(run_cli, case))

    assert result.exit_code == 2
    assert "a symbolic link stands in the way" in result.stderr
    assert picture(outside) == before


def test_links_under_our_own_names_should_not_be_followed_row_35(
    run_cli: Cli, make_restore_case: MakeRestoreCase, outside: Path
) -> None:
    # given a dead run whose folder and lock are links, and a link where corrupt bytes would be kept
    case = make_restore_case(thermo(size_bytes=1000))
    plan = compile_plan(run_cli, case)
    staging = case.destination() / ".kraken-plan"
    staging.mkdir(parents=True)
    (staging / f"{ENDED_HERE.run_name('one')}.lock").symlink_to(outside / "run-dead.lock")
    (staging / f"{ENDED_HERE.run_name('two')}.lock").touch()
    (staging / ENDED_HERE.run_name("two")).symlink_to(outside)
    (case.destination() / "sample.raw").write_bytes(b"corrupt")
    (case.destination() / "sample.raw.corrupted").symlink_to(outside / "y")
    before = picture(outside)

    # when
    result = run_cli("apply", plan, "--on-corrupt", "quarantine")

    # then
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert (case.destination() / "sample.raw.corrupted.1").read_bytes() == b"corrupt"
    assert picture(outside) == before


@pytest.mark.parametrize("kind", ["symbolic link", "file"])
def test_what_is_not_a_folder_under_the_name_of_the_staging_folder_should_be_refused_and_named_row_35(
    run_cli: Cli, make_restore_case: MakeRestoreCase, outside: Path, kind: str
) -> None:
    # given
    case = make_restore_case(thermo(size_bytes=1000))
    plan = compile_plan(run_cli, case)
    case.destination().mkdir()
    staging = case.destination() / ".kraken-plan"
    if kind == "file":
        staging.touch()
    else:
        staging.symlink_to(outside)
    before = picture(outside)

    # when
    result, seen = run_cli("apply", plan), run_cli("status", plan)

    # then
    said = f"{staging}: a {kind} stands where all runs stage their files: move it away"
    assert result.exit_code == 2
    assert said in result.stderr
    assert said in seen.stdout
    assert list(case.destination().iterdir()) == [staging]
    assert picture(outside) == before


@needs_root
def test_a_staging_folder_on_another_file_system_should_be_refused_before_anything_is_fetched(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo(size_bytes=1000))
    plan = compile_plan(run_cli, case)
    staging = case.destination() / ".kraken-plan"
    staging.mkdir(parents=True)

    with mounted_tmpfs(staging, "size=1m"):
        result = run_cli("apply", plan)

    assert result.exit_code == 2
    assert f"{staging}: is on another file system than its destination" in result.stderr


def test_a_planted_hard_link_should_never_be_written_to_row_35(
    run_cli: Cli, make_restore_case: MakeRestoreCase, outside: Path
) -> None:
    # given a hard link to a file outside where a dead run would have staged, with its journal
    case = make_restore_case(thermo(size_bytes=33 * MIB))
    plan = compile_plan(run_cli, case)
    (_, file), *_ = read_plan(plan.read_bytes(), "plan.json").planned_files()
    dead = plant_ended_run(case.destination())
    staged = dead / f"{staged_name(file)}.part"
    staged.hardlink_to(outside / "y")
    head = {"etag": file.expected_etag, "chunk_size_mb": file.chunk_size_mb, "size_bytes": file.expected_size}
    staged.with_suffix(".journal").write_text(json.dumps(head) + "\n", encoding="ascii")

    # when
    result = run_cli("apply", plan)

    # then
    assert result.exit_code == 0, result.stderr
    assert (outside / "y").read_bytes() == b"not ours"
    assert case.unrestored() == []
    assert left_staged(case) == []


# --- links planted during the run


@contextmanager
def swapping(one: Path, other: Path) -> Iterator[list[int]]:
    """Exchange two names again and again while a block runs; gives how often, so far."""
    libc = ctypes.CDLL(None, use_errno=True)
    swaps, ended = [0], threading.Event()

    def swap() -> None:
        while not ended.is_set():
            if libc.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), EXCHANGE) == 0:
                swaps[0] += 1
            ended.wait(0.0005)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield swaps
    finally:
        ended.set()
        thread.join()


def test_a_folder_swapped_for_a_link_again_and_again_should_lead_nothing_out_row_35(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, outside: Path
) -> None:
    # given 150 files, every third of them wrong, in a folder that somebody keeps swapping for a link to the outside
    contents = {f"x.d/{number}": made_up_bytes(str(number), 1000) for number in range(150)}
    case = make_restore_case(
        raw_file("x.d", {path: (content, 5) for path, content in contents.items()}),
        endpoint_url=faulty_proxy.endpoint_url,
    )
    plan = compile_plan(run_cli, case)
    folder, link = case.destination() / "x.d", case.destination() / "link"
    folder.mkdir(parents=True)
    for number in range(0, 150, 3):
        (folder / str(number)).write_bytes(b"wrong")
    link.symlink_to(outside / "x.d")
    before = picture(outside)

    # when
    with swapping(folder, link) as swaps:
        result = run_cli("apply", plan, "--jobs", "8", "--on-corrupt", "quarantine")

    # then nothing is outside, and each file is right, as it was, or moved aside as corrupt
    assert swaps[0] > 100
    assert picture(outside) == before
    assert result.exit_code in {0, 1}, result.stderr
    assert "unforeseen" not in result.stderr
    real = folder if not folder.is_symlink() else link
    for path in real.iterdir():
        name = path.name.partition(".")[0]
        assert path.read_bytes() in {contents[f"x.d/{name}"], b"wrong"}
    assert [path.name for path in case.destination().rglob(".kraken-plan/**/*.part")] == []
