"""A corrupt file that was verified before costs the parts that are bad, and no more."""

import base64
import hashlib
import json
import os
import zlib
from pathlib import Path

import pytest
from apply_case import compile_plan, last_report, left_staged
from cli import Cli
from conftest import MakeRestoreCase
from faulty_proxy import FaultyProxy
from network_faults import Answer, Fault
from restore_case import RestoreCase, raw_file
from sample_data import MIB, etag_of, made_up_bytes

PARTS = 8
CONTENT = made_up_bytes("parts", PARTS * 5 * MIB - 7)


@pytest.fixture
def case(make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy) -> RestoreCase:
    return make_restore_case(raw_file("big.raw", {"big.raw": (CONTENT, 5)}), endpoint_url=faulty_proxy.endpoint_url)


def state_files(run_cli: Cli) -> list[Path]:
    return sorted(run_cli.folder.glob(".local/state/kraken-plan/results/*/*.jsonl"))


def flip(path: Path, *offsets: int) -> None:
    with path.open("r+b") as file:
        for offset in offsets:
            byte = os.pread(file.fileno(), 1, offset)
            os.pwrite(file.fileno(), bytes([byte[0] ^ 1]), offset)


def fetched_bytes(proxy: FaultyProxy) -> int:
    return sum(exchange.sent_bytes for exchange in proxy.requests("GET", "big.raw") if exchange.request.range)


@pytest.mark.parametrize("verified_by", ["downloading it", "skipping it"])
def test_a_corrupt_part_should_be_healed_by_fetching_that_part(
    run_cli: Cli, case: RestoreCase, faulty_proxy: FaultyProxy, verified_by: str
) -> None:
    # given a file that was verified, of which two parts rot
    plan = compile_plan(run_cli, case)
    assert run_cli("apply", plan).exit_code == 0
    if verified_by == "skipping it":
        for path in state_files(run_cli):
            path.unlink()
        assert run_cli("apply", plan).exit_code == 0
    local = case.destination() / "big.raw"
    flip(local, 7, 23 * MIB, 24 * MIB)
    before = fetched_bytes(faulty_proxy)

    # when
    result = run_cli("apply", plan)

    # then
    assert result.exit_code == 0, result.stderr
    assert local.read_bytes() == CONTENT
    assert "big.raw: OK - Self-healed (2 of 8 parts re-downloaded)" in last_report(case)
    assert fetched_bytes(faulty_proxy) - before == 2 * 5 * MIB
    assert left_staged(case) == []


def test_without_a_record_all_parts_should_be_fetched(
    run_cli: Cli, case: RestoreCase, faulty_proxy: FaultyProxy
) -> None:
    plan = compile_plan(run_cli, case)
    assert run_cli("apply", plan).exit_code == 0
    flip(case.destination() / "big.raw", 7)
    before = fetched_bytes(faulty_proxy)

    assert run_cli("apply", plan, "--state-dir", run_cli.folder / "another").exit_code == 0

    assert case.unrestored() == []
    assert "big.raw: OK - Self-healed (hash mismatch detected, re-downloaded)" in last_report(case)
    assert fetched_bytes(faulty_proxy) - before == len(CONTENT)


def checksum(algorithm: str, part: bytes) -> bytes:
    return zlib.crc32(part).to_bytes(4, "big") if algorithm == "CRC32" else hashlib.new(algorithm, part).digest()


def recorded_parts(algorithm: str, content: bytes, chunk_bytes: int, parts: range) -> Fault:
    """S3's own record of some parts of `CONTENT`, made of other content: the embedded server keeps none of parts."""
    etag = etag_of(CONTENT, 5)
    size = "".join(
        f"<Part><PartNumber>{number + 1}</PartNumber><Size>{len(part)}</Size><Checksum{algorithm}>"
        f"{base64.b64encode(checksum(algorithm, part)).decode()}</Checksum{algorithm}></Part>"
        for number in parts
        if (part := content[number * chunk_bytes : (number + 1) * chunk_bytes])
    )
    is_last = parts.stop * chunk_bytes >= len(content)
    body = (
        '<GetObjectAttributesResponse xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<ETag>{etag}</ETag><ObjectParts><IsTruncated>{str(not is_last).lower()}</IsTruncated>"
        f"<NextPartNumberMarker>{parts.stop}</NextPartNumberMarker>{size}</ObjectParts></GetObjectAttributesResponse>"
    )
    return Fault(action=Answer(status=200, body=body.encode()), method="GET", query="attributes", times=1)


@pytest.mark.parametrize(("algorithm", "chunk_bytes"), [("CRC32", 5 * MIB), ("SHA256", 5 * MIB), ("SHA1", 6 * MIB)])
def test_what_s3_recorded_of_the_parts_should_tell_which_are_bad(
    run_cli: Cli, case: RestoreCase, faulty_proxy: FaultyProxy, algorithm: str, chunk_bytes: int
) -> None:
    # given a corrupt file that no run of this user has verified, and S3's record of its parts on two pages
    plan = compile_plan(run_cli, case)
    local = case.destination() / "big.raw"
    local.parent.mkdir(parents=True, exist_ok=True)
    local.write_bytes(CONTENT)
    flip(local, 12 * MIB)
    faulty_proxy.add(*(recorded_parts(algorithm, CONTENT, chunk_bytes, parts) for parts in (range(4), range(4, 8))))

    # when
    result = run_cli("apply", plan)

    # then
    assert result.exit_code == 0, result.stderr
    assert local.read_bytes() == CONTENT
    bad_parts = 1 if chunk_bytes == 5 * MIB else 2
    assert f"big.raw: OK - Self-healed ({bad_parts} of 8 parts re-downloaded)" in last_report(case)
    assert fetched_bytes(faulty_proxy) == bad_parts * 5 * MIB
    markers = [exchange.request for exchange in faulty_proxy.requests("GET") if "attributes" in exchange.request.query]
    assert len(markers) == 2


