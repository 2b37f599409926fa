import hashlib
import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from needs import needs_compiler

from applier.disk.compiled import md5_lanes
from applier.disk.compiled.md5_lanes import Md5Lanes, best_md5, load_library

SOURCE = Path(md5_lanes.__file__).with_suffix(".c")
only_x86_64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="the library is for x86-64")
# lengths around a block of 64 bytes, and around the place where its padding needs a second one
PIECE = st.one_of(st.sampled_from([1, 55, 56, 63, 64, 65, 119, 120, 128]), st.integers(1, 500)).flatmap(
    lambda size: st.binary(min_size=size, max_size=size)
)
ROUND = st.lists(PIECE, min_size=1, max_size=16)


def compiled(source: Path, library: Path) -> Path:
    flags = ["-O1", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror", f"-I{SOURCE.parent}"]
    subprocess.run(
        [str(shutil.which("cc")), *flags, "-o", library, source, SOURCE.with_name("small_files.c")], check=True
    )
    return library


def digests_of(md5: Md5Lanes, rounds: Sequence[Sequence[bytes]]) -> list[bytes]:
    """Feed stream i the i-th piece of each round that has so many."""
    streams = [md5.start() for _ in max(rounds, key=len, default=())]
    for pieces in rounds:
        for first in range(0, len(pieces), md5.lanes):
            some = [memoryview(bytearray(piece)) for piece in pieces[first : first + md5.lanes]]
            md5.update(streams[first : first + len(some)], some)
    return [stream.digest() for stream in streams]


@pytest.mark.parametrize("md5", [best_md5(), Md5Lanes(None)], ids=["best", "hashlib"])
@given(rounds=st.lists(ROUND, max_size=4))
def test_streams_should_have_the_md5_of_all_their_pieces(md5: Md5Lanes, rounds: list[list[bytes]]) -> None:
    count = max(map(len, rounds), default=0)
    contents = [b"".join(pieces[stream] for pieces in rounds if stream < len(pieces)) for stream in range(count)]

    assert digests_of(md5, rounds) == [hashlib.md5(content).digest() for content in contents]


@pytest.mark.parametrize("lanes", range(1, 17))
def test_any_number_of_long_streams_should_be_right(lanes: int) -> None:
    contents = [bytes([lane]) * (70_000 + 1000 * lane) for lane in range(lanes)]

    assert digests_of(best_md5(), [contents]) == [hashlib.md5(content).digest() for content in contents]


@only_x86_64
@needs_compiler
def test_the_compiled_library_should_be_used_where_it_can_be_made() -> None:
    assert best_md5().lanes == 16 or "avx2" not in Path("/proc/cpuinfo").read_text(encoding="utf-8")


@only_x86_64
@needs_compiler
@pytest.mark.parametrize(
    ("right_code", "wrong_code"),
    [
        ("0xeb86d391", "0xeb86d390"),
        ("(states, lane_data, blocks);", "(states, lane_data, blocks - (count <= 8));"),
        ("(states, lane_data, blocks);", "(states, lane_data, blocks - (count > 8));"),
    ],
    ids=["everywhere", "few lanes", "many lanes"],
)
def test_a_miscompiled_library_should_not_be_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, right_code: str, wrong_code: str
) -> None:
    source, wrong = SOURCE.read_text(encoding="utf-8"), tmp_path / "wrong.c"
    assert source.count(right_code) == 1
    wrong.write_text(source.replace(right_code, wrong_code), encoding="utf-8")

    right, miscompiled = compiled(SOURCE, tmp_path / "right.so"), compiled(wrong, tmp_path / "wrong.so")

    assert load_library(miscompiled) is None
    assert "miscompiled" in caplog.text
    assert (load_library(right) is None) == (best_md5().lanes == 1)


def test_a_file_that_is_not_a_library_should_not_be_used(tmp_path: Path) -> None:
    text = tmp_path / "text.so"
    text.write_text("no library", encoding="utf-8")

    assert load_library(text) is None
    assert load_library(tmp_path / "missing.so") is None
