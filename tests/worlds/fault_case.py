"""What the tests of the scorecard's rows share: many files at once, and the one check that every fault must pass."""

from collections.abc import Mapping
from pathlib import Path

from network_faults import Answer
from restore_case import RestoreCase, raw_file
from sample_data import RawFileSample, made_up_bytes


def many_files(count: int, size_bytes: int = 1000) -> RawFileSample:
    """A raw file of so many files: `many.d/000`, `many.d/001` …"""
    names = [f"many.d/{number:03}" for number in range(count)]
    return raw_file("many.d", {name: (made_up_bytes(name, size_bytes), 5) for name in names})


def final_paths(case: RestoreCase) -> dict[Path, bytes]:
    """Every final path of the case, with the bytes that belong there."""
    return {
        case.destination(sample.project_id) / relative_path: content
        for sample in case.raw_files
        for relative_path, content in sample.contents.items()
    }


def plant_old_files(case: RestoreCase) -> dict[Path, bytes]:
    """Put other bytes under every final name, and return them."""
    old = {path: b"old " + path.name.encode() for path in final_paths(case)}
    for path, content in old.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return old


def assert_old_or_right(case: RestoreCase, exit_code: int, old: Mapping[Path, bytes] | None = None) -> None:
    """The promise: under a final name is nothing, what was there before or what the plan says; 0 means: the latter.

    What was there before and is no longer is kept beside it.

    Args:
        case: What is restored.
        exit_code: How the run ended.
        old: What was there before the run.
    """
    for path, right in final_paths(case).items():
        before = (old or {}).get(path)
        found = path.read_bytes() if path.exists() else None
        assert found in (None, before, right), f"{path.name}: neither the old nor the right bytes: {found!r:.80}"
        if found is None and before is not None:
            assert path.with_name(f"{path.name}.corrupted").read_bytes() == before
    assert exit_code != 0 or case.unrestored() == [], "exit code 0, and not everything is right"


def whole_object(content: bytes, etag: str, **headers: str) -> Answer:
    """The answer to a GET of all of an object, in one range."""
    content_range = f"bytes 0-{len(content) - 1}/{len(content)}"
    return Answer(status=206, body=content, headers={"ETag": f'"{etag}"', "Content-Range": content_range, **headers})