def test_checksums_of_s3_that_lie_should_cost_a_fetch_and_nothing_else(
    run_cli: Cli, case: RestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given a record that vouches for the corrupt file
    plan = compile_plan(run_cli, case)
    local = case.destination() / "big.raw"
    local.parent.mkdir(parents=True, exist_ok=True)
    local.write_bytes(CONTENT)
    flip(local, 12 * MIB)
    faulty_proxy.add(recorded_parts("CRC32", local.read_bytes(), 5 * MIB, range(8)))

    assert run_cli("apply", plan).exit_code == 0

    assert case.unrestored() == []
    assert "big.raw: OK - Self-healed (hash mismatch detected, re-downloaded)" in last_report(case)
    assert fetched_bytes(faulty_proxy) == len(CONTENT)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=403, code="AccessDenied"),
        Answer(status=200, body=b"x" * 100_000, is_endless=True),
        Answer(status=200, body=b"<GetObjectAttributesResponse/>"),
    ],
    ids=["denied", "endless", "empty"],
)
def test_without_s3s_checksums_all_parts_should_be_fetched(
    run_cli: Cli, case: RestoreCase, faulty_proxy: FaultyProxy, answer: Answer
) -> None:
    plan = compile_plan(run_cli, case)
    local = case.destination() / "big.raw"
    local.parent.mkdir(parents=True, exist_ok=True)
    local.write_bytes(bytes(len(CONTENT)))
    faulty_proxy.add(Fault(action=answer, method="GET", query="attributes"))

    assert run_cli("apply", plan).exit_code == 0

    assert case.unrestored() == []
    assert fetched_bytes(faulty_proxy) == len(CONTENT)


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line.replace('"part_md5s": "', '"part_md5s": "00'),
        lambda line: line[: len(line) // 2],
        lambda line: line.replace('"chunk_size_mb": 5', '"chunk_size_mb": [5]'),
        lambda line: json.dumps({**json.loads(line), "part_md5s": "00" * 16 * PARTS}) if "part_md5s" in line else line,
    ],
    ids=["longer", "torn", "odd", "others"],
)
def test_a_record_that_lies_should_cost_a_fetch_and_nothing_else(
    run_cli: Cli, case: RestoreCase, damage: object
) -> None:
    assert callable(damage)
    plan = compile_plan(run_cli, case)
    assert run_cli("apply", plan).exit_code == 0
    flip(case.destination() / "big.raw", 7)
    (kept,) = state_files(run_cli)
    kept.write_text("".join(damage(line) for line in kept.read_text().splitlines(keepends=True)), encoding="utf-8")

    assert run_cli("apply", plan).exit_code == 0

    assert case.unrestored() == []
    assert "big.raw: OK - Self-healed (hash mismatch detected, re-downloaded)" in last_report(case)


def test_parts_that_change_after_the_look_should_not_come_under_the_final_name(run_cli: Cli, case: RestoreCase) -> None:
    # given a corrupt file whose record says that seven parts are right
    plan = compile_plan(run_cli, case)
    assert run_cli("apply", plan).exit_code == 0
    local = case.destination() / "big.raw"
    flip(local, 7)
    os.link(local, local.with_name("other name"))  # so it is not copied from: somebody may write to it

    assert run_cli("apply", plan).exit_code == 0

    assert case.unrestored() == []
    assert "big.raw: OK - Self-healed (hash mismatch detected, re-downloaded)" in last_report(case)


def test_the_last_ten_runs_of_a_plan_should_be_kept(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    case = make_restore_case(raw_file("s.raw", {"s.raw": (b"small", 5)}))
    plan = compile_plan(run_cli, case)

    for _ in range(12):
        assert run_cli("apply", plan, "--no-report").exit_code == 0

    kept = state_files(run_cli)
    assert len(kept) == 10
    assert '"outcome": "skipped"' in kept[0].read_text(encoding="utf-8")


@pytest.mark.parametrize("state", ["a file", "no home"])
def test_a_state_folder_that_cannot_be_written_should_stop_nothing(
    run_cli: Cli, make_restore_case: MakeRestoreCase, state: str
) -> None:
    case = make_restore_case(raw_file("s.raw", {"s.raw": (b"small", 5)}))
    plan = compile_plan(run_cli, case)
    (run_cli.folder / "in the way").write_bytes(b"")
    home = "in the way" if state == "a file" else "/proc/no such folder"

    result = run_cli("apply", plan, environment={"XDG_STATE_HOME": str(run_cli.folder / home)})

    assert result.exit_code == 0
    assert case.unrestored() == []
    assert "the results of this run are not kept for later" in result.stderr
    assert (run_cli.folder / "in the way").read_bytes() == b""
