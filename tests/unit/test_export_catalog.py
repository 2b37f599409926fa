"""The catalog in a file that mongoexport wrote."""

import json
import os
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from bson import json_util
from bson.datetime_ms import DatetimeMS
from bson.int64 import Int64
from plan_samples import MD5, OTHER_MD5, JsonObject, catalog_document

from planner.catalog import FIELDS
from planner.export_catalog import ExportCatalog
from planner.records import FileInfoEntry, UnusableEntry, parse_record
from planner.search import Search, parse_since, parse_until
from planner.similar_ids import nearest_ids
from schemas.errors import CatalogError


def write(path: Path, documents: Sequence[object], *, array: bool = False, canonical: bool = False) -> ExportCatalog:
    options = json_util.CANONICAL_JSON_OPTIONS if canonical else json_util.RELAXED_JSON_OPTIONS
    lines = [json_util.dumps(document, json_options=options) for document in documents]
    path.write_text("[" + ",\n".join(lines) + "]" if array else "\n".join(lines), encoding="utf-8")
    return ExportCatalog(path)


def refusal(path: Path) -> str:
    with pytest.raises(CatalogError) as refused:
        list(ExportCatalog(path).find_by_ids(["sample.raw"]))
    message = str(refused.value)
    assert message.startswith(f"catalog {path}: ")
    assert message.isprintable()
    return message


@pytest.mark.parametrize("array", [False, True])
@pytest.mark.parametrize("canonical", [False, True])
def test_documents_should_be_found_in_every_form_of_export(tmp_path: Path, *, array: bool, canonical: bool) -> None:
    # given
    file_info = {"a.d/x.y": [Int64(3), OTHER_MD5, f"{MD5}__5"], "f": [2.0, "m"], "n": [None, "m"], "i": [7, "m", "e"]}
    documents = [catalog_document(raw_file_id, file_info=file_info, size=Int64(5)) for raw_file_id in "cab"]
    catalog = write(tmp_path / "export.json", documents, array=array, canonical=canonical)
    # when
    found = list(catalog.find_by_ids(["a", "b", "missing"]))
    # then
    assert [document["_id"] for document in found] == ["a", "b"]
    assert found[0]["file_info"] == {
        "a.d/x.y": [3, OTHER_MD5, f"{MD5}__5"],
        "f": [2.0, "m"],
        "n": [None, "m"],
        "i": [7, "m", "e"],
    }
    assert set(found[0]) <= set(FIELDS)
    assert "size" not in found[0]


def test_numbers_that_are_none_should_stay_for_the_record_to_explain(tmp_path: Path) -> None:
    sizes: list[object] = [{"$numberLong": "x"}, {"$oid": "x"}, {"a": 1}, {}]
    documents = [catalog_document(str(number), file_info={"f": [size, "m"]}) for number, size in enumerate(sizes)]
    (tmp_path / "e.jsonl").write_text("\n".join(map(json.dumps, documents)))
    found = list(ExportCatalog(tmp_path / "e.jsonl").find_by_ids(["0", "1", "2", "3"]))
    assert [document["file_info"] for document in found] == [{"f": [size, "m"]} for size in sizes]


def test_a_search_should_find_all_and_only_what_it_asks_for(tmp_path: Path) -> None:
    documents = [catalog_document(raw_file_id, project_id=f"P{raw_file_id in 'ac'}") for raw_file_id in "cab"]
    documents += [catalog_document("d", project_id=...), catalog_document("e", project_id="")]
    catalog = write(tmp_path / "export.json", documents)
    assert [document["_id"] for document in catalog.search(Search(project_ids=("PTrue",)))] == ["c", "a"]
    assert [document["_id"] for document in catalog.search(Search(project_ids=("PFalse", None)))] == ["b", "d", "e"]
    assert list(catalog.search(Search(project_ids=("PRID",)))) == []


@pytest.mark.parametrize("canonical", [False, True])
def test_a_search_should_read_dates_in_every_form(tmp_path: Path, *, canonical: bool) -> None:
    times: list[object] = [datetime(2025, 1, 31, 23, 59, 59, 999000, UTC), datetime(1, 1, 1, tzinfo=UTC), None, "x", 5]
    documents = [catalog_document(str(number), created_at=time) for number, time in enumerate(times)]
    catalog = write(tmp_path / "export.json", documents, canonical=canonical)
    january = Search(since=parse_since("2025-01-01"), until=parse_until("2025-01-31"))
    assert [document["_id"] for document in catalog.search(january)] == ["0"]
    assert [document["_id"] for document in catalog.search(Search(until=parse_until("0001-01-01")))] == ["1"]
    assert list(catalog.search(Search(until=parse_until("2025-01-31T23:59")))) == [*catalog.find_by_ids(["1"])]


