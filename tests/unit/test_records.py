"""Catalog documents as records: every odd value that a catalog holds is read or becomes a reason."""

import math

import pytest
from bson.int64 import Int64
from hypothesis import given
from hypothesis import strategies as st
from plan_samples import MD5, OTHER_MD5, catalog_document

from planner.records import (
    ETAG_SEPARATOR,
    NO_ETAG,
    FileInfoEntry,
    UnusableEntry,
    parse_etag_from_file_info,
    parse_record,
)


def entry_of(entry: object) -> FileInfoEntry | UnusableEntry:
    (parsed,) = parse_record(catalog_document(file_info={"a.d/b": entry})).entries
    return parsed


def reason_of(entry: object) -> str:
    parsed = entry_of(entry)
    assert isinstance(parsed, UnusableEntry)
    assert parsed.reason.isprintable()
    return parsed.reason


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (f"{MD5}__500", (MD5, 500)),
        (f"{MD5}-5__500", (f"{MD5}-5", 500)),
        (f"{MD5}-1__100", (f"{MD5}-1", 100)),
        (f"{MD5}__1", (MD5, 1)),
        (f"{MD5}__5120", (MD5, 5120)),
    ],
)
def test_parse_etag_from_file_info_should_read_single_and_multipart(stored: str, expected: tuple[str, int]) -> None:
    assert parse_etag_from_file_info([3, OTHER_MD5, stored]) == expected
    assert parse_etag_from_file_info((3, OTHER_MD5, stored)) == expected


@given(parts=st.none() | st.integers(1, 99999), chunk_size_mb=st.integers(1, 5120))
def test_parse_etag_from_file_info_should_read_what_alphakraken_writes(parts: int | None, chunk_size_mb: int) -> None:
    etag = MD5 if parts is None else f"{MD5}-{parts}"
    stored = f"{etag}{ETAG_SEPARATOR}{chunk_size_mb}"
    assert parse_etag_from_file_info([0, OTHER_MD5, stored]) == (etag, chunk_size_mb)


@pytest.mark.parametrize("entry", [[3.0, OTHER_MD5], [3.0, OTHER_MD5, None], [3.0, OTHER_MD5, ""]])
def test_parse_etag_from_file_info_should_say_that_none_is_recorded(entry: list[object]) -> None:
    with pytest.raises(ValueError, match=f"^{NO_ETAG}$"):
        parse_etag_from_file_info(entry)


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (MD5, "malformed etag"),
        (f"{MD5}_500", "malformed etag"),
        (5, "malformed etag"),
        (["x"], "malformed etag"),
        (f"{MD5.upper()}__500", "malformed etag"),
        (f'"{MD5}"__500', "malformed etag"),
        (f"{MD5}-0__500", "malformed etag"),
        ("__500", "malformed etag"),
        (f"{MD5}__", "malformed chunk size ''"),
        (f"{MD5}__0", "malformed chunk size '0'"),
        (f"{MD5}__-5", "malformed chunk size '-5'"),
        (f"{MD5}__5.0", "malformed chunk size '5.0'"),
        (f"{MD5}__5121", "malformed chunk size '5121'"),
        (f"{MD5}__\N{ARABIC-INDIC DIGIT FIVE}", "malformed chunk size"),
        (f"{MD5}__500\n", "malformed chunk size '500\\n'"),
        ("x" * 5000, "malformed etag"),
    ],
)
def test_parse_etag_from_file_info_should_explain_what_is_malformed(stored: object, words: str) -> None:
    reason = reason_of([3, OTHER_MD5, stored])
    assert reason.startswith("Not verifiable: ")
    assert words in reason
    assert len(reason) < 400


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, 0),
        (3, 3),
        (3.0, 3),
        (Int64(2**40), 2**40),
        (2224281231.0, 2224281231),
        (None, None),
        (53687091200000, 53687091200000),
    ],
)
def test_sizes_should_be_read_from_integers_and_floats(size: object, expected: int | None) -> None:
    for entry in (entry_of([size, OTHER_MD5, f"{MD5}__500"]), entry_of([size, OTHER_MD5])):
        assert entry.size_bytes == expected
        assert type(entry.size_bytes) in {int, type(None)}


