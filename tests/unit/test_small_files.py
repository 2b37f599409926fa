"""Small files that are looked at together: right ones are seen at once, anything else is left to the usual way."""

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from listed_bucket import Listing

from applier.disk.folders import OutputFolder
from applier.disk.hashing import hash_small_files, md5_lanes, small_file_bytes
from applier.restore.check_file import group_small_files, look_at_small_files
from applier.restore.crew import Crew
from applier.restore.decide import LocalKind
from applier.restore.progress import Progress
from applier.restore.tools import CheckTools
from applier.s3.fetcher import Fetcher, RetryPolicy
from applier.s3.lists.objects_ahead import ObjectsAhead
from applier.target import Target, location_of
from schemas.plan import PlannedFile
from schemas.s3_location import ObjectLocation

CONTENT = b"some bytes"
ETAG = hashlib.md5(CONTENT).hexdigest()


def target(name: str, *, etag: str = ETAG, size_bytes: int | None = len(CONTENT)) -> Target:
    file = PlannedFile(relative_path=name, s3_key=name, expected_etag=etag, chunk_size_mb=5, expected_size=size_bytes)
    location = ObjectLocation(bucket_name="b", key=name)
    return Target(file=file, location=location, destination="", folder="", name=name)


def test_small_files_should_be_hashed_together(tmp_path: Path) -> None:
    sizes = [1, 63, 64, 65, 1000, small_file_bytes(), 0, 7]
    contents = [os.urandom(size) for size in sizes]
    paths = [tmp_path / str(number) for number in range(len(sizes))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    paths[-1].write_bytes(b"")  # which was cut meanwhile

    def open_in_turn(numbers: range) -> Iterator[tuple[int, int]]:
        for number in numbers:
            descriptor = os.open(paths[number], os.O_RDONLY)
            yield descriptor, sizes[number]
            os.close(descriptor)  # many at once could be too many

    digests: list[bytes | None] = []
    for first in range(0, len(sizes), md5_lanes()):
        digests += hash_small_files(open_in_turn(range(first, min(first + md5_lanes(), len(sizes)))))
    expected = [hashlib.md5(content).digest() for content in contents]
    assert digests == [*expected[:6], None, None]
    assert hash_small_files([(-1, 1)]) == [None]


def test_of_small_files_only_right_ones_should_be_recognised(output: OutputFolder, tmp_path: Path) -> None:
    for name in ("right", "one_part", "wrong"):
        (tmp_path / name).write_bytes(CONTENT if name != "wrong" else CONTENT[::-1])
    (tmp_path / "short").write_bytes(CONTENT[:-1])
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("right")
    one_part = f"{hashlib.md5(hashlib.md5(CONTENT).digest()).hexdigest()}-1"
    targets = [target(name) for name in ("right", "wrong", "short", "absent", "folder", "link")]
    fetcher = Fetcher(store=Listing([]), retry=RetryPolicy(attempts=1), stop=threading.Event())
    tools = CheckTools(
        output=output,
        fetcher=fetcher,
        ahead=ObjectsAhead(fetcher),
        crew=Crew(1, fetcher.stop),
        progress=Progress(),
    )
    seen = look_at_small_files([*targets, target("one_part", etag=one_part)], tools)
    assert {name: local.kind for name, local in seen.items()} == dict.fromkeys(("right", "one_part"), LocalKind.RIGHT)
    assert all(local.identity is not None for local in seen.values())
    assert look_at_small_files([target("right")], tools) == {}


def test_only_small_files_that_are_listed_as_planned_should_be_grouped() -> None:
    names = [f"{number:03}" for number in range(400)]
    store = Listing(names[:-50], etag=ETAG, size_bytes=len(CONTENT))
    ahead = ObjectsAhead(Fetcher(store=store, retry=RetryPolicy(attempts=1), stop=threading.Event()))
    unlike = {"100": target("100", etag="0" * 32), "101": target("101", size_bytes=None)}
    targets = [([number], unlike.get(name) or target(name)) for number, name in enumerate(names)]
    groups: list[list[str]] = []
    for group in group_small_files(ahead.look_ahead(targets, location_of), ahead):
        groups.append([one.name for _, one in group])
        for _, one in group:
            ahead.listed(one.location)
    together = {name for group in groups if len(group) > 1 for name in group}
    assert sorted(name for group in groups for name in group) == names
    assert max(map(len, groups)) == md5_lanes()
    if md5_lanes() > 1:
        assert {"050", "300"} <= together
    assert not together & {"000", "100", "101", "399"}