def test_a_search_should_read_an_array_as_mongodb_does_by_any_of_its_elements(tmp_path: Path) -> None:
    time = datetime(2025, 1, 31, tzinfo=UTC)
    changes: Sequence[dict[str, object]] = (
        {"project_id": ["P0", "P1"], "instrument_id": ["i", 5], "created_at": [time, "x"]},
        {"project_id": [["P1"]], "instrument_id": [], "created_at": []},
        {"project_id": [None], "instrument_id": "i", "created_at": [datetime(2024, 1, 1, tzinfo=UTC), time]},
    )
    catalog = write(tmp_path / "e.jsonl", [catalog_document(str(at), **change) for at, change in enumerate(changes)])

    def found(**search: Any) -> list[object]:  # noqa: ANN401  # the fields of a search
        return [document["_id"] for document in catalog.search(Search(**search))]

    assert found(project_ids=("P1",)) == ["0"]
    assert found(project_ids=(None,)) == ["2"]
    assert found(instrument_ids=("i",)) == ["0", "2"]
    assert found(since=parse_since("2025-01-31")) == ["0", "2"]
    assert found(until=parse_until("2024-12-31")) == ["2"]


@pytest.mark.parametrize(
    ("milliseconds", "is_late"), [(253402300800000, True), (2**62, True), (-(2**62), False), (-62135596800001, False)]
)
def test_a_search_should_find_a_date_that_python_cannot_hold_on_its_side(
    tmp_path: Path, milliseconds: int, *, is_late: bool
) -> None:
    catalog = write(tmp_path / "e.jsonl", [catalog_document("a", created_at=DatetimeMS(milliseconds))])
    late, early = Search(since=parse_since("2025-01-01")), Search(until=parse_until("9999-12-31"))
    assert [bool(list(catalog.search(search))) for search in (late, early)] == [is_late, not is_late]
    assert parse_record(next(catalog.find_by_ids(["a"]))).created_at is None


def test_a_search_should_ask_for_times_no_finer_than_mongodbs() -> None:
    assert parse_since("2025-01-01T00:00:00.0005") == datetime(2025, 1, 1, tzinfo=UTC)
    assert parse_until("2025-01-01") == datetime(2025, 1, 1, 23, 59, 59, 999000, UTC)


def test_names_near_to_unknown_ones_should_be_found_without_anything_else(tmp_path: Path) -> None:
    ids = ["A.raw", "a.raw.d", "b.raw", "s.wiff"]
    documents = [catalog_document(raw_file_id, original_name=f"original_{raw_file_id}") for raw_file_id in ids]
    catalog = write(tmp_path / "export.json", documents)
    asked = ["a.raw", "s.wiff.scan", "original_b.raw", "none"]
    found = list(catalog.find_similar(asked))
    assert [document["_id"] for document in found] == ids
    assert {*found[0]} == {"_id", "original_name"}
    assert nearest_ids(asked, found) == {
        "a.raw": ("A.raw", "a.raw.d"),
        "s.wiff.scan": ("s.wiff",),
        "original_b.raw": ("b.raw",),
    }


def test_an_export_should_tell_whether_it_is_empty(tmp_path: Path) -> None:
    assert write(tmp_path / "e.jsonl", []).is_empty()
    assert write(tmp_path / "e.json", [], array=True).is_empty()
    assert not write(tmp_path / "e.json", [{"_id": 5}]).is_empty()


@pytest.mark.parametrize(
    "number", ["1e999", "-1e999", "9" * 400, "9" * 5000, '{"$numberLong": 1e999}', '{"$date": 1e999}', "NaN", "-0.0"]
)
def test_a_number_that_nothing_can_hold_should_cost_its_own_document_only(tmp_path: Path, number: str) -> None:
    odd = json.dumps(catalog_document("odd")).replace("3.0", number)
    (tmp_path / "e.jsonl").write_text(f"{json.dumps(catalog_document('good'))}\n{odd}\n")
    good, found = map(parse_record, ExportCatalog(tmp_path / "e.jsonl").find_by_ids(["good", "odd"]))
    assert isinstance(good.entries[0], FileInfoEntry)
    assert isinstance(found.entries[0], UnusableEntry) == (number != "-0.0")


def test_fields_that_a_document_has_not_should_not_be_made_up(tmp_path: Path) -> None:
    catalog = write(tmp_path / "export.json", [{"_id": "a"}])
    assert list(catalog.find_by_ids(["a"])) == [{"_id": "a"}]


