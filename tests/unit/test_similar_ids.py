"""Which known ids are near to one that is not known, the nearest first."""

from planner.catalog import MOST_SIMILAR, CatalogDocument
from planner.similar_ids import find_similar, nearest_ids

KNOWN = [{"_id": name} for name in ("20250115_hela.raw", "20250115_HELA_2.raw", "20250116_yeast.d", "sample.wiff", 5)]


def test_a_slip_of_the_pen_should_find_what_looks_alike_after_what_is_meant_more_surely() -> None:
    names = ["20250115_hlea.raw", "20250115_hela", "sample.wiff.scan", "20250116_yaest.d", "20250115_hela.RAW", "x"]
    assert nearest_ids(names, KNOWN) == {
        "20250115_hlea.raw": ("20250115_hela.raw", "20250115_HELA_2.raw"),
        "20250115_hela": ("20250115_HELA_2.raw", "20250115_hela.raw"),
        "sample.wiff.scan": ("sample.wiff",),
        "20250116_yaest.d": ("20250116_yeast.d",),
        "20250115_hela.RAW": ("20250115_hela.raw", "20250115_HELA_2.raw"),
    }


def test_of_many_that_resemble_a_name_only_some_should_be_ranked() -> None:
    known: list[CatalogDocument] = [*KNOWN, *({"_id": f"20250115_plasma_{number}.raw"} for number in range(5000))]
    found = list(find_similar(["20250115_plasma_x.raw", "SAMPLE.wiff"], known))
    assert len(found) == MOST_SIMILAR
    assert found[0] == {"_id": "sample.wiff"}
    assert list(find_similar([], known)) == []
