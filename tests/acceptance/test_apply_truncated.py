"""Local files that were cut short: what of them is used, what is fetched, and what becomes of wrong bytes."""

import os
import signal
from collections.abc import Callable, Mapping

import pytest
from apply_case import assert_failed, compile_plan, last_report, left_staged
from cli import Cli
from conftest import MakeRestoreCase
from faulty_proxy import FaultyProxy
from file_systems import free_bytes, mounted_tmpfs
from needs import needs_root
from network_faults import Action, Answer, Fault, Flip, Stall
from restore_case import RestoreCase, raw_file
from sample_data import MIB, made_up_bytes
from stalled_run import journal_lines
from waiting import wait_for

SIZE_BYTES = 40 * MIB
CONTENT = made_up_bytes("truncated", SIZE_BYTES)
CHUNK_SIZE_MB = 5
LAST_PART = 35 * MIB
PARTS = 8
HEALED = "sample.raw: OK - Self-healed (hash mismatch detected, re-downloaded) ("


@pytest.fixture
def make_truncated_case(
    make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> Callable[[bytes, int], RestoreCase]:
    """Backs a file of 40 MiB up, cut into chunks of so many MB, and leaves these bytes under its final name."""

    def make(local: bytes, chunk_size_mb: int = CHUNK_SIZE_MB) -> RestoreCase:
        sample = raw_file("sample.raw", {"sample.raw": (CONTENT, chunk_size_mb)})
        case = make_restore_case(sample, endpoint_url=faulty_proxy.endpoint_url)
        case.destination().mkdir()
        (case.destination() / "sample.raw").write_bytes(local)
        return case

    return make


MakeTruncatedCase = Callable[..., RestoreCase]


def flipped(content: bytes, offset: int) -> bytes:
    return content[:offset] + bytes([content[offset] ^ 1]) + content[offset + 1 :]


def fetched_bytes(proxy: FaultyProxy) -> int:
    return sum(exchange.sent_bytes for exchange in proxy.requests("GET", "sample.raw"))


def landed(case: RestoreCase) -> int:
    return journal_lines(case).count('"landed"')


def spoil_last_part(proxy: FaultyProxy, action: Action) -> None:
    proxy.add(Fault(action=action, key="sample.raw", method="GET", range=f"bytes={LAST_PART}-"))


# --- right bytes


@pytest.mark.parametrize(
    ("chunk_size_mb", "fetched_by_size"),
    [
        pytest.param(5, {35 * MIB: 5 * MIB, 35 * MIB + 5: 5 * MIB, SIZE_BYTES - 1: 5 * MIB}, id="few bytes missing"),
        pytest.param(5, {8 * MIB + 1: 35 * MIB, 8 * MIB: SIZE_BYTES, 1: SIZE_BYTES}, id="hardly worth it, or not"),
        pytest.param(36, {36 * MIB: 4 * MIB, 34 * MIB: 8 * MIB}, id="a part of two segments"),
        pytest.param(500, {SIZE_BYTES - 1: 8 * MIB}, id="one part"),
    ],
)
def test_a_truncated_file_should_be_healed_by_fetching_the_segments_that_it_does_not_have(
    run_cli: Cli,
    make_truncated_case: MakeTruncatedCase,
    faulty_proxy: FaultyProxy,
    *,
    chunk_size_mb: int,
    fetched_by_size: Mapping[int, int],
) -> None:
    case = make_truncated_case(b"", chunk_size_mb)
    plan = compile_plan(run_cli, case)
    for size_bytes, expected_bytes in fetched_by_size.items():
        # given
        (case.destination() / "sample.raw").write_bytes(CONTENT[:size_bytes])
        faulty_proxy.clear()

        # when
        result = run_cli("apply", plan)

        # then
        assert result.exit_code == 0, result.stderr
        assert case.unrestored() == []
        assert HEALED in last_report(case)
        assert fetched_bytes(faulty_proxy) == expected_bytes, size_bytes
        assert left_staged(case) == []


def test_quarantine_should_keep_the_truncated_bytes(run_cli: Cli, make_truncated_case: MakeTruncatedCase) -> None:
    case = make_truncated_case(CONTENT[: LAST_PART + 5])

    result = run_cli("apply", compile_plan(run_cli, case), "--on-corrupt", "quarantine")

    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert (case.destination() / "sample.raw.corrupted").read_bytes() == CONTENT[: LAST_PART + 5]


def test_a_hard_linked_file_should_not_be_copied_and_keep_its_bytes(
    run_cli: Cli, make_truncated_case: MakeTruncatedCase, faulty_proxy: FaultyProxy
) -> None:
    # given a file of another place, linked to the final name
    case = make_truncated_case(b"")
    path, elsewhere = case.destination() / "sample.raw", case.folder / "elsewhere"
    elsewhere.write_bytes(CONTENT[:LAST_PART])
    path.unlink()
    path.hardlink_to(elsewhere)

    # when
    result = run_cli("apply", compile_plan(run_cli, case))

    # then
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert elsewhere.read_bytes() == CONTENT[:LAST_PART]
    assert fetched_bytes(faulty_proxy) == SIZE_BYTES


def test_dry_run_should_say_that_a_truncated_file_would_be_healed(
    run_cli: Cli, make_truncated_case: MakeTruncatedCase, faulty_proxy: FaultyProxy
) -> None:
    case = make_truncated_case(CONTENT[:LAST_PART])

    result = run_cli("apply", compile_plan(run_cli, case), "--dry-run")

    assert result.exit_code == 0, result.stderr
    assert "To do: 1 to heal; to be fetched: 40.0 MiB at most\n" in result.stdout
    assert f"  sample.raw  {LAST_PART} bytes, expected {SIZE_BYTES}\n" in result.stdout
    assert (case.destination() / "sample.raw").read_bytes() == CONTENT[:LAST_PART]
    assert list(case.destination().iterdir()) == [case.destination() / "sample.raw"]
    assert fetched_bytes(faulty_proxy) == 1  # which shows that it can be read


# --- wrong bytes


@pytest.mark.parametrize("network_flips", [0, 1])
def test_a_truncated_file_with_a_flipped_bit_should_be_healed_from_scratch(
    run_cli: Cli, make_truncated_case: MakeTruncatedCase, faulty_proxy: FaultyProxy, network_flips: int
) -> None:
    # given a flipped bit in the file, and perhaps one in the first download from scratch, too
    case = make_truncated_case(flipped(CONTENT[:LAST_PART], 20_000_000))
    plan = compile_plan(run_cli, case)
    if network_flips:
        faulty_proxy.add(Fault(action=Flip(offset=0), key="sample.raw", times=network_flips))

    # when
    result = run_cli("apply", plan)

    # then
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert HEALED in last_report(case)
    assert fetched_bytes(faulty_proxy) == SIZE_BYTES - LAST_PART + (1 + network_flips) * SIZE_BYTES
    assert left_staged(case) == []


def test_a_truncated_file_should_be_fetched_from_scratch_twice_before_its_healing_fails(
    run_cli: Cli, make_truncated_case: MakeTruncatedCase, faulty_proxy: FaultyProxy
) -> None:
    # given a network that flips a bit of the tail every time
    case = make_truncated_case(CONTENT[:LAST_PART])
    plan = compile_plan(run_cli, case)
    spoil_last_part(faulty_proxy, Flip(offset=LAST_PART))

    # when
    result = run_cli("apply", plan)

    # then
    assert_failed(result, case, "sample.raw: FAILURE - Download verification failed (", "tried 2 times")
    assert (case.destination() / "sample.raw.corrupted").read_bytes() == CONTENT[:LAST_PART]
    assert fetched_bytes(faulty_proxy) == SIZE_BYTES - LAST_PART + 2 * SIZE_BYTES


# --- stopped on the way


@pytest.mark.parametrize(
    ("number", "local"),
    [
        (signal.SIGKILL, "stays"),
        (signal.SIGINT, "stays"),
        (signal.SIGKILL, "is gone"),
        (signal.SIGINT, "is right by then"),
    ],
)
def test_a_stopped_healing_should_be_resumed(
    run_cli: Cli, make_truncated_case: MakeTruncatedCase, faulty_proxy: FaultyProxy, number: signal.Signals, local: str
) -> None:
    # given a healing that hangs in the tail, with all else staged, and is stopped there
    case = make_truncated_case(CONTENT[: LAST_PART + 5])
    plan, path = compile_plan(run_cli, case), case.destination() / "sample.raw"
    spoil_last_part(faulty_proxy, Stall(seconds=60, after=MIB))
    process = run_cli.start("apply", plan)
    wait_for(lambda: landed(case) == PARTS - 1, "all but the last part")
    process.send_signal(number)
    run_cli.finish(process)
    assert path.read_bytes() == CONTENT[: LAST_PART + 5]
    faulty_proxy.clear()
    match local:
        case "is gone":
            path.unlink()
        case "is right by then":
            path.write_bytes(CONTENT)

    # when
    result = run_cli("apply", plan)

    # then
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert fetched_bytes(faulty_proxy) == (0 if local == "is right by then" else SIZE_BYTES - LAST_PART)


def test_a_healing_that_the_network_ends_should_be_resumed(
    run_cli: Cli, make_truncated_case: MakeTruncatedCase, faulty_proxy: FaultyProxy
) -> None:
    # given a truncated file that was moved aside because its tail could not be fetched
    case = make_truncated_case(CONTENT[: LAST_PART + 5])
    plan = compile_plan(run_cli, case)
    spoil_last_part(faulty_proxy, Answer(status=503))
    assert run_cli("apply", plan, "--retries", "0").exit_code == 1
    assert "the corrupt local file was moved to sample.raw.corrupted" in last_report(case)
    faulty_proxy.clear()

    # when
    result = run_cli("apply", plan)

    # then
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert fetched_bytes(faulty_proxy) == SIZE_BYTES - LAST_PART
    assert left_staged(case) == []


def test_wrong_local_bytes_that_an_interrupted_run_staged_should_cost_no_download(
    run_cli: Cli, make_truncated_case: MakeTruncatedCase, faulty_proxy: FaultyProxy
) -> None:
    # given wrong local bytes, staged and left
    case = make_truncated_case(flipped(CONTENT[:LAST_PART], 20_000_000))
    plan = compile_plan(run_cli, case)
    spoil_last_part(faulty_proxy, Stall(seconds=60, after=MIB))
    process = run_cli.start("apply", plan)
    wait_for(lambda: landed(case) == PARTS - 1, "all but the last part")
    process.kill()
    run_cli.finish(process)
    (case.destination() / "sample.raw").unlink()
    faulty_proxy.clear()

    # when the first download from scratch goes wrong, too
    faulty_proxy.add(Fault(action=Flip(offset=0), key="sample.raw", times=1))
    result = run_cli("apply", plan)

    # then there is a second one
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []


def test_what_was_fetched_in_place_of_wrong_local_bytes_should_not_be_lost_with_them(
    run_cli: Cli, make_truncated_case: MakeTruncatedCase, faulty_proxy: FaultyProxy
) -> None:
    # given a download from scratch, after local bytes were wrong, that is killed while it hangs in the first part
    case = make_truncated_case(flipped(CONTENT[:LAST_PART], 1_000_000))
    plan = compile_plan(run_cli, case)
    faulty_proxy.add(Fault(action=Stall(seconds=60, after=MIB), key="sample.raw", method="GET", range="bytes=0-"))
    process = run_cli.start("apply", plan)
    wait_for(lambda: fetched_bytes(faulty_proxy) > LAST_PART and landed(case) == PARTS - 1, "all but the first part")
    process.kill()
    run_cli.finish(process)
    faulty_proxy.clear()

    # when
    result = run_cli("apply", plan)

    # then
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert fetched_bytes(faulty_proxy) == CHUNK_SIZE_MB * MIB


# --- other hands


@pytest.mark.parametrize("way", ["renamed over it", "went on with it", "cut it further", "deleted it"])
def test_a_truncated_file_that_changes_while_it_is_healed_should_be_looked_at_again(
    run_cli: Cli, make_truncated_case: MakeTruncatedCase, faulty_proxy: FaultyProxy, way: str
) -> None:
    # given a healing that hangs in the tail
    case = make_truncated_case(CONTENT[:LAST_PART])
    plan, path = compile_plan(run_cli, case), case.destination() / "sample.raw"
    (case.folder / "good").write_bytes(CONTENT)
    faulty_proxy.add(Fault(action=Stall(seconds=3, after=MIB), key="sample.raw", method="GET", times=1))
    process = run_cli.start("apply", plan)
    wait_for(lambda: landed(case) == PARTS - 1, "the local bytes")

    # when
    match way:
        case "renamed over it":
            (case.folder / "good").rename(path)
        case "went on with it":
            with path.open("ab") as file:
                file.write(CONTENT[LAST_PART:])
        case "cut it further":
            os.truncate(path, 5)
        case "deleted it":
            path.unlink()
    result = run_cli.finish(process)

    # then
    said = {"cut it further": "Self-healed", "deleted it": "Downloaded and verified"}.get(way, "Skipped")
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert f"sample.raw: OK - {said}" in last_report(case)
    assert left_staged(case) == []


@needs_root
def test_a_full_disk_should_be_reported_and_free_its_space(
    run_cli: Cli, make_truncated_case: MakeTruncatedCase, faulty_proxy: FaultyProxy
) -> None:
    # given 60 MB for 35 MB that are there and a staged file of 40 MB
    case = make_truncated_case(b"")
    plan, output = compile_plan(run_cli, case), case.output_location
    with mounted_tmpfs(output, "size=60m"):
        case.destination().mkdir()
        (case.destination() / "sample.raw").write_bytes(CONTENT[:LAST_PART])

        # when
        result = run_cli("apply", plan, "--skip-space-check")

        # then
        assert_failed(result, case, "sample.raw: FAILURE - Disk full: ")
        assert (case.destination() / "sample.raw.corrupted").read_bytes() == CONTENT[:LAST_PART]
        assert free_bytes(output) > 20 * MIB
        assert fetched_bytes(faulty_proxy) <= SIZE_BYTES
