"""Etag arithmetic against an oracle that hashes real bytes."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_samples import MD5, OTHER_MD5
from sample_data import MIB, etag_of, made_up_bytes

from schemas.etag import (
    EMPTY_FILE_ETAG,
    MAX_PARTS,
    Etag,
    explain_impossible,
    fold_part_digests,
    hashed_ranges,
    part_count,
    part_ranges,
    same_content,
)

CONTENT = made_up_bytes("etag", 11 * MIB)


def etag_by_ranges(content: bytes, expected: Etag, chunk_size_mb: int) -> Etag:
    ranges = hashed_ranges(expected, len(content), chunk_size_mb)
    digests = [hashlib.md5(content[start:end]).digest() for start, end in ranges]
    return fold_part_digests(digests, multipart=expected.parts is not None)


@pytest.mark.parametrize("text", [MD5, f"{MD5}-1", f"{MD5}-10000"])
def test_etag_should_read_back_as_it_was_written(text: str) -> None:
    assert str(Etag.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        MD5[:-1],
        MD5.upper(),
        f'"{MD5}"',
        f"{MD5}-",
        f"{MD5}-0",
        f"{MD5}-01",
        f"{MD5}--1",
        f"{MD5}-1\n",
        f" {MD5}",
    ],
)
def test_etag_should_refuse_what_is_no_etag(text: str) -> None:
    with pytest.raises(ValueError, match="malformed etag"):
        Etag.parse(text)


@given(size=st.integers(0, 10**14), chunk=st.integers(1, 10**13))
def test_part_count_should_be_the_least_that_covers_the_file(size: int, chunk: int) -> None:
    parts = part_count(size, chunk)
    assert parts >= 1
    assert parts * chunk >= size
    assert parts == 1 or (parts - 1) * chunk < size


@given(size=st.integers(0, 10_000), chunk=st.integers(1, 500))
def test_part_ranges_should_cover_every_byte_once_in_order(size: int, chunk: int) -> None:
    ranges = part_ranges(size, chunk)
    assert len(ranges) == part_count(size, chunk)
    assert [byte for start, end in ranges for byte in range(start, end)] == list(range(size))


@pytest.mark.parametrize("size", [0, 1, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 10 * MIB, 11 * MIB])
def test_etag_of_the_hashed_ranges_should_be_the_uploads(size: int) -> None:
    expected = Etag.parse(etag_of(CONTENT[:size], 5))
    assert etag_by_ranges(CONTENT[:size], expected, 5) == expected


def test_the_files_own_chunk_size_should_decide() -> None:
    """Chunk sizes of 100 and 500 occur in one catalog: the same bytes have another etag for each."""
    in_fives, in_tens = Etag.parse(etag_of(CONTENT, 5)), Etag.parse(etag_of(CONTENT, 10))
    assert in_fives != in_tens
    assert etag_by_ranges(CONTENT, in_fives, 5) == in_fives
    assert etag_by_ranges(CONTENT, in_fives, 10) != in_fives


def test_one_part_should_be_the_same_content_in_either_form() -> None:
    bare = Etag.parse(etag_of(b"one chunk", 5))
    of_one_part = fold_part_digests([hashlib.md5(b"one chunk").digest()], multipart=True)
    assert of_one_part.parts == 1
    assert same_content(bare, of_one_part)
    assert same_content(of_one_part, bare)
    assert not same_content(bare, Etag.parse(f"{OTHER_MD5}-1"))
    assert not same_content(Etag.parse(MD5), Etag.parse(OTHER_MD5))
    assert not same_content(Etag.parse(f"{MD5}-2"), Etag.parse(f"{MD5}-3"))


@given(content=st.binary(max_size=64), flipped=st.integers(0, 63))
def test_a_flipped_bit_should_change_the_etag(content: bytes, flipped: int) -> None:
    if flipped >= len(content):
        return
    spoilt = bytes([*content[:flipped], content[flipped] ^ 1, *content[flipped + 1 :]])
    expected = Etag(hashlib.md5(content).hexdigest(), None)
    assert not same_content(etag_by_ranges(spoilt, expected, 5), expected)


@given(size=st.integers(0, 2 * 10**13), chunk_size_mb=st.integers(1, 5120))
def test_an_etag_should_be_possible_exactly_with_the_parts_of_its_size(size: int, chunk_size_mb: int) -> None:
    parts = part_count(size, chunk_size_mb * MIB)
    digest = EMPTY_FILE_ETAG if size == 0 else MD5
    etag = Etag.parse(etag_of(b"", 5)) if size == 0 else Etag(digest, parts)
    assert (explain_impossible(etag, size, chunk_size_mb) is None) == (parts <= MAX_PARTS)
    assert explain_impossible(Etag(MD5, parts + 1), size, chunk_size_mb) is not None


@pytest.mark.parametrize(
    ("etag", "size", "words"),
    [
        (f"{MD5}-3", 11 * MIB - 1, None),
        (f"{MD5}-3", None, None),
        (f"{MD5}-3", 10 * MIB, "10485760 bytes in chunks of 5 MB make 2 parts, the etag names 3"),
        (f"{MD5}-10001", None, "names 10001 parts, S3 allows at most 10000"),
        (MD5, 0, f"the file is empty, whose etag is {EMPTY_FILE_ETAG}"),
        (EMPTY_FILE_ETAG, 0, None),
        pytest.param(MD5, 2**40, None, id="one-part-of-1-TiB"),  # AWS allows 5 GiB, MinIO and SeaweedFS more
    ],
)
def test_explanation_should_name_what_cannot_be(etag: str, size: int | None, words: str | None) -> None:
    reason = explain_impossible(Etag.parse(etag), size, 5)
    assert reason is None if words is None else words in str(reason)
