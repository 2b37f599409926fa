"""Runs `apply` in this process, its command as the front door calls it, for tests that need hundreds of runs."""

from pathlib import Path

import click
import pytest
from embedded_s3 import EmbeddedS3

from applier.disk import part_hashing as parts
from applier.restore import download
from kraken_plan.command_group import cli
from schemas.errors import KrakenPlanError


def prepare(monkeypatch: pytest.MonkeyPatch, s3_server: EmbeddedS3, folder: Path) -> None:
    """Give this process the server's credentials and a state folder, and have files of 100 kB count as big ones.

    These have a journal and are fetched in segments.

    Args:
        monkeypatch: undoes all of it.
        s3_server: that apply talks to.
        folder: that the state folder is made in.
    """
    monkeypatch.setenv("KRAKEN_PLAN_STATE_DIR", str(folder / "state"))
    monkeypatch.setattr(download, "SMALL_FILE_BYTES", 100_000)
    monkeypatch.setattr(parts, "SEGMENT_BYTES", 128 * 1024)
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)


def apply_here(plan: Path, *options: str) -> int:
    """Run `apply` and return the exit code."""
    try:
        cli.main(["apply", str(plan), *options], prog_name="kraken-plan", standalone_mode=False)
    except (KrakenPlanError, OSError, click.ClickException):
        return 2
    except SystemExit as ended:
        return int(ended.code or 0)
    raise AssertionError("apply always exits")
