"""Power loss at every instant of an apply, in every way that the crash model knows."""

import random
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from apply_case import compile_plan, left_staged
from apply_here import apply_here, prepare
from cli import Cli
from conftest import MakeRestoreCase
from crash_model import CERTAIN_LOSSES, Disk, Loss, random_losses
from embedded_s3 import EmbeddedS3
from faulty_proxy import FaultyProxy
from network_faults import Fault, Flip
from recorded_disk import Change, New, RecordedDisk, Sync, Tree
from restore_case import RestoreCase, raw_file
from sample_data import made_up_bytes

CONTENTS = {
    "s.d/big.bin": made_up_bytes("big", 300_000),
    "s.d/deep/corrupt.bin": made_up_bytes("corrupt", 3000),
    "s.d/new/small.bin": made_up_bytes("new", 3000),  # restored together with the next
    "s.d/new/smaller.bin": made_up_bytes("newer", 2000),
    "s.d/right.bin": made_up_bytes("right", 3000),
}
CORRUPT = b"not what the plan says"
BEFORE = {"s.d/deep/corrupt.bin": CORRUPT, "s.d/right.bin": CONTENTS["s.d/right.bin"]}
PROJECT = "PRID001/"
NOTHING_UNSYNCED_LEFT, EVERYTHING_LEFT, *_ = CERTAIN_LOSSES


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An apply that went its way, and what it did to the disk."""

    case: RestoreCase
    plan: Path
    before: Tree
    calls: Sequence[tuple[Change, ...]]
    exit_code: int

    def crashes(self, losses: Sequence[Loss]) -> Iterator[tuple[str, Tree]]:
        """What every power loss would leave, after each call."""
        disk = Disk(self.before)
        for number, call in enumerate([(), *self.calls]):
            for change in call:
                disk.happens(change)
            for loss in losses:
                yield f"{loss.name} after call {number} of {len(self.calls)}", disk.after(loss)

    def without_syncs(self, *, of_folders: bool) -> "Recorded":
        """The same, done by a program that leaves out the fsyncs of all folders, or of all files."""
        made = {change.node for call in self.calls for change in call if isinstance(change, New) and change.is_folder}
        folders = self.before.folders.keys() | made

        def is_left_out(change: Change) -> bool:
            return isinstance(change, Sync) and (change.node in folders) is of_folders

        calls = [tuple(change for change in call if not is_left_out(change)) for call in self.calls]
        return replace(self, calls=calls)

    def wrong(self, losses: Sequence[Loss]) -> list[str]:
        """Where a crash would leave a final file that is neither the old nor the right one; or lose corrupt bytes."""
        return [f"{crash}: {found}" for crash, tree in self.crashes(losses) for found in wrong_files(tree.paths())]

    def end(self, loss: Loss) -> dict[str, bytes | None]:
        """What is left of a power loss after the end."""
        *_, (_, tree) = self.crashes([loss])
        return tree.paths()


def wrong_files(found: Mapping[str, bytes | None]) -> list[str]:
    wrong = []
    for path, content in CONTENTS.items():
        after, before = found.get(PROJECT + path), BEFORE.get(path)
        aside = [kept for name, kept in found.items() if name.startswith(f"{PROJECT}{path}.corrupted")]
        if after not in {content, before} and not (after is None and before in aside):
            wrong.append(f"{path} has {after if after is None else after[:30]!r}")
    return wrong


@pytest.fixture
def case(
    make_restore_case: MakeRestoreCase,
    faulty_proxy: FaultyProxy,
    monkeypatch: pytest.MonkeyPatch,
    s3_server: EmbeddedS3,
    tmp_path: Path,
) -> RestoreCase:
    """Five files, of which the big one has a journal and segments; one is right, one corrupt, two in a new folder."""
    prepare(monkeypatch, s3_server, tmp_path)
    files = {path: (content, 5) for path, content in CONTENTS.items()}
    return make_restore_case(raw_file("s.d", files), endpoint_url=faulty_proxy.endpoint_url)


def record(case: RestoreCase, run_cli: Cli, monkeypatch: pytest.MonkeyPatch, *options: str) -> Recorded:
    """Record an apply, and make sure that the record tells all of it."""
    for path, content in BEFORE.items():
        (case.destination() / path).parent.mkdir(parents=True, exist_ok=True)
        (case.destination() / path).write_bytes(content)
    plan = compile_plan(run_cli, case)
    disk = RecordedDisk(case.output_location)
    with disk.recording(monkeypatch):
        exit_code = apply_here(plan, "--jobs", "1", *options)
    recorded = Recorded(case=case, plan=plan, before=disk.before, calls=disk.calls, exit_code=exit_code)
    assert recorded.end(EVERYTHING_LEFT) == Tree.read(case.output_location).paths()
    return recorded


def losses(seed: int, count: int) -> list[Loss]:
    return [*CERTAIN_LOSSES, *random_losses(seed, count)]


@pytest.mark.parametrize("on_corrupt", ["replace", "quarantine"])
def test_a_power_loss_should_leave_old_or_right_files_at_every_instant(
    case: RestoreCase, run_cli: Cli, monkeypatch: pytest.MonkeyPatch, on_corrupt: str
) -> None:
    recorded = record(case, run_cli, monkeypatch, "--on-corrupt", on_corrupt)

    assert recorded.exit_code == 0
    assert recorded.wrong(losses(3, 5)) == []
    if on_corrupt == "quarantine":
        lost = [crash for crash, tree in recorded.crashes(losses(4, 5)) if CORRUPT not in tree.paths().values()]
        assert lost == []


def test_a_power_loss_after_the_end_should_take_nothing_away(
    case: RestoreCase, run_cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = record(case, run_cli, monkeypatch)

    left = recorded.end(NOTHING_UNSYNCED_LEFT)

    assert {path: left.get(PROJECT + path) for path in CONTENTS} == CONTENTS
    (report,) = case.reports()
    assert left[PROJECT + report.name] == report.read_bytes()


def test_a_power_loss_while_a_corrupt_file_is_moved_aside_should_lose_nothing(
    case: RestoreCase, run_cli: Cli, monkeypatch: pytest.MonkeyPatch, faulty_proxy: FaultyProxy
) -> None:
    faulty_proxy.add(Fault(action=Flip(), key="corrupt.bin"))

    recorded = record(case, run_cli, monkeypatch)

    assert recorded.exit_code == 1
    assert (case.destination() / "s.d/deep/corrupt.bin.corrupted").read_bytes() == CORRUPT
    assert recorded.wrong(losses(5, 5)) == []


def test_a_program_without_fsyncs_should_be_caught(
    case: RestoreCase, run_cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the same record, with the fsyncs of files or of folders left out of it."""
    recorded = record(case, run_cli, monkeypatch)

    without_files, without_folders = (recorded.without_syncs(of_folders=of_folders) for of_folders in (False, True))

    caught = without_files.wrong(losses(6, 5))
    assert any("names are left, data is not" in found and "b''" in found for found in caught)
    assert any("data is zeros" in found and r"b'\x00" in found for found in caught)
    assert without_folders.end(NOTHING_UNSYNCED_LEFT) != recorded.end(NOTHING_UNSYNCED_LEFT)
    assert PROJECT + "s.d/new/small.bin" not in without_folders.end(NOTHING_UNSYNCED_LEFT)


