"""Where a plan comes from: every way in which it cannot be read is a clear refusal."""

import io
import os
from pathlib import Path

import pytest
from plan_samples import make_plan, plan_bytes

from schemas.errors import PlanError
from schemas.plan_source import load_plan, load_plan_bytes


def test_a_plan_should_be_read_from_a_path(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(plan_bytes(make_plan()))
    assert load_plan(str(path)).raw_files == make_plan().raw_files


def test_a_plan_should_be_read_from_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"{}")))
    assert load_plan_bytes("-") == (b"{}", "<stdin>")


def test_a_closed_stdin_should_be_an_empty_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(PlanError, match="the file is empty"):
        load_plan("-")


def test_a_plan_that_cannot_be_read_should_be_named(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"/none\\n\.json: there is no such plan file"):
        load_plan(str(tmp_path / "none\n.json"))
    with pytest.raises(PlanError, match="it is a folder"):
        load_plan(str(tmp_path))
    with pytest.raises(PlanError, match="cannot be read: Not a directory"):
        load_plan("/dev/null/plan.json")


def test_a_device_should_be_refused_unread() -> None:
    with pytest.raises(PlanError, match="the plan cannot be read: it is a device, expected a file"):
        load_plan("/dev/zero")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_plan_without_read_permission_should_be_named(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.touch(mode=0)
    with pytest.raises(PlanError, match="Permission denied"):
        load_plan(str(path))
