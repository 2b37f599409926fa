"""Small files that are looked at together: right ones are seen at once, anything else is left to the usual way."""

import hashlib
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from listed_bucket import Listing
from preloaded import preloaded

from applier.disk.compiled import small_files
from applier.disk.compiled.md5_lanes import best_md5
from applier.disk.file_identity import file_identity
from applier.disk.folders import OutputFolder, open_output_location
from applier.disk.hashing import LARGEST_TOGETHER_BYTES, hash_small_files, md5_lanes
from applier.restore.crew import Crew
from applier.restore.decide import LocalKind
from applier.restore.find_object import is_listed_as_planned
from applier.restore.progress import Progress
from applier.restore.small_files import (
    group_small_files,
    look_at_small_files,
    most_absent_together,
    most_listed_together,
)
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


def test_small_files_should_be_hashed_together(output: OutputFolder, tmp_path: Path) -> None:
    sizes = {"1": 1, "63": 63, "64": 64, "65": 65, "1000": 1000, "most": LARGEST_TOGETHER_BYTES, "cut": 7, "empty": 0}
    contents = {name: os.urandom(size) for name, size in sizes.items()}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content if name != "cut" else content[:-1])
    files = [*sizes.items(), ("absent", 1), ("ünïcode", 1)]
    (tmp_path / "ünïcode").write_bytes(b"u")
    seen = hash_small_files(output.descriptor, files)
    expected = [
        None
        if name in {"cut", "absent"}
        else (file_identity((tmp_path / name).stat()), hashlib.md5(contents.get(name, b"u")).digest())
        for name, _ in files
    ]
    assert seen == (expected if md5_lanes() > 1 else [None] * len(files))


def test_small_files_of_many_folders_should_be_hashed_in_one_call(output: OutputFolder, tmp_path: Path) -> None:
    # given more files than there are lanes; folder by folder, and going back and forth between them
    folders = ["", "a/", "a/b/", "a/b/c/", f"{'n' * 255}/"]
    paths = [f"{folder}{number}" for folder in folders for number in range(10)]
    paths += [f"{folder}{number}" for number in range(3) for folder in folders]
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    open_files = len(list(Path("/proc/self/fd").iterdir()))

    # when
    seen = hash_small_files(output.descriptor, [(path, len(path)) for path in paths])

    # then each is hashed, and no folder stays open
    digests = [file and file[1] for file in seen]
    assert digests == [hashlib.md5(path.encode()).digest() if md5_lanes() > 1 else None for path in paths]
    assert len(list(Path("/proc/self/fd").iterdir())) == open_files


def test_small_files_should_be_hashed_as_they_fit_in_the_buffer(tmp_path: Path) -> None:
    sizes = [7, 3, 5, 5, 11, 10, 1, 9]
    for number, size in enumerate(sizes):
        (tmp_path / str(number)).write_bytes(bytes([number]) * size)
    with open_output_location(str(tmp_path)) as folder:
        files = [(str(number), size) for number, size in enumerate(sizes)]
        seen = small_files.hash_small_files(best_md5().library, folder.descriptor, files, memoryview(bytearray(10)))
    digests = [bytes(file.digest) if file.is_hashed else None for file in seen]
    expected = [hashlib.md5(bytes([number]) * size).digest() for number, size in enumerate(sizes)]
    assert digests == [*expected[:4], None, *expected[5:]] if md5_lanes() > 1 else [None] * len(sizes)


