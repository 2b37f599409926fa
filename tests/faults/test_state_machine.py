"""Whole runs in any order: local damage, faults of S3, changed options, apply; and what must hold after every apply.

The program runs in this process, its command as the front door calls it, against the real S3 server behind the faulty
proxy and a real folder.
"""

import os
import re
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from apply_case import compile_plan, left_staged
from apply_here import apply_here, prepare
from cli import Cli
from conftest import MakeRestoreCase
from embedded_s3 import EmbeddedS3
from faulty_proxy import FaultyProxy
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from network_faults import Answer, Cut, Fault, Flip, Reset, other_etag
from restore_case import RestoreCase, raw_file
from sample_data import made_up_bytes

CONTENTS = {
    "s.d/big.bin": made_up_bytes("big", 300_000),
    "s.d/deep/small.bin": made_up_bytes("small", 3000),  # where neither is there, restored together with the next
    "s.d/deep/smaller.bin": made_up_bytes("smaller", 2000),
    "s.d/one.bin": b"1",
    "s.d/empty.bin": b"",
}
PATHS = st.sampled_from(sorted(CONTENTS))
# Of the files' requests: where the bucket fails, the report has no line for each file.
KEYS = st.sampled_from(["s.d/", *sorted(CONTENTS)])
TIMES = st.sampled_from([1, 2, None])
OF_ANY_REQUEST = [
    Cut(after=0),
    Reset(after=0),
    Answer(status=404, code="NoSuchKey"),
    Answer(status=403, code="AccessDenied"),
    Answer(status=503, code="SlowDown"),
    other_etag(),
]
OF_BODIES = [Flip(offset=0), Flip(offset=200_000), Cut(after=100), Reset(after=100)]
FAULTS = st.builds(
    Fault,
    action=st.sampled_from(OF_ANY_REQUEST),
    key=KEYS,
    method=st.sampled_from([None, "GET", "HEAD"]),
    times=TIMES,
) | st.builds(Fault, action=st.sampled_from(OF_BODIES), key=KEYS, method=st.just("GET"), times=TIMES)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Where it all happens; `outside` lies beside the output location."""

    case: RestoreCase
    plan: Path
    proxy: FaultyProxy

    @property
    def outside(self) -> Path:
        """A folder that must stay as it is."""
        return self.case.folder / "outside"

    def reset(self) -> None:
        """As before the first apply."""
        self.proxy.clear()
        for folder in (self.case.output_location, self.outside):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        (self.outside / "file").write_bytes(b"not ours")

    def path(self, relative_path: str) -> Path:
        """A final name."""
        return self.case.destination() / relative_path


def found(path: Path) -> bytes | str | None:
    """What stands under a name: bytes, nothing, or the kind of what is no file."""
    if path.is_symlink():
        return f"link to {path.readlink()}"
    if path.is_dir():
        return "folder"
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def tree(folder: Path) -> dict[Path, bytes | str | None]:
    """Everything below a folder."""
    return {path: found(path) for path in folder.rglob("*")}


def _has_few_changes(machine: "Runs") -> bool:
    """Two at most between two applies, for it is these that show something."""
    return machine.changes < 2


class Runs(RuleBasedStateMachine):
    """Any order of damage and applies, under faults.

    Attributes:
        world: Set by the test.
        applies: How they ended, counted.
    """

    world: World
    applies: Counter[str]
    changes = 0

    @initialize(right=st.sets(PATHS))
    def begin(self, right: set[str]) -> None:
        self.world.reset()
        for path in right:
            self.world.path(path).parent.mkdir(parents=True, exist_ok=True)
            self.world.path(path).write_bytes(CONTENTS[path])

    @rule(
        paths=st.sets(PATHS, min_size=1),
        at=st.floats(0, 1),
        how=st.sampled_from(["flip", "truncate", "extend", "same size", "delete"]),
    )
    def damage(self, paths: set[str], at: float, how: str) -> None:
        self.changes += 1
        for path in sorted(paths):
            self._damage(self.world.path(path), at, how)

    def _damage(self, target: Path, at: float, how: str) -> None:
        before = found(target)
        if not isinstance(before, bytes):
            return
        offset = int(at * max(len(before) - 1, 0))
        match how:
            case "flip" if before:
                content = bytes([*before[:offset], before[offset] ^ 1, *before[offset + 1 :]])
            case "truncate":
                content = before[:offset]
            case "extend":
                content = before + b"more"
            case "same size":
                content = bytes(len(before))
            case _:
                target.unlink()
                return
        target.write_bytes(content)

    @precondition(_has_few_changes)
    @rule(path=PATHS, by=st.sampled_from(["folder", "link outside", "link to nothing", "link to the right bytes"]))
    def replace(self, path: str, by: str) -> None:
        self.changes += 1
        target = self.world.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        self._take_away(target)
        match by:
            case "folder":
                target.mkdir()
            case "link outside":
                target.symlink_to(self.world.outside / "file")
            case "link to nothing":
                target.symlink_to("nothing")
            case _:
                right = self.world.outside / "right"
                right.write_bytes(CONTENTS[path])
                target.symlink_to(right)

    @precondition(_has_few_changes)
    @rule(path=PATHS)
    def clear_the_way(self, path: str) -> None:
        self.changes += 1
        self._take_away(self.world.path(path))

    @rule(
        jobs=st.sampled_from([1, 2, 8]),
        on_corrupt=st.sampled_from(["replace", "quarantine"]),
        faults=st.lists(FAULTS, max_size=2),
    )
    def apply(self, jobs: int, on_corrupt: str, faults: list[Fault]) -> None:
        self.changes = 0
        self.world.proxy.clear()
        self.world.proxy.add(*faults)
        before = {path: found(self.world.path(path)) for path in CONTENTS}
        identities = {path: _identity(self.world.path(path)) for path in CONTENTS}
        reports = {path: path.read_bytes() for path in self.world.case.reports()}
        outside, staged_before = tree(self.world.outside), left_staged(self.world.case) != []

        options = ("--jobs", str(jobs), "--on-corrupt", on_corrupt, "--retries", "0")
        exit_code = apply_here(self.world.plan, *options)

        (report,) = set(self.world.case.reports()) - reports.keys()
        lines = _lines_by_file(report)
        self.applies.update([f"exit code {exit_code}", *(re.split(" [(]|: ", line)[0] for line in lines.values())])
        passed = {path for path in CONTENTS if self._has_passed(path)}
        assert exit_code == (0 if all(line.startswith("OK - ") for line in lines.values()) else 1)
        for path, content in CONTENTS.items():
            self._check_file(path, before[path], lines[path], passed_pre_check=path in passed)
            if before[path] == content:
                assert _identity(self.world.path(path)) == identities[path]
        assert {path: path.read_bytes() for path in reports} == reports
        assert tree(self.world.outside) == outside
        self._check_staged(lines["s.d/big.bin"], staged_before=staged_before)

    def _check_file(self, path: str, before: bytes | str | None, line: str, *, passed_pre_check: bool) -> None:
        after, right = found(self.world.path(path)), CONTENTS[path]
        aside = self.world.path(path).parent.glob(f"{Path(path).name}.corrupted*")
        kept = [copy.read_bytes() for copy in aside]
        if line.startswith("OK - "):
            assert after == right
            assert line.startswith("OK - Skipped") == (before == right)
        elif isinstance(before, bytes) and before != right and passed_pre_check:
            assert after in (right, None)
            assert before in kept
        else:
            assert after == before
        assert "Unforeseen" not in line
        if "corrupt file kept as" in line:
            assert before in kept

    def _check_staged(self, big: str, *, staged_before: bool) -> None:
        """Only what a later run can go on with: bytes of the big file, where the network broke, now or before."""
        left = left_staged(self.world.case)
        if big.startswith(("FAILURE - Network error", "FAILURE - Timed out")) or (
            staged_before and big.startswith("FAILURE")
        ):
            assert {path.suffix for path in left if path.is_file()} <= {".part", ".journal", ".lock"}
        else:
            assert left == []

    def _has_passed(self, path: str) -> bool:
        """Whether S3 was asked for a file and answered as the plan has it; after another etag it is asked once more."""
        heads = (
            exchange
            for exchange in self.world.proxy.log
            if exchange.request.method == "HEAD" and exchange.request.path.endswith(f"/{path}")
        )
        first = next(heads, None)
        return first is not None and first.fault is None and first.status == 200

    def _take_away(self, target: Path) -> None:
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)

    def teardown(self) -> None:
        """However it went: in peace, and with nothing in the way, the next apply mends everything."""
        self.world.proxy.clear()
        for path in CONTENTS:
            if isinstance(found(self.world.path(path)), str):
                self._take_away(self.world.path(path))
        assert apply_here(self.world.plan) == 0
        assert self.world.case.unrestored() == []
        assert left_staged(self.world.case) == []


def _lines_by_file(report: Path) -> dict[str, str]:
    """What a report says of each file, once."""
    lines = report.read_text(encoding="utf-8").splitlines()
    said = {path: [line for line in lines if line.startswith(f"{path}: ")] for path in CONTENTS}
    assert all(len(of) == 1 for of in said.values()), lines
    return {path: of[0].removeprefix(f"{path}: ") for path, of in said.items()}


def _identity(path: Path) -> tuple[int, int] | None:
    """What changes if a file is touched."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


