"""The etags of a plan's restored files, their parts hashed on all cores: what verification alone costs.

Run as `check_etag.py PLAN FOLDER`, for a plan of one raw file.
"""

import hashlib
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

plan, folder = map(Path, sys.argv[1:])
(raw_file,) = json.loads(plan.read_bytes())["raw_files"].values()
files = raw_file["files"]


def digest_of(part: tuple[Path, int, int]) -> bytes:
    """The MD5 of a part: path, first offset, length."""
    path, start, left = part
    digest, buffer = hashlib.md5(), memoryview(bytearray(min(left, 1024 * 1024)))
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        while left:
            count = file.readinto(buffer[:left])
            digest.update(buffer[:count])
            left -= count
    return digest.digest()


def parts_of(file: dict[str, str | int]) -> list[tuple[Path, int, int]]:
    """The parts of a file of the plan."""
    size, chunk_size = int(file["expected_size"]), int(file["chunk_size_mb"]) * 1024 * 1024
    path = folder / str(file["relative_path"])
    return [(path, start, min(chunk_size, size - start)) for start in range(0, size, chunk_size)]


with ThreadPoolExecutor(os.cpu_count()) as pool:
    digests = pool.map(digest_of, [part for file in files for part in parts_of(file)])
    for file in files:
        own = [next(digests) for _ in parts_of(file)]
        many = hashlib.md5(b"".join(own)).hexdigest() + f"-{len(own)}"
        if file["expected_etag"] not in {many, own[0].hex()}:
            sys.exit(f"{file['relative_path']}: {many}, expected {file['expected_etag']}")
