"""A run that hangs in the middle of a big file, for tests that end it there."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cli import Cli
from faulty_proxy import FaultyProxy
from network_faults import Fault, Stall
from restore_case import RestoreCase, raw_file
from sample_data import MIB, RawFileSample, made_up_bytes
from waiting import wait_for

if TYPE_CHECKING:
    import subprocess

BIG_BYTES = 40 * MIB
PARTS = 5


def big(raw_file_id: str = "big.raw") -> RawFileSample:
    return raw_file(raw_file_id, {raw_file_id: (made_up_bytes(raw_file_id, BIG_BYTES), BIG_BYTES // PARTS // MIB)})


def stall(proxy: FaultyProxy, part: int) -> None:
    """Let a part of the big file stall after a MiB."""
    first_byte = part * BIG_BYTES // PARTS
    proxy.add(Fault(action=Stall(seconds=60, after=MIB), key="big.raw", method="GET", range=f"bytes={first_byte}-"))


def journal_lines(case: RestoreCase) -> str:
    """The lines of all journals; none where another run removes its folder while they are looked for."""
    with suppress(FileNotFoundError):
        return "".join(path.read_text(encoding="ascii") for path in case.output_location.rglob("*.journal"))
    return ""


def start_until_four_parts_are_staged(
    run_cli: Cli, case: RestoreCase, plan: Path, *options: str | Path, under: Sequence[str] = ()
) -> "subprocess.Popen[str]":
    process = run_cli.start("apply", plan, "--jobs", "8", *options, under=under)
    wait_for(lambda: journal_lines(case).count('"part"') == PARTS - 1, "four parts in the journal")
    return process


def kill_with_four_parts_staged(run_cli: Cli, case: RestoreCase, plan: Path) -> None:
    process = start_until_four_parts_are_staged(run_cli, case, plan)
    process.kill()
    process.wait()
