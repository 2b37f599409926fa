"""Raw files out of a bucket's listing: every object is in exactly one, and part sizes are right or said to be open."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_samples import MD5, NOW

from planner.build_plan import build_download_plan
from planner.find_records import FoundRecords
from planner.listed_raw_files import find_listed, find_part_size_mb, parse_listing_address
from planner.raw_file_ids import AskedText
from planner.records import FileInfoEntry, UnusableEntry
from planner.search import Search
from schemas.errors import CatalogError, ConfigError
from schemas.etag import MIB, Etag, part_count
from schemas.plan import Plan
from schemas.s3_location import ListedObject, ListedPlace
from schemas.site.config import SiteConfig


class MemoryListing:
    """A bucket's listing in memory: key -> (etag, size), and the first parts' sizes that it tells."""

    def __init__(
        self, objects: Mapping[str, tuple[str, int]], parts: Mapping[str, int] | None = None, prefix: str = ""
    ) -> None:
        self.place = ListedPlace(bucket_name="bkt", prefix=prefix)
        self.objects, self.parts = objects, parts or {}
        self.asked: list[str] = []

    def list_objects(self) -> Iterator[ListedObject]:
        for key, (etag, size) in sorted(self.objects.items()):
            yield ListedObject(key, etag, size)

    def first_part_sizes(self, objects: Sequence[ListedObject]) -> Iterator[int | None]:
        self.asked += [found.key for found in objects]
        return (self.parts.get(found.key) for found in objects)


def small(*keys: str) -> dict[str, tuple[str, int]]:
    return dict.fromkeys(keys, (MD5, 3))


def find(listing: MemoryListing, *texts: str, patterns: tuple[str, ...] = ()) -> FoundRecords:
    asked = [AskedText(text) for text in texts] or None
    return find_listed(listing, "PRID001", asked, Search(patterns=patterns))


def plan_of(found: FoundRecords, site: SiteConfig | None = None) -> Plan:
    return build_download_plan(
        found.raw_file_ids,
        found.records,
        site=site or SiteConfig(output_location="/out"),
        catalog_description="listing",
        created_at=NOW,
    )


def layout(plan: Plan) -> dict[str, list[tuple[str, str]]]:
    """By raw file: the key and the relative path of each file."""
    return {
        raw_file.raw_file_id: [(str(file.s3_key), file.relative_path) for file in raw_file.files]
        for raw_file in plan.raw_files
    }


# --- grouping


def test_keys_should_be_grouped_as_alphakraken_lays_them_out() -> None:
    listing = MemoryListing(
        small(
            "a.raw",
            "b.d/analysis.tdf",
            "b.d/1.m/x.xml",
            "s.wiff/s.wiff",
            "s.wiff/s.wiff.scan",
            "astral1/2025_01/f.raw",
            "astral1/2025_01/g.d/analysis.tdf",
            "tims2/2024_12/t.wiff/t.wiff2",
        )
    )
    plan = plan_of(find(listing))
    assert layout(plan) == {
        "a.raw": [("a.raw", "a.raw")],
        "f.raw": [("astral1/2025_01/f.raw", "f.raw")],
        "g.d": [("astral1/2025_01/g.d/analysis.tdf", "g.d/analysis.tdf")],
        "b.d": [("b.d/1.m/x.xml", "b.d/1.m/x.xml"), ("b.d/analysis.tdf", "b.d/analysis.tdf")],
        "s.wiff": [("s.wiff/s.wiff", "s.wiff"), ("s.wiff/s.wiff.scan", "s.wiff.scan")],
        "t.wiff": [("tims2/2024_12/t.wiff/t.wiff2", "t.wiff2")],
    }
    assert {raw_file.destination_base for raw_file in plan.raw_files} == {"/out/PRID001"}
    assert {raw_file.bucket_name for raw_file in plan.raw_files} == {"bkt"}
    assert {raw_file.notes for raw_file in plan.raw_files} == {
        ("made from the listing of s3://bkt/: nothing but S3 itself vouches for its etags",)
    }


def test_only_what_lies_below_the_prefix_should_count() -> None:
    plan = plan_of(find(MemoryListing(small("pre/fix/a.d/x", "pre/fix/b.raw"), prefix="pre/fix")))
    assert layout(plan) == {"a.d": [("pre/fix/a.d/x", "a.d/x")], "b.raw": [("pre/fix/b.raw", "b.raw")]}


def test_any_other_bucket_should_be_planned_whole_too() -> None:
    plan = plan_of(find(MemoryListing(small("top.bin", "data/2024/x.bin", "data/y", "2025_01/z.raw", "x.d"))))
    assert layout(plan) == {
        "2025_01": [("2025_01/z.raw", "2025_01/z.raw")],
        "data": [("data/2024/x.bin", "data/2024/x.bin"), ("data/y", "data/y")],
        "top.bin": [("top.bin", "top.bin")],
        "x.d": [("x.d", "x.d")],
    }


def test_two_raw_files_of_one_name_should_both_be_planned_and_in_conflict() -> None:
    objects = small("astral1/2025_01/x.raw") | {"astral2/2025_01/x.raw": ("0" * 32, 3)}
    plan = plan_of(find(MemoryListing(objects)))
    assert list(layout(plan)) == ["astral1/2025_01/x.raw", "astral2/2025_01/x.raw"]
    assert [str(file.s3_key) for raw_file in plan.raw_files for file in raw_file.files] == list(objects)
    assert next(plan.planned_files(), None) is None


def test_of_raw_files_of_one_name_a_path_should_choose_and_the_bare_name_none() -> None:
    keys = ["a.raw", "s.wiff", "s.wiff/s.wiff.scan"]
    listing = MemoryListing(
        small(*(f"{folder}/{key}" for folder in ("astral1/2025_01", "tims2/2025_02") for key in keys))
    )
    by_path = find(listing, "/fs/pool/backup/tims2/2025_02/a.raw", "astral1/2025_01/a.raw")
    assert by_path.raw_file_ids == ("tims2/2025_02/a.raw", "astral1/2025_01/a.raw")
    assert layout(plan_of(find(listing, "/fs/tims2/2025_02/s.wiff.scan"))) == {
        "tims2/2025_02/s.wiff": [("tims2/2025_02/s.wiff", "s.wiff")]
    }
    assert find(listing, "tims2/2025_02/s.wiff/s.wiff").raw_file_ids == ("tims2/2025_02/s.wiff/s.wiff",)
    by_name = find(listing, "a.raw")
    assert by_name.records == ()
    assert by_name.nearest == {"a.raw": ("astral1/2025_01/a.raw", "tims2/2025_02/a.raw")}
    by_pattern = find(listing, patterns=("a*",))
    assert [record.raw_file_id for record in by_pattern.records] == ["astral1/2025_01/a.raw", "tims2/2025_02/a.raw"]


@given(st.lists(st.text("ab/.d", min_size=1, max_size=8), min_size=1, max_size=12, unique=True))
def test_every_object_should_be_in_exactly_one_raw_file(keys: list[str]) -> None:
    listing = MemoryListing(small(*keys))
    plan = plan_of(find(listing))
    planned = [str(file.s3_key) for raw_file in plan.raw_files for file in raw_file.files]
    safe = [key for key in keys if all(part not in {"", ".", ".."} for part in key.split("/"))]
    assert set(safe) <= set(planned)
    assert sum(len(raw_file.files) for raw_file in plan.raw_files) == len(keys)


def test_marks_of_folders_should_be_no_files() -> None:
    listing = MemoryListing(small("a.d/x") | {"a.d/": (MD5, 0), "empty/": (MD5, 0)})
    assert layout(plan_of(find(listing))) == {"a.d": [("a.d/x", "a.d/x")]}


# --- what is asked for


def test_ids_paths_and_patterns_should_choose_and_unknown_ids_be_named() -> None:
    listing = MemoryListing(small("a.raw", "b.raw", "c.d/x", "d 1,5.raw"))
    found = find(listing, "B.raw", "/pool/c.d/x", "d 1,5.raw", patterns=("a*",))
    assert found.raw_file_ids == ("B.raw", "c.d", "d 1,5.raw")
    assert [record.raw_file_id for record in found.records] == ["c.d", "d 1,5.raw", "a.raw"]
    assert found.nearest == {"B.raw": ("b.raw",)}
    assert found.pasted == (("/pool/c.d/x", "c.d"),)
    with pytest.raises(CatalogError, match=r"s3://bkt/ has no raw files of match 'z\*'"):
        find(listing, patterns=("z*",))
    with pytest.raises(CatalogError, match="s3://bkt/ has no objects"):
        find(MemoryListing({}))


def test_only_the_parts_of_what_is_chosen_should_be_asked_for() -> None:
    listing = MemoryListing({f"{name}.raw": (f"{MD5}-3", 12 * MIB) for name in "abc"} | small("d.raw"))
    find(listing, "b.raw", "d.raw")
    assert listing.asked == ["b.raw"]


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("s3://bkt", ("bkt", "")),
        ("s3://bkt/", ("bkt", "")),
        ("s3://bkt/a/b/", ("bkt", "a/b")),
        ("s3://bkt//a", ("bkt", "a")),
    ],
)
def test_an_address_should_name_a_bucket_and_a_prefix(address: str, place: tuple[str, str]) -> None:
    assert parse_listing_address(address) == ListedPlace(bucket_name=place[0], prefix=place[1])


@pytest.mark.parametrize("address", ["s3://", "s3:///a", "s3://b c", "s3://bkt/a//b", "s3://bkt/ a"])
def test_an_address_that_names_none_should_be_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="--catalog s3://"):
        parse_listing_address(address)


def test_a_backup_should_come_back_to_the_folder_that_its_key_names() -> None:
    site = SiteConfig(output_location="/backup", backup_location="/backup")
    plan = plan_of(find(MemoryListing(small("astral1/2025_01/f.raw", "a.raw"))), site)
    by_id = {raw_file.raw_file_id: raw_file for raw_file in plan.raw_files}
    assert by_id["f.raw"].destination_base == "/backup/astral1/2025_01"
    assert "no instrument_id" in str(by_id["a.raw"].error)


# --- part sizes


@given(size=st.integers(1, 60_000 * MIB), chunk=st.sampled_from([1, 5, 7, 100, 500, 5120]))
def test_a_part_size_that_s3_tells_should_be_taken(size: int, chunk: int) -> None:
    parts = part_count(size, chunk * MIB)
    first_part = min(size, chunk * MIB)
    found, note = find_part_size_mb(Etag(MD5, parts), size, first_part if parts > 1 else None)
    assert note is None
    assert part_count(size, found * MIB) == parts
    assert parts == 1 or found == chunk


@given(size=st.integers(1, 60_000 * MIB), chunk=st.sampled_from([100, 500]))
def test_a_part_size_that_s3_does_not_tell_should_fit_or_stay_open(size: int, chunk: int) -> None:
    etag = Etag(MD5, part_count(size, chunk * MIB))
    for told in (None, size, 0, 3):  # servers that know no parts give the whole size, or nonsense
        with suppress(ValueError):  # it stays open
            found, _ = find_part_size_mb(etag, size, told)
            assert part_count(size, found * MIB) == etag.parts


def test_files_whose_part_size_stays_open_should_be_errors_of_their_own() -> None:
    objects = {
        "told.raw": (f"{MD5}-3", 11 * MIB),
        "inferred.raw": (f"{MD5}-41", 20_300 * MIB),
        "open.raw": (f"{MD5}-2", 10 * MIB),
        "odd.raw": (f"{MD5}-2", 10 * MIB),
        "kms.raw": ("not-an-md5", 5),
        "one.raw": (f"{MD5}-1", 7 * MIB),
    }
    listing = MemoryListing(objects, {"told.raw": 5 * MIB, "odd.raw": 6 * MIB + 1})
    entries = {record.raw_file_id: record.entries[0] for record in find(listing).records}

    def chunk_of(name: str) -> tuple[int, bool]:
        entry = entries[name]
        assert isinstance(entry, FileInfoEntry)
        return entry.chunk_size_mb, bool(entry.notes)

    def reason_of(name: str) -> str:
        entry = entries[name]
        assert isinstance(entry, UnusableEntry)
        return entry.reason

    assert chunk_of("told.raw") == (5, False)
    assert chunk_of("inferred.raw") == (500, True)
    assert chunk_of("one.raw") == (7, False)
    assert "and 2 of 10,485,760 bytes may have 5 to 9 MB each" in reason_of("open.raw")
    assert "its parts have 6,291,457 bytes, not a whole number of MiB" in reason_of("odd.raw")
    assert "malformed etag 'not-an-md5'" in reason_of("kms.raw")
    assert plan_of(find(listing)).has_errors()
