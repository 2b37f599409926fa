"""From catalog documents to a plan: everything is resolved, or stands in the plan with its reason."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_samples import MD5, NOW, OTHER_MD5, JsonObject, catalog_document, plan_bytes

from planner.build_plan import build_download_plan
from planner.records import parse_record
from schemas.plan import Plan, PlannedFile, RawFilePlan, UnresolvedFile
from schemas.plan_file import read_plan
from schemas.site.config import SiteConfig

SITE = SiteConfig(output_location="/out", region="eu-central-1", name="site.yaml")
ETAG = f"{MD5}__5"


def build(documents: Sequence[JsonObject], ids: Sequence[str] = (), site: SiteConfig = SITE) -> Plan:
    """The plan of these documents, which must be one that can be read."""
    plan = build_download_plan(
        ids, map(parse_record, documents), site=site, catalog_description="raw_file.jsonl", created_at=NOW
    )
    assert replace(read_plan(plan_bytes(plan), "plan.json"), plan_digest=None) == plan
    return plan


def build_one(**changes: object) -> RawFilePlan:
    (raw_file,) = build([{**catalog_document(), **changes}]).raw_files
    return raw_file


def build_file(relative_path: str, *entry: object) -> PlannedFile | UnresolvedFile:
    (file,) = build_one(file_info={relative_path: list(entry)}).files
    return file


def error_of(file: PlannedFile | UnresolvedFile) -> str:
    assert isinstance(file, UnresolvedFile)
    return file.error


# --- what can be resolved


def test_a_single_raw_file_should_be_resolved_whole() -> None:
    plan = build([catalog_document("sample.raw", s3_upload_path="s3://bucket/pre/")], ["sample.raw"])
    (raw_file,) = plan.raw_files
    assert raw_file == RawFilePlan(
        raw_file_id="sample.raw",
        project_id="PRID001",
        destination_base="/out/PRID001",
        bucket_name="bucket",
        files=(
            PlannedFile(
                relative_path="sample.raw",
                s3_key="pre/sample.raw",
                expected_etag=MD5,
                chunk_size_mb=5,
                expected_size=3,
            ),
        ),
    )
    assert (plan.output_location, plan.s3.region, plan.created_at) == ("/out", "eu-central-1", "2026-11-23T14:30:22Z")
    assert plan.compiled_from is not None
    assert (plan.compiled_from.catalog, plan.compiled_from.config) == ("raw_file.jsonl", "site.yaml")
    assert not plan.has_errors()


def test_a_batch_should_be_in_the_order_asked_for_whatever_the_catalogs() -> None:
    documents = [catalog_document(raw_file_id) for raw_file_id in "abcde"]
    assert [raw_file.raw_file_id for raw_file in build(documents, ["d", "b"]).raw_files] == ["d", "b", "a", "c", "e"]


def test_a_record_that_comes_twice_should_be_planned_once() -> None:
    plan = build([catalog_document("a"), catalog_document("a")], ["a"])
    assert [len(raw_file.files) for raw_file in plan.raw_files] == [1]


def test_files_should_be_sorted_by_path() -> None:
    raw_file = build_one(file_info={path: [3, "m", ETAG] for path in ["b", "a/b", "B", "a"[:1] + ".d/x"]})
    assert [file.relative_path for file in raw_file.files] == ["B", "a.d/x", "a/b", "b"]


def test_paths_should_be_below_the_project_with_keys_below_the_prefix() -> None:
    raw_file = build_one(project_id="PRID7", s3_upload_path="bucket//x/", file_info={"s.d/a.b/c.tdf": [3, "m", ETAG]})
    (file,) = raw_file.files
    assert isinstance(file, PlannedFile)
    assert file.s3_key == "x/s.d/a.b/c.tdf"
    assert raw_file.absolute_dest_path(file) == "/out/PRID7/s.d/a.b/c.tdf"


@pytest.mark.parametrize(
    ("stored", "size", "expected"),
    [
        (f"{MD5}__500", 3, (MD5, 500)),
        (f"{MD5}-5__500", 2224281231.0, (f"{MD5}-5", 500)),
        (f"{MD5}-2__100", None, (f"{MD5}-2", 100)),
    ],
)
def test_etags_should_keep_their_own_chunk_size(stored: str, size: object, expected: tuple[str, int]) -> None:
    file = build_file("f", size, OTHER_MD5, stored)
    assert isinstance(file, PlannedFile)
    assert (file.expected_etag, file.chunk_size_mb) == expected


def test_no_raw_files_should_make_an_empty_plan() -> None:
    assert build([]).raw_files == ()


def test_the_output_location_may_be_the_root() -> None:
    (raw_file,) = build([catalog_document()], site=SiteConfig(output_location="/")).raw_files
    assert raw_file.destination_base == "/PRID001"


def test_the_same_catalog_should_give_the_same_digest_at_another_time() -> None:
    documents = [catalog_document(raw_file_id) for raw_file_id in "ab"]
    first = build_download_plan(
        ["a", "b"], map(parse_record, documents), site=SITE, catalog_description="one", created_at=NOW
    )
    later = build_download_plan(
        ["a", "b"],
        map(parse_record, reversed(documents)),
        site=SITE,
        catalog_description="other",
        created_at=NOW.replace(year=2027),
    )
    digests = {read_plan(plan_bytes(plan), "plan.json").plan_digest for plan in (first, later)}
    assert len(digests) == 1


# --- raw files that cannot be resolved


def test_a_raw_file_that_is_not_found_should_be_in_the_plan_with_an_error() -> None:
    found, missing = build([catalog_document("a")], ["a", "none"]).raw_files
    assert found.error is None
    assert missing.error == "RawFile not found in the catalog"
    assert (missing.project_id, missing.destination_base, missing.bucket_name, missing.files) == (None, None, None, ())


@pytest.mark.parametrize(
    ("changes", "error", "destination_base"),
    [
        ({"project_id": None}, "RawFile has no project_id", None),
        ({"project_id": ""}, "RawFile has no project_id", None),
        ({"s3_upload_path": None}, "RawFile has no s3_upload_path", "/out/PRID001"),
        ({"file_info": None}, "RawFile has empty file_info", "/out/PRID001"),
        ({"file_info": {}}, "RawFile has empty file_info", "/out/PRID001"),
        (
            {"file_info": [1]},
            "RawFile is malformed: file_info is [1], expected a mapping of relative paths",
            "/out/PRID001",
        ),
        ({"project_id": 5}, "RawFile is malformed: project_id is 5, expected text", None),
    ],
)
def test_a_raw_file_without_what_it_needs_should_say_so_at_its_destination(
    changes: dict[str, object], error: str, destination_base: str | None
) -> None:
    raw_file = build_one(**changes)
    assert raw_file.error == error
    assert raw_file.destination_base == destination_base
    assert raw_file.files == ()


def test_a_malformed_s3_upload_path_should_be_shown() -> None:
    raw_file = build_one(s3_upload_path="s3://no bucket/x")
    assert str(raw_file.error).startswith("RawFile has a malformed s3_upload_path 's3://no bucket/x'")
    assert raw_file.destination_base == "/out/PRID001"


@pytest.mark.parametrize(
    "project_id",
    ["..", ".", "a/b", "/etc", "../x", "a\nb", "a\ud800", "x" * 256, ".kraken-plan", "_download_status_batch_x"],
)
def test_a_project_id_that_is_no_folder_name_should_be_an_unsafe_path(project_id: str) -> None:
    raw_file = build_one(project_id=project_id)
    assert str(raw_file.error).startswith("Unsafe path: project_id ")
    assert str(raw_file.error).isprintable()
    assert raw_file.destination_base is None


# --- files that cannot be resolved


def test_one_bad_file_should_leave_the_others_as_they_are() -> None:
    raw_file = build_one(file_info={"a": [3.0, "m"], "b": [3.0, "m", ETAG]})
    assert raw_file.error is None
    bad, good = raw_file.files
    assert error_of(bad) == "Not verifiable: no ETag recorded"
    assert isinstance(good, PlannedFile)


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        ([3.0, "m"], "Not verifiable: no ETag recorded"),
        ([3.0, "m", None], "Not verifiable: no ETag recorded"),
        ([3, "m", "x__5"], "Not verifiable: malformed etag 'x'"),
        ([3, "m", f"{MD5}__0"], "Not verifiable: malformed chunk size '0'"),
        (["3", "m", ETAG], "Not verifiable: malformed size '3'"),
        (
            [3, "m", f"{MD5}-2__5"],
            f"Not verifiable: etag {MD5}-2 can never verify: 3 bytes in chunks of 5 MB make 1 parts",
        ),
        ([None, "m", f"{MD5}-10001__5"], f"Not verifiable: etag {MD5}-10001 names 10001 parts"),
        ([0, "m", ETAG], f"Not verifiable: etag {MD5} can never verify: the file is empty"),
        (None, "Not verifiable: malformed file_info entry None"),
    ],
)
def test_a_file_that_can_never_verify_should_say_why(entry: object, error: str) -> None:
    (file,) = build_one(file_info={"f": entry}).files
    assert error_of(file).startswith(error)
    assert isinstance(file, UnresolvedFile)
    assert (file.s3_key, file.absolute_dest_path) == ("f", "/out/PRID001/f")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "../x",
        "/etc/passwd",
        "a//b",
        "a/",
        "./a",
        "a\0",
        "a\nFAILURE",
        "\ud800",
        "\u0085",
        "x" * 256,
        ".kraken-plan/x",
        "_download_status_batch_1.txt",
    ],
)
def test_an_unsafe_path_should_be_an_error_of_its_file(path: str) -> None:
    file = build_file(path, 3, "m", ETAG)
    assert error_of(file).startswith("Unsafe path: ")
    assert isinstance(file, UnresolvedFile)
    assert file.absolute_dest_path is None


def test_a_key_that_s3_does_not_take_should_be_an_error_of_its_file() -> None:
    path = "/".join(["é" * 100] * 6)
    file = build_file(path, 3, "m", ETAG)
    assert error_of(file) == "Unsafe path: its S3 key has 1205 bytes, S3 allows 1 to 1024"


def test_a_prefix_without_a_utf8_form_should_be_an_error_of_its_files() -> None:
    (file,) = build_one(s3_upload_path="bucket/\ud800").files
    assert error_of(file) == "Unsafe path: its S3 key holds a lone surrogate"


# --- conflicts


def test_one_destination_with_two_contents_should_be_an_error_on_both() -> None:
    documents = [
        catalog_document("a", file_info={"x": [3, "m", ETAG], "y": [3, "m", ETAG]}),
        catalog_document("b", file_info={"x": [3, "m", f"{OTHER_MD5}__5"]}),
    ]
    (x_of_a, y_of_a), (x_of_b,) = (raw_file.files for raw_file in build(documents).raw_files)
    assert error_of(x_of_a) == f"Conflicts with b: x (one destination, but etag {MD5} and {OTHER_MD5})"
    assert error_of(x_of_b) == f"Conflicts with a: x (one destination, but etag {OTHER_MD5} and {MD5})"
    assert isinstance(y_of_a, PlannedFile)


def test_one_destination_with_one_content_should_stay_on_both() -> None:
    documents = [catalog_document(raw_file_id, file_info={"x": [3, "m", ETAG]}) for raw_file_id in "ab"]
    assert not build(documents).has_errors()


def test_a_file_that_is_anothers_folder_should_be_an_error_on_both() -> None:
    raw_file = build_one(file_info={"x": [3, "m", ETAG], "x/y": [3, "m", ETAG], "z": [3, "m", ETAG]})
    x, y, z = raw_file.files
    assert error_of(x).startswith("Conflicts with sample.raw: x/y (one would have to be a file and the folder")
    assert error_of(y).startswith("Conflicts with sample.raw: x (")
    assert isinstance(z, PlannedFile)


def test_one_path_in_two_projects_should_be_no_conflict() -> None:
    documents = [
        catalog_document(project, project_id=project, file_info={"x": [3, "m", f"{md5}__5"]})
        for project, md5 in (("P1", MD5), ("P2", OTHER_MD5))
    ]
    assert not build(documents).has_errors()


# --- whatever the catalog holds

odd = st.none() | st.integers() | st.floats() | st.text(st.characters(), max_size=5) | st.booleans()
etags = st.sampled_from([MD5, OTHER_MD5, f"{MD5}-2", f"{MD5}-99999", MD5.upper(), ""])
stored_etags = st.builds(lambda etag, chunk: f"{etag}__{chunk}", etags, st.integers(-1, 6000)) | odd
sizes = st.sampled_from([0, 3, 3.0, 10 * 1024 * 1024, 2**60, None]) | odd
entries = st.lists(odd, max_size=4) | st.tuples(sizes, odd, stored_etags).map(list) | odd
paths = st.sampled_from(["a", "a/b", "a/b/c", "b", "../a"]) | st.text(st.characters(), max_size=5)
anything = st.fixed_dictionaries(
    {"_id": st.sampled_from("abc") | st.text(st.characters(), max_size=3)},
    optional={
        "project_id": st.sampled_from(["P1", "P2", "..", "a/b"]) | odd,
        "s3_upload_path": st.sampled_from(["bucket", "s3://bucket/x", "b " * 3, "é" * 2000]) | odd,
        "file_info": st.dictionaries(paths, entries, max_size=4) | st.lists(odd, max_size=2) | odd,
    },
)


@given(st.lists(anything, max_size=4), st.lists(st.sampled_from("abcd"), unique=True))
def test_whatever_the_catalog_holds_should_give_a_plan_that_can_be_read(
    documents: list[JsonObject], ids: list[str]
) -> None:
    plan = build(documents, ids)
    assert set(ids) <= {raw_file.raw_file_id for raw_file in plan.raw_files}
    for raw_file, file in plan.planned_files():
        assert raw_file.absolute_dest_path(file).startswith("/out/P")
