import os
from pathlib import Path

import pytest
from sample_data import etag_of, made_up_bytes

from applier.hashing import RangeHasher, WrongSizeError, get_etag
from schemas.etag import MIB


@pytest.mark.parametrize("size_bytes", [0, 1, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 10 * MIB, 12 * MIB + 7])
def test_get_etag_should_equal_the_catalogs(tmp_path: Path, size_bytes: int) -> None:
    content = made_up_bytes("etag", size_bytes)
    path = tmp_path / "file"
    path.write_bytes(content)

    assert get_etag(path, 5) == etag_of(content, 5)
    assert get_etag(path, 100) == etag_of(content, 100)


def test_get_etag_should_give_the_multipart_form_of_one_part_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")

    assert get_etag(path, 5, multipart=True).endswith("-1")


def test_range_hasher_should_say_that_a_file_is_too_short(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with pytest.raises(WrongSizeError):
            RangeHasher().read(descriptor, 0, 6)
    finally:
        os.close(descriptor)


def test_range_hasher_should_go_on_where_it_stopped_and_tell_the_bytes(tmp_path: Path) -> None:
    # given
    content = made_up_bytes("ranges", 3 * MIB)
    path = tmp_path / "file"
    path.write_bytes(content)
    told: list[int] = []
    descriptor = os.open(path, os.O_RDONLY)

    # when
    hasher = RangeHasher()
    hasher.read(descriptor, 0, MIB + 1, told.append)
    hasher.read(descriptor, MIB + 1, len(content), told.append)
    os.close(descriptor)

    # then
    assert hasher.digest().hex() == etag_of(content, 100)
    assert sum(told) == len(content)