def test_a_raw_file_that_stands_twice_should_be_refused_when_asked_for(tmp_path: Path) -> None:
    catalog = write(tmp_path / "export.jsonl", [catalog_document(raw_file_id) for raw_file_id in "abca"])
    assert len(list(catalog.find_by_ids(["b", "c"]))) == 2
    with pytest.raises(CatalogError, match="raw file 'a' stands in it twice, in lines 1 and 4: export it afresh"):
        list(catalog.find_by_ids(["a"]))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"_id": "a"}\n{"_id": "b"', "line 2: not JSON"),
        (b"_id,status\na,done\n", "line 1: not JSON: Expecting value"),
        (b"_id,status\na,done\n", "; expected the JSON that mongoexport writes (without --type=csv), not a BSON dump"),
        (b'{"_id": "a"}\n5\n', "line 2: expected a document, found 5"),
        (b'{"_id": "a"}\n{"id": "b"}\n', "line 2: the document has no _id"),
        (b"[" * 200_000, "line 1: brackets too deep"),
        (b'[{"_id": "a"}', "it is cut short"),
        (b"\x1f\x8b\x08", "it is not UTF-8 text"),
        (b'{"_id": "\xe4"}', "it is not UTF-8 text"),
        (b"\x16\0\0\0\x02_id\0", "line 1: not JSON"),
    ],
)
def test_a_broken_export_should_be_named_with_the_line(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "export.jsonl").write_bytes(content)
    assert words in refusal(tmp_path / "export.jsonl")


def test_an_export_that_cannot_be_read_should_be_named(tmp_path: Path) -> None:
    assert "there is no such file" in refusal(tmp_path / "none.jsonl")
    assert "it is a folder" in refusal(tmp_path)
    assert "it cannot be read: Not a directory" in refusal(Path("/dev/null/x"))


@pytest.mark.timeout(60)
def test_a_pipe_in_place_of_an_export_should_be_refused_and_not_read_once_or_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reading, writing = os.pipe()
    os.write(writing, b'{"_id": "sample.raw"}')
    os.close(writing)
    words = ": it is a named pipe, expected a file, because the catalog is read more than once: save it to a file first"
    assert words in refusal(tmp_path / "pipe")
    assert words in refusal(Path(f"/dev/fd/{reading}"))
    assert "it is a device, expected a file" in refusal(Path("/dev/zero"))
    os.close(reading)


def test_a_byte_order_mark_should_not_disturb(tmp_path: Path) -> None:
    (tmp_path / "e.json").write_bytes(b'\xef\xbb\xbf{"_id": "a"}\r\n')
    assert list(ExportCatalog(tmp_path / "e.json").find_by_ids(["a"])) == [{"_id": "a"}]


def test_ids_that_are_no_text_should_be_found_as_what_they_are(tmp_path: Path) -> None:
    catalog = write(tmp_path / "e.jsonl", [{"_id": 5}, {"_id": "5"}, {"_id": {"a": 1}}, {"_id": [1]}])
    assert [document["_id"] for document in catalog.find_by_ids(["5"])] == ["5"]
    assert len(list(catalog.search(Search(project_ids=(None,))))) == 4


LARGE = 8000
SEARCHES: dict[str, Callable[[ExportCatalog], Iterator[object]]] = {
    "two ids": lambda catalog: catalog.find_by_ids([f"{0:020}", f"{LARGE - 1:020}"]),
    "everything": lambda catalog: catalog.search(Search(project_ids=("PRID001",), patterns=("0*",))),
    "near": lambda catalog: catalog.find_similar(["none"]),
}


@pytest.fixture(scope="module")
def large_export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "export.jsonl"
    document: JsonObject = catalog_document(
        "X" * 20, file_info={f"f{n}": [3, OTHER_MD5, f"{MD5}__5"] for n in range(20)}
    )
    line = json.dumps(document)
    with path.open("w") as file:
        file.writelines(f"{line.replace('X' * 20, f'{number:020}')}\n" for number in range(LARGE))
    return path


@pytest.mark.parametrize(("name", "number"), [("two ids", 2), ("everything", LARGE), ("near", 0)])
def test_memory_should_be_bounded_whatever_the_size_of_the_file(large_export: Path, name: str, number: int) -> None:
    # when
    tracemalloc.start()
    found = sum(1 for _ in SEARCHES[name](ExportCatalog(large_export)))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # then
    assert found == number
    assert peak_bytes < large_export.stat().st_size / 2
