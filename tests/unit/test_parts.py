import os
import threading
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest
from sample_data import etag_of, made_up_bytes

from applier import parts
from applier.parts import Part

SEGMENT_BYTES = 1000
CONTENT = made_up_bytes("part", 3 * SEGMENT_BYTES + 5)


@pytest.fixture
def staged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A staged file whose part begins at offset 7, with segments of 1,000 bytes."""
    monkeypatch.setattr(parts, "SEGMENT_BYTES", SEGMENT_BYTES)
    path = tmp_path / "staged"
    path.write_bytes(b"x" * 7 + CONTENT)
    descriptor = os.open(path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def test_part_should_be_cut_into_segments(staged: int) -> None:
    del staged

    part = Part(0, (7, 7 + len(CONTENT)), lambda *_: None)

    assert part.segments == [(7, 1007), (1007, 2007), (2007, 3007), (3007, 3012)]


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_part_should_be_hashed_in_order_however_its_segments_land(staged: int, order: tuple[int, ...]) -> None:
    done: list[tuple[int, bytes]] = []
    part = Part(3, (7, 7 + len(CONTENT)), lambda index, digest: done.append((index, digest)))

    for index in order:
        assert done == []
        part.land([part.segments[index]])
        part.hash_on(staged, lambda _: None)

    assert [(index, digest.hex()) for index, digest in done] == [(3, etag_of(CONTENT, 100))]


def test_part_should_be_hashed_once_by_many_threads(staged: int) -> None:
    done: list[bytes] = []
    part = Part(0, (7, 7 + len(CONTENT)), lambda _, digest: done.append(digest))

    def land(index: int) -> None:
        part.land([part.segments[index]])
        part.hash_on(staged, lambda _: None)

    threads = [threading.Thread(target=land, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [digest.hex() for digest in done] == [etag_of(CONTENT, 100)]