@pytest.mark.parametrize(
    "size", [-1, 3.5, math.nan, math.inf, -math.inf, 10**400, -(10**400), True, "3", [], {}, 10**15, 1e300]
)
def test_malformed_sizes_should_be_explained(size: object) -> None:
    assert reason_of([size, OTHER_MD5, f"{MD5}__500"]).startswith("Not verifiable: malformed size ")


@pytest.mark.parametrize("entry", [None, "x", 5, {}, [], [3], [3, OTHER_MD5, f"{MD5}__5", "more"], [[3, OTHER_MD5]]])
def test_entries_of_no_known_shape_should_be_explained(entry: object) -> None:
    assert reason_of(entry).startswith("Not verifiable: malformed file_info entry ")


def test_a_record_should_hold_the_documents_fields() -> None:
    document = catalog_document(file_info={"a.d/b.c": [3.0, OTHER_MD5, f"{MD5}-1__5"]}, status="done")
    record = parse_record(document)
    assert (record.raw_file_id, record.project_id) == ("sample.raw", "PRID001")
    assert record.s3_upload_path == "s3://alphakraken-prid001/"
    assert record.entries == (
        FileInfoEntry(relative_path="a.d/b.c", size_bytes=3, etag=f"{MD5}-1", chunk_size_mb=5, md5=OTHER_MD5),
    )
    assert record.problem is None


@pytest.mark.parametrize(
    ("etag", "md5"),
    [(MD5, MD5), (MD5, OTHER_MD5), *((f"{MD5}-1", odd) for odd in (None, "", "no MD5", OTHER_MD5.upper(), 5, [MD5]))],
)
def test_an_md5_that_says_nothing_beside_the_etag_should_be_left_out(etag: str, md5: object) -> None:
    (entry,) = parse_record(catalog_document(file_info={"a": [3, md5, f"{etag}__5"]})).entries
    assert isinstance(entry, FileInfoEntry)
    assert entry.md5 is None


@pytest.mark.parametrize("missing", [None, "", " ", ...])
def test_fields_that_say_nothing_should_be_none(missing: object) -> None:
    record = parse_record(catalog_document(project_id=missing, s3_upload_path=missing, file_info=...))
    assert (record.project_id, record.s3_upload_path, record.entries, record.problem) == (None, None, (), None)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"file_info": [1]}, "file_info is [1], expected a mapping"),
        ({"file_info": "x"}, "file_info is 'x', expected a mapping"),
        ({"project_id": 5}, "project_id is 5, expected text"),
        ({"s3_upload_path": {"a": 1}}, "s3_upload_path is {'a': 1}, expected text"),
    ],
)
def test_fields_of_a_wrong_kind_should_be_a_problem_of_the_raw_file(changes: dict[str, object], words: str) -> None:
    record = parse_record({**catalog_document(), **changes})
    assert words in str(record.problem)
    assert str(record.problem).startswith("RawFile is malformed: ")


@pytest.mark.parametrize("raw_file_id", [5, 5.0, None, True, ["5"], {"$oid": "5"}, b"5"])
def test_an_id_that_is_no_text_should_be_a_raw_file_of_its_own(raw_file_id: object) -> None:
    record = parse_record({**catalog_document(), "_id": raw_file_id})
    assert record.raw_file_id == f"_id {raw_file_id!r} ({type(raw_file_id).__name__})"
    assert record.problem == (
        None if raw_file_id is None else f"RawFile is malformed: _id is {raw_file_id!r}, expected text"
    )


def test_an_id_without_a_utf8_form_should_be_escaped() -> None:
    assert parse_record(catalog_document("a\ud800")).raw_file_id == "a\\ud800"
