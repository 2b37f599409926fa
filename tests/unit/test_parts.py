import os
import threading
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest
from sample_data import etag_of, made_up_bytes

from applier.disk import part_hashing as parts
from applier.disk.hashing import WrongSizeError, cores, md5_lanes
from applier.disk.part_hashing import Parts

SEGMENT_BYTES = 1000
CONTENT = made_up_bytes("part", 3 * SEGMENT_BYTES + 5)
RANGE = (7, 7 + len(CONTENT))


@pytest.fixture
def staged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A staged file with three parts of this content behind 7 bytes, and segments of 1,000 bytes."""
    monkeypatch.setattr(parts, "SEGMENT_BYTES", SEGMENT_BYTES)
    path = tmp_path / "staged"
    path.write_bytes(b"x" * 7 + 3 * CONTENT)
    descriptor = os.open(path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def three_ranges() -> list[tuple[int, int]]:
    return [(7 + number * len(CONTENT), 7 + (number + 1) * len(CONTENT)) for number in range(3)]


def test_part_should_be_cut_into_segments(staged: int) -> None:
    del staged

    (part,) = Parts([RANGE], lambda *_: None)

    assert part.segments == [(7, 1007), (1007, 2007), (2007, 3007), (3007, 3012)]


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_part_should_be_hashed_in_order_however_its_segments_land(staged: int, order: tuple[int, ...]) -> None:
    done: list[tuple[int, bytes]] = []
    whole = Parts([RANGE], lambda index, digest: done.append((index, digest)))
    (part,) = whole

    for index in order:
        assert done == []
        whole.land(part, [part.segments[index]])
        whole.hash_on(staged, lambda _: None)

    assert [(index, digest.hex()) for index, digest in done] == [(0, etag_of(CONTENT, 100))]


def test_parts_should_be_hashed_together(staged: int) -> None:
    # given
    done: dict[int, str] = {}
    rounds: list[int] = []
    whole = Parts(three_ranges(), lambda index, digest: done.update({index: digest.hex()}))

    # when: all of them have landed before anyone hashes
    for part in whole:
        whole.land(part, part.segments)
    whole.hash_on(staged, rounds.append)

    # then
    assert done == dict.fromkeys(range(3), etag_of(CONTENT, 100))
    assert sum(rounds) == 3 * len(CONTENT)
    if md5_lanes() > 1:
        assert rounds == [3000, 3000, 3000, 15]


def test_part_should_be_hashed_once_by_many_threads(staged: int) -> None:
    done: list[tuple[int, str]] = []
    whole = Parts(three_ranges(), lambda index, digest: done.append((index, digest.hex())))
    at_once = threading.Barrier(12)

    def land(number: int) -> None:
        part = list(whole)[number // 4]
        at_once.wait()
        whole.land(part, [part.segments[number % 4]])
        whole.hash_on(staged, lambda _: None)

    threads = [threading.Thread(target=land, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(done) == [(index, etag_of(CONTENT, 100)) for index in range(3)]


def test_segments_should_be_fetched_side_by_side_of_as_many_parts_as_are_hashed_at_once(staged: int) -> None:
    del staged
    at_once = max(md5_lanes(), cores())
    whole = Parts([(start, start + 1500) for start in range(0, (at_once + 2) * 1500, 1500)], lambda *_: None)

    order = [(part.index, segment[0] - part.byte_range[0]) for part, segment in whole.in_order_of_fetching()]

    first, rest = range(at_once), range(at_once, at_once + 2)
    assert order == [(index, start) for group in (first, rest) for start in (0, 1000) for index in group]


def test_a_staged_file_that_is_too_short_should_be_told(staged: int) -> None:
    whole = Parts([(0, 4 * len(CONTENT))], lambda *_: None)
    (part,) = whole
    whole.land(part, part.segments)

    with pytest.raises(WrongSizeError):
        whole.hash_on(staged, lambda _: None)
