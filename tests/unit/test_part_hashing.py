import hashlib
import os
import random
import threading
from collections.abc import Iterator
from itertools import accumulate, pairwise, permutations
from pathlib import Path

import pytest
from sample_data import etag_of, made_up_bytes

from applier.disk import part_hashing
from applier.disk.hashing import WrongSizeError, cores, md5_lanes
from applier.disk.part_hashing import PartHasher

SEGMENT_BYTES = 1000
CONTENT = made_up_bytes("part", 3 * SEGMENT_BYTES + 5)
RANGE = (7, 7 + len(CONTENT))


@pytest.fixture
def staged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A staged file with three parts of this content behind 7 bytes, and segments of 1,000 bytes."""
    monkeypatch.setattr(part_hashing, "SEGMENT_BYTES", SEGMENT_BYTES)
    path = tmp_path / "staged"
    path.write_bytes(b"x" * 7 + 3 * CONTENT)
    descriptor = os.open(path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def three_ranges() -> list[tuple[int, int]]:
    return [(7 + number * len(CONTENT), 7 + (number + 1) * len(CONTENT)) for number in range(3)]


def test_part_should_be_cut_into_segments(staged: int) -> None:
    del staged

    (part,) = PartHasher([RANGE], lambda *_: None).parts

    assert part.segments == [(7, 1007), (1007, 2007), (2007, 3007), (3007, 3012)]


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_part_should_be_hashed_in_order_however_its_segments_land(staged: int, order: tuple[int, ...]) -> None:
    done: list[tuple[int, bytes]] = []
    whole = PartHasher([RANGE], lambda index, digest: done.append((index, digest)))
    (part,) = whole.parts

    for index in order:
        assert done == []
        whole.land(part, [part.segments[index]])
        whole.hash_landed(staged, lambda _: None)

    assert [(index, digest.hex()) for index, digest in done] == [(0, etag_of(CONTENT, 100))]


def test_parts_should_be_hashed_together(staged: int) -> None:
    # given
    done: dict[int, str] = {}
    rounds: list[int] = []
    whole = PartHasher(three_ranges(), lambda index, digest: done.update({index: digest.hex()}))

    # when: all of them have landed before anyone hashes
    for part in whole.parts:
        whole.land(part, part.segments)
    whole.hash_landed(staged, rounds.append)

    # then
    assert done == dict.fromkeys(range(3), etag_of(CONTENT, 100))
    assert sum(rounds) == 3 * len(CONTENT)
    if md5_lanes() > 1:
        assert rounds == [3000, 3000, 3000, 15]


@pytest.mark.parametrize("seed", range(20))
def test_all_parts_should_be_done_once_all_have_landed(tmp_path: Path, staged: int, seed: int) -> None:
    # given up to 40 parts, and segments in any order; a resumed download lands none of some parts, to begin with
    del staged
    chance = random.Random(seed)  # noqa: S311  # the same each time
    contents = [made_up_bytes(f"{number}", chance.randrange(1, 4500)) for number in range(chance.randrange(1, 41))]
    ends = [0, *accumulate(map(len, contents))]
    (tmp_path / "all").write_bytes(b"".join(contents))
    whole = PartHasher(list(pairwise(ends)), lambda *_: None)
    landings = [(part, [segment]) for part in whole.parts for segment in part.segments]
    landings += [(part, []) for part in chance.sample(whole.parts, len(whole.parts) // 2)]
    chance.shuffle(landings)

    # when
    with (tmp_path / "all").open("rb") as file:
        for part, segments in landings:
            whole.land(part, segments)
            whole.hash_landed(file.fileno(), lambda _: None)

    # then
    assert whole.digests == [hashlib.md5(content).digest() for content in contents]


@pytest.mark.skipif(md5_lanes() == 1, reason="nothing is compiled: parts are hashed one by one")
def test_hashing_should_wait_for_parts_that_fill_most_lanes(tmp_path: Path, staged: int) -> None:
    # given as many parts as there are lanes, whose segments land side by side
    del staged
    (tmp_path / "all").write_bytes(bytes(md5_lanes() * 4 * SEGMENT_BYTES))
    starts = range(0, md5_lanes() * 4 * SEGMENT_BYTES, 4 * SEGMENT_BYTES)
    whole = PartHasher([(start, start + 4 * SEGMENT_BYTES) for start in starts], lambda *_: None)
    rounds: list[int] = []

    # when
    with (tmp_path / "all").open("rb") as file:
        for part, segment in whole.missing_segments():
            whole.land(part, [segment])
            whole.hash_landed(file.fileno(), rounds.append)

    # then most of it is, but for the first and the last of them, for which nothing else is there
    assert sum(rounds) == md5_lanes() * 4 * SEGMENT_BYTES
    full = [count for count in rounds if count >= md5_lanes() * 3 // 4 * SEGMENT_BYTES]
    assert sum(full) >= sum(rounds) / 2
    assert len(rounds) <= md5_lanes()


def test_part_should_be_hashed_once_by_many_threads(staged: int) -> None:
    done: list[tuple[int, str]] = []
    whole = PartHasher(three_ranges(), lambda index, digest: done.append((index, digest.hex())))
    at_once = threading.Barrier(12)

    def land(number: int) -> None:
        part = whole.parts[number // 4]
        at_once.wait()
        whole.land(part, [part.segments[number % 4]])
        whole.hash_landed(staged, lambda _: None)

    threads = [threading.Thread(target=land, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(done) == [(index, etag_of(CONTENT, 100)) for index in range(3)]


def test_segments_should_be_fetched_side_by_side_of_as_many_parts_as_are_hashed_at_once(staged: int) -> None:
    del staged
    at_once = max(md5_lanes(), cores())
    whole = PartHasher([(start, start + 1500) for start in range(0, (at_once + 2) * 1500, 1500)], lambda *_: None)

    order = [(part.index, segment[0] - part.byte_range[0]) for part, segment in whole.missing_segments()]

    first, rest = range(at_once), range(at_once, at_once + 2)
    assert order == [(index, start) for group in (first, rest) for start in (0, 1000) for index in group]


def test_a_staged_file_that_is_too_short_should_be_told(staged: int) -> None:
    whole = PartHasher([(0, 4 * len(CONTENT))], lambda *_: None)
    (part,) = whole.parts
    whole.land(part, part.segments)

    with pytest.raises(WrongSizeError):
        whole.hash_landed(staged, lambda _: None)


def test_segments_that_have_landed_and_parts_that_were_accepted_should_not_be_missing(staged: int) -> None:
    # given three parts: one computed elsewhere, one of which two segments have landed
    del staged
    whole = PartHasher(three_ranges(), lambda *_: None)
    accepted, begun, untouched = whole.parts

    # when
    whole.accept(accepted, b"digest")
    whole.land(begun, begun.segments[:2])

    # then
    missing = set(whole.missing_segments())
    assert missing == {(begun, segment) for segment in begun.segments[2:]} | {
        (untouched, segment) for segment in untouched.segments
    }


def test_an_empty_file_should_be_hashed_at_once() -> None:
    done: list[tuple[int, str]] = []

    whole = PartHasher([(0, 0)], lambda index, digest: done.append((index, digest.hex())))

    assert done == [(0, etag_of(b"", 100))]
    assert [digest.hex() for digest in whole.digests] == [etag_of(b"", 100)]
    assert list(whole.missing_segments()) == []
