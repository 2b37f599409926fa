"""Spoiled plans: each is either a plan whose every rule holds, or refused in one bounded message, and nothing else."""

import itertools
import json
import math
from pathlib import Path, PurePosixPath

import pytest
from cli import Cli
from plan_mutations import mutated_plans
from plan_samples import plan_bytes

from schemas.errors import PlanError
from schemas.plan import Plan
from schemas.plan_file import read_plan, seal_plan

MAX_MESSAGE_BYTES = 64 * 1024
MAX_LINE_BYTES = 4096


def assert_sound(plan: Plan) -> None:
    """What apply relies on, looked at in another way than the rules do."""
    output = PurePosixPath(plan.output_location)
    content_of: dict[PurePosixPath, tuple[str, int | None]] = {}
    for raw_file, file in plan.planned_files():
        path = raw_file.absolute_dest_path(file)
        pure = PurePosixPath(path)
        assert str(pure) == path
        assert pure.is_relative_to(output)
        assert pure != output
        below = pure.relative_to(output).parts
        assert not {"..", ".", ""} & set(pure.parts)
        assert not any(part.lower() == ".kraken-plan" for part in below)
        assert not any(part.lower().startswith("_download_status_batch_") for part in below)
        assert all(len(part.encode()) <= 255 for part in below)
        assert "\0" not in path
        digest, _, parts = file.expected_etag.partition("-")
        assert set(digest) <= set("0123456789abcdef")
        assert len(digest) == 32
        if parts and file.expected_size is not None:
            assert int(parts) == max(1, math.ceil(file.expected_size / (file.chunk_size_mb * 2**20))) <= 10_000
        content = (file.expected_etag, file.chunk_size_mb if parts else None)
        assert content_of.setdefault(pure, content) == content
    assert not any(set(pure.parents) & content_of.keys() for pure in content_of)
    assert read_plan(plan_bytes(plan), "again").raw_files == plan.raw_files


def assert_bounded(message: str) -> None:
    """A message that can be shown as it is."""
    assert 0 < len(message.encode()) <= MAX_MESSAGE_BYTES
    for line in message.split("\n"):
        assert line.isprintable()
        assert len(line.encode()) <= MAX_LINE_BYTES


def check_reading(content: bytes) -> bool:
    """Read a plan file, and tell whether it is one."""
    try:
        plan = read_plan(content, "plan.json")
    except PlanError as error:
        assert_bounded(str(error))
        return False
    assert_sound(plan)
    stated = [
        file["absolute_dest_path"]
        for raw_file in json.loads(content)["raw_files"].values()
        for file in raw_file["files"]
        if raw_file.get("error") is None and file.get("error") is None
    ]
    assert stated == [raw_file.absolute_dest_path(file) for raw_file, file in plan.planned_files()]
    return True


def check_sealing(content: bytes) -> None:
    """Sealing refuses what reading refuses, but for the digest."""
    try:
        sealed = seal_plan(content, "plan.json")
    except PlanError as error:
        assert_bounded(str(error))
    else:
        assert check_reading(sealed)


def fuzz(seed: str, count: int) -> None:
    accepted = 0
    for number, content in enumerate(itertools.islice(mutated_plans(seed), count)):
        try:
            accepted += check_reading(content)
            check_sealing(content)
        except Exception as error:
            error.add_note(f"mutated_plans({seed!r}), number {number}: {content[:2000]!r}")
            raise
    assert count / 50 < accepted < count / 2, f"seed {seed!r}: {accepted} of {count} accepted show too little"


def test_2000_spoiled_plans_should_be_sound_or_refused_in_a_bounded_message() -> None:
    fuzz("ordinary", 2000)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_10000_spoiled_plans_should_be_sound_or_refused_in_a_bounded_message() -> None:
    fuzz("long", 10_000)


@pytest.mark.parametrize("number", range(8))
def test_spoiled_plans_should_be_refused_by_the_program_and_change_nothing(run_cli: Cli, number: int) -> None:
    """Valid ones are looked at, against an S3 that is not there."""
    # given
    seed = f"program {number}"
    (run_cli.folder / "out").mkdir()
    content = next(mutated_plans(seed)).replace(b'"/out', f'"{run_cli.folder}/out'.encode())
    (run_cli.folder / "plan.json").write_bytes(content)
    before = tree(run_cli.folder)
    expected = 0 if check_reading(content) else 2
    # when
    checked = run_cli("validate", "plan.json")
    applied = run_cli(
        "apply", "plan.json", "--dry-run", "--retries", "0", "--endpoint-url", "http://127.0.0.1:1", timeout_seconds=30
    )
    # then
    assert checked.exit_code == expected, f"seed {seed!r}: {checked}"
    assert applied.exit_code in ({2} if expected else {0, 1, 2}), f"seed {seed!r}: {applied}"
    for said in (checked.stderr, applied.stderr):
        assert len(said.encode()) <= MAX_MESSAGE_BYTES, f"seed {seed!r}"
    assert tree(run_cli.folder) == before, f"seed {seed!r}"


def tree(folder: Path) -> dict[str, bytes | None]:
    """All paths below a folder, with the files' content."""
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}