@pytest.fixture
def world(
    make_restore_case: MakeRestoreCase,
    run_cli: Cli,
    faulty_proxy: FaultyProxy,
    monkeypatch: pytest.MonkeyPatch,
    s3_server: EmbeddedS3,
) -> World:
    prepare(monkeypatch, s3_server, run_cli.folder)
    files = {path: (content, 5) for path, content in CONTENTS.items()}
    case = make_restore_case(raw_file("s.d", files), endpoint_url=faulty_proxy.endpoint_url)
    return World(case=case, plan=compile_plan(run_cli, case), proxy=faulty_proxy)


def run_machine(world: World, *, examples: int, steps: int) -> None:
    """Run it; what fails is shown with the rules that led there, made as few as possible."""

    class InThisWorld(Runs):
        pass

    InThisWorld.world, InThisWorld.applies = world, Counter()
    run_state_machine_as_test(
        InThisWorld,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],  # making a failure small takes many times as long as finding it
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(f"state machine: {examples} runs of up to {steps} steps, {InThisWorld.applies}")


def test_whole_runs_in_any_order_should_leave_old_or_right_files(world: World) -> None:
    run_machine(world, examples=12, steps=20)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_whole_runs_in_any_order_should_leave_old_or_right_files_at_full_size(world: World) -> None:
    run_machine(world, examples=150, steps=30)
