"""Plans are made and reviewed on macOS and Windows, too: with all that only POSIX has taken away."""

import subprocess
import sys
from pathlib import Path

from approvers import Approvers, needs_ssh_keygen
from real_blocks import EXAMPLE_PLAN, ROOT

NOT_POSIX = ROOT / "tests" / "worlds" / "not_posix.py"
CATALOG = ("--catalog", str(ROOT / "examples" / "raw_file.example.jsonl"))
CONFIG = ("--config", str(ROOT / "examples" / "alphakraken.example.yaml"))


def run(folder: Path, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, NOT_POSIX, *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "HOME": str(folder), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@needs_ssh_keygen
def test_plans_should_be_made_and_reviewed_without_what_only_posix_has(tmp_path: Path) -> None:
    calls: dict[tuple[str | Path, ...], int] = {
        ("compile", "20250115_sample.d", *CATALOG, *CONFIG, "-o", "plan.json"): 1,
        ("show", "plan.json"): 0,
        ("show", "plan.json", "--html", "plan.html"): 0,
        ("validate", "plan.json"): 0,
        ("diff", EXAMPLE_PLAN, "plan.json"): 1,
        ("select", "plan.json", "--include", "*.tdf", "-o", "smaller.json"): 0,
        ("split", "plan.json", "-n", "2"): 0,
        ("approve", "plan.json", "--key", Approvers(folder=tmp_path).key("anna")): 0,
        ("approvals", "plan.json"): 1,
    }

    ended = {call: run(tmp_path, *call) for call in calls}

    assert {call: end.returncode for call, end in ended.items()} == calls, ended
    assert sorted(path.name for path in tmp_path.iterdir() if path.stem != "anna") == [
        "plan-1-of-2.json",
        "plan-2-of-2.json",
        "plan.html",
        "plan.json",
        "plan.json.approvals",
        "smaller.json",
    ]


def test_what_restores_should_say_where_it_runs(tmp_path: Path) -> None:
    ended = run(tmp_path, "apply", EXAMPLE_PLAN)

    assert ended.returncode == 2
    assert ended.stderr.startswith("kraken-plan: error: apply runs on Linux; here, plans can be made and reviewed")
