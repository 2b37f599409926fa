"""The catalog in a file that mongoexport wrote."""

import json
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest
from bson import json_util
from bson.int64 import Int64
from plan_samples import MD5, OTHER_MD5, JsonObject, catalog_document

from planner.catalog import FIELDS
from planner.export_catalog import ExportCatalog
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
    assert set(found[0]) == set(FIELDS)


def test_numbers_that_are_none_should_stay_for_the_record_to_explain(tmp_path: Path) -> None:
    sizes: list[object] = [{"$numberLong": "x"}, {"$oid": "x"}, {"a": 1}, {}]
    documents = [catalog_document(str(number), file_info={"f": [size, "m"]}) for number, size in enumerate(sizes)]
    (tmp_path / "e.jsonl").write_text("\n".join(map(json.dumps, documents)))
    found = list(ExportCatalog(tmp_path / "e.jsonl").find_by_ids(["0", "1", "2", "3"]))
    assert [document["file_info"] for document in found] == [{"f": [size, "m"]} for size in sizes]


def test_projects_should_be_found_whole_and_sorted(tmp_path: Path) -> None:
    documents = [catalog_document(raw_file_id, project_id=f"P{raw_file_id in 'ac'}") for raw_file_id in "cab"]
    catalog = write(tmp_path / "export.json", documents)
    assert [document["_id"] for document in catalog.find_by_project("PTrue")] == ["a", "c"]
    assert list(catalog.find_by_project("PRID")) == []


def test_fields_that_a_document_has_not_should_not_be_made_up(tmp_path: Path) -> None:
    catalog = write(tmp_path / "export.json", [{"_id": "a"}])
    assert list(catalog.find_by_ids(["a"])) == [{"_id": "a"}]


def test_a_raw_file_that_stands_twice_should_be_refused_when_asked_for(tmp_path: Path) -> None:
    catalog = write(tmp_path / "export.jsonl", [catalog_document(raw_file_id) for raw_file_id in "abca"])
    assert len(list(catalog.find_by_ids(["b", "c"]))) == 2
    with pytest.raises(CatalogError, match="raw file 'a' stands in it twice, in lines 1 and 4: export it afresh"):
        list(catalog.find_by_ids(["a"]))
    with pytest.raises(CatalogError, match="raw file 'a' stands in it twice"):
        list(catalog.find_by_project("PRID001"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"_id": "a"}\n{"_id": "b"', "line 2: not JSON"),
        (b'{"_id": "a"}\n5\n', "line 2: expected a document, found 5"),
        (b'{"_id": "a"}\n{"id": "b"}\n', "line 2: the document has no _id"),
        (b'{"_id": {"$oid": "0123456789abcdef01234567"}}', "line 1: the document has no _id that is text"),
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


def test_a_byte_order_mark_should_not_disturb(tmp_path: Path) -> None:
    (tmp_path / "e.json").write_bytes(b'\xef\xbb\xbf{"_id": "a"}\r\n')
    assert list(ExportCatalog(tmp_path / "e.json").find_by_ids(["a"])) == [{"_id": "a"}]


def test_memory_should_be_bounded_whatever_the_size_of_the_file(tmp_path: Path) -> None:
    # given
    document: JsonObject = catalog_document(
        "X" * 20, file_info={f"f{n}": [3, OTHER_MD5, f"{MD5}__5"] for n in range(20)}
    )
    line = json.dumps(document)
    with (tmp_path / "export.jsonl").open("w") as file:
        file.writelines(f"{line.replace('X' * 20, f'{number:020}')}\n" for number in range(20_000))
    assert (tmp_path / "export.jsonl").stat().st_size > 30_000_000
    # when
    tracemalloc.start()
    found = sum(1 for _ in ExportCatalog(tmp_path / "export.jsonl").find_by_ids([f"{0:020}", f"{19_999:020}"]))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # then
    assert found == 2
    assert peak_bytes < 16_000_000
