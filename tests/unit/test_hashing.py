import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_data import etag_of, made_up_bytes

from applier.disk.hashing import (
    RangeHasher,
    WrongSizeError,
    cores,
    get_etag,
    hash_ranges,
    hashed_together,
    md5_lanes,
    read_on,
)
from schemas.etag import MIB

CONTENT = made_up_bytes("ranges", 3 * MIB)


def etag_on_s3(path: Path, chunk_size_mb: int, *, multipart: bool) -> str:
    with path.open("rb") as file:
        etag, _ = get_etag(file.fileno(), chunk_size_mb, multipart=multipart)
        return str(etag)


@pytest.mark.parametrize("size_bytes", [0, 1, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 10 * MIB, 12 * MIB + 7])
def test_get_etag_should_equal_the_catalogs(tmp_path: Path, size_bytes: int) -> None:
    content = made_up_bytes("etag", size_bytes)
    path = tmp_path / "file"
    path.write_bytes(content)

    assert etag_on_s3(path, 5, multipart=size_bytes > 5 * MIB) == etag_of(content, 5)
    assert etag_on_s3(path, 100, multipart=False) == etag_of(content, 100)


def test_get_etag_should_give_the_multipart_form_of_one_part_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")

    assert etag_on_s3(path, 5, multipart=True).endswith("-1")


@pytest.fixture
def three_mib(tmp_path: Path) -> Iterator[int]:
    """A file of 3 MiB, open for reading."""
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    descriptor = os.open(path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def test_reading_on_should_say_that_a_file_is_too_short(three_mib: int) -> None:
    with pytest.raises(WrongSizeError):
        read_on(three_mib, [(RangeHasher(0), len(CONTENT) + 1)])


def test_reading_on_should_resume_where_it_stopped_and_give_the_bytes(three_mib: int) -> None:
    told: list[int] = []
    hasher = RangeHasher(0)

    read_on(three_mib, [(hasher, MIB + 1)], told.append)
    read_on(three_mib, [(hasher, len(CONTENT))], told.append)

    assert hasher.digest().hex() == etag_of(CONTENT, 100)
    assert sum(told) == len(CONTENT)


@pytest.mark.parametrize("count", range(1, md5_lanes() + 1))
def test_ranges_hashed_together_should_each_have_their_md5(three_mib: int, count: int) -> None:
    ranges = [(number * 1000, len(CONTENT) - number * 100_000) for number in range(count)]

    digests = hash_ranges(three_mib, ranges)

    assert digests == [hashlib.md5(CONTENT[start:end]).digest() for start, end in ranges]


@given(st.integers(0, 10_000))
def test_ranges_should_be_dealt_out_to_every_core_and_all_of_them_once(count: int) -> None:
    calls = hashed_together(count)

    assert [index for indices in calls for index in indices] == list(range(count))
    assert all(1 <= len(indices) <= md5_lanes() for indices in calls)
    assert len(calls) >= min(cores(), count)