def test_small_files_should_not_be_reached_by_a_link(output: OutputFolder, tmp_path: Path) -> None:
    # given
    (tmp_path / "real" / "below").mkdir(parents=True)
    (tmp_path / "real" / "below" / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real" / "link").symlink_to("below")
    (tmp_path / "a_file").write_bytes(b"x")
    right = "real/below/file"
    others = [
        "link/below/file",
        "real/link/file",
        "absent/file",
        "a_file/file",
        f"{'n' * 256}/file",
        "real/below/file/",
    ]
    open_files = len(list(Path("/proc/self/fd").iterdir()))

    # when what is right stands between what cannot be opened
    paths = [path for other in others for path in (other, right)]
    seen = hash_small_files(output.descriptor, [(path, 1) for path in paths])

    # then
    if md5_lanes() > 1:
        assert [path for path, file in zip(paths, seen, strict=True) if file is not None] == [right] * len(others)
    assert len(list(Path("/proc/self/fd").iterdir())) == open_files


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


# A program that changes what has just been read, by its first byte; a change within one tick of the clock shows in no
# time, so it is repeated.
CHANGE_WHAT_IS_READ = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/stat.h>
#include <unistd.h>

ssize_t pread(int file, void *into, size_t size, off_t at) {
    ssize_t (*real)(int, void *, size_t, off_t) = dlsym(RTLD_NEXT, "pread");
    ssize_t count = real(file, into, size, at);
    struct stat before, now;
    fstat(file, &before);
    do {
        if (*(char *)into == 'c') fchmod(file, before.st_mode ^ S_IXOTH);
        fstat(file, &now);
    } while (*(char *)into == 'c' && now.st_ctim.tv_nsec == before.st_ctim.tv_nsec);
    return count;
}
"""
HASH_TWO = """
import os
from applier.disk.hashing import hash_small_files
print([file is not None for file in hash_small_files(os.open(".", os.O_RDONLY), [("changing", 1), ("right", 1)])])
"""


@pytest.mark.skipif(md5_lanes() == 1, reason="nothing is compiled: small files are looked at one by one")
def test_a_small_file_that_changes_while_it_is_read_should_be_left_to_a_second_look(tmp_path: Path) -> None:
    (tmp_path / "changing").write_bytes(b"c")
    (tmp_path / "right").write_bytes(b"r")
    environment = {"LD_PRELOAD": str(preloaded(CHANGE_WHAT_IS_READ, tmp_path))}
    command = [sys.executable, "-c", HASH_TWO]
    done = subprocess.run(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"[False, True]\n"


SHORT_READS = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <unistd.h>

ssize_t pread(int file, void *into, size_t size, off_t at) {
    static int calls;
    ssize_t (*real)(int, void *, size_t, off_t) = dlsym(RTLD_NEXT, "pread");
    if (++calls % 2) return errno = EINTR, -1;
    return real(file, into, size > 3 ? 3 : size, at);
}
"""
HASH_SHORT = """
import os
from applier.disk.hashing import hash_small_files
((_, digest),) = hash_small_files(os.open(".", os.O_RDONLY), [("ten", 10)])
print(digest.hex())
"""


@pytest.mark.skipif(md5_lanes() == 1, reason="nothing is compiled: small files are looked at one by one")
def test_a_small_file_that_is_read_piece_by_piece_should_be_hashed_whole(tmp_path: Path) -> None:
    (tmp_path / "ten").write_bytes(CONTENT)
    environment = {"LD_PRELOAD": str(preloaded(SHORT_READS, tmp_path))}
    command = [sys.executable, "-c", HASH_SHORT]
    done = subprocess.run(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, check=True)
    assert done.stdout.decode().strip() == ETAG


SLOW_READS = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>

ssize_t pread(int file, void *into, size_t size, off_t at) {
    ssize_t (*real)(int, void *, size_t, off_t) = dlsym(RTLD_NEXT, "pread");
    usleep(10000);
    return real(file, into, size, at);
}
"""
HASH_MANY = """
import os, sys
from applier.disk.hashing import hash_small_files

asked = []
def raise_if_stopped():
    asked.append(None)
    if sys.argv[1:] and len(asked) == 2:
        raise SystemExit("stopped")

seen = hash_small_files(os.open(".", os.O_RDONLY), [(str(number), 1) for number in range(64)], raise_if_stopped)
print(len(asked), sum(file is not None for file in seen))
"""


@pytest.mark.skipif(md5_lanes() == 1, reason="nothing is compiled: small files are looked at one by one")
def test_a_look_at_many_small_files_should_end_soon_where_the_file_system_is_slow(tmp_path: Path) -> None:
    for number in range(64):
        (tmp_path / str(number)).write_bytes(b"x")
    environment = {"LD_PRELOAD": str(preloaded(SLOW_READS, tmp_path))}
    command = [sys.executable, "-c", HASH_MANY]
    done = subprocess.run(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"3 64\n"  # a round of 16 takes 160 ms
    stopped = subprocess.run([*command, "stop"], env=environment, cwd=tmp_path, stderr=subprocess.PIPE, check=False)
    assert stopped.stderr == b"stopped\n"
    quick = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, check=True)
    assert quick.stdout.endswith(b" 64\n")


def test_small_files_should_be_grouped_by_whether_they_are_listed_as_planned_and_others_by_folder() -> None:
    names = [f"{number:03}" for number in range(400)]
    store = Listing(names[:-50], etag=ETAG, size_bytes=len(CONTENT))
    ahead = ObjectsAhead(Fetcher(store=store, retry=RetryPolicy(attempts=1), stop=threading.Event()))
    unlike = {
        "100": target("100", etag="0" * 32),
        "101": target("101", size_bytes=None),
        "200": replace(target("200"), folder="another"),
        "210": replace(target("210"), destination="another"),
        "380": replace(target("380"), folder="another"),
        "390": replace(target("390"), destination="another"),
    }
    targets = [([number], unlike.get(name) or target(name)) for number, name in enumerate(names)]
    groups: list[tuple[bool, list[str]]] = []
    for listed, group in group_small_files(
        ahead.look_ahead(targets, location_of),
        lambda one: is_listed_as_planned(one, ahead),
        most_listed=40,
        most_absent=3,
    ):
        groups.append((listed, [one.name for _, one in group]))
        for _, one in group:
            ahead.listed(one.location)
    assert sorted(name for _, group in groups for name in group) == names
    assert max(len(group) for listed, group in groups if listed) == 40
    assert max(len(group) for listed, group in groups if not listed) == 3
    listed_names = {name for listed, group in groups if listed for name in group}
    assert {"050", "300"} <= listed_names
    assert not listed_names & {"000", "100", "101", "399"}
    assert any(listed and len(group) > 1 and "200" in group for listed, group in groups)
    for alone in ("101", "380", "390"):
        assert (False, [alone]) in groups


@pytest.mark.parametrize(
    ("files", "threads", "together"), [(5, 40, 1), (159, 40, 1), (160, 40, 2), (160, 128, 2), (10**6, 40, 10**6)]
)
def test_small_files_should_keep_all_threads_busy(files: int, threads: int, together: int) -> None:
    assert most_absent_together(files, threads) == min(together, md5_lanes())
    assert most_listed_together(files, threads) == (min(together, 64) if md5_lanes() > 1 else 1)