def go_on_after_crashes(recorded: Recorded, seed: int, count: int) -> None:
    """Bring what is left of some crashes to a disk, and let the next run go on with it."""
    chosen = random.Random(seed).sample(list(recorded.crashes(losses(seed, 3))), count)  # noqa: S311  # to be repeatable
    for crash, tree in chosen:
        shutil.rmtree(recorded.case.output_location)
        recorded.case.output_location.mkdir()
        tree.write(recorded.case.output_location)

        exit_code = apply_here(recorded.plan, "--jobs", "1")

        assert exit_code == 0, f"seed {seed}, {crash}"
        assert recorded.case.unrestored() == [], f"seed {seed}, {crash}"
        assert left_staged(recorded.case) == [], f"seed {seed}, {crash}"


def test_the_next_run_should_resume_after_a_power_loss(
    case: RestoreCase, run_cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on_after_crashes(record(case, run_cli, monkeypatch), seed=7, count=20)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("on_corrupt", ["replace", "quarantine"])
def test_many_power_losses_should_leave_old_or_right_files_and_the_next_run_resume(
    case: RestoreCase, run_cli: Cli, monkeypatch: pytest.MonkeyPatch, on_corrupt: str
) -> None:
    recorded = record(case, run_cli, monkeypatch, "--on-corrupt", on_corrupt)

    tried = losses(8, 200)
    assert recorded.wrong(tried) == []
    go_on_after_crashes(recorded, seed=9, count=300)
    print(f"crash model: {len(recorded.calls) + 1} instants, each with {len(tried)} losses; 300 gone on after")
