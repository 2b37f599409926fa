"""`make bench`: kraken-plan beside its peers, on one server in one run. Prints ratios of medians, taken pair by pair.

Machines are noisy, so nothing here passes or fails; the figures are to be read.
"""

import argparse
import hashlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from embedded_s3 import EmbeddedS3, embedded_s3
from peers import BIN, Task, alphakraken_sequence, check_etag, kraken_plan, rclone, s5cmd

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MIB = 1024 * 1024
BUCKET = "bench"
SMALL_OBJECTS, SMALL_BYTES = 3000, 64 * 1024

Command = Callable[[Task, Path], list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of one command: wall seconds, CPU seconds, peak memory in MiB."""

    wall_seconds: float
    cpu_seconds: float
    peak_mib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """Commands that run one after the other, timed as one; `again` keeps what an earlier run restored."""

    name: str
    commands: tuple[Command, ...]
    again: bool = False


OURS = Contestant(name="kraken-plan apply", commands=(kraken_plan,))
AGAIN = Contestant(name="kraken-plan apply, again", commands=(kraken_plan,), again=True)
S5CMD = Contestant(name="s5cmd, nothing verified", commands=(s5cmd,))
S5CMD_CHECKED = Contestant(name="s5cmd, then the etag", commands=(s5cmd, check_etag))
RCLONE = Contestant(name="rclone, nothing verified", commands=(rclone,))
SEQUENCE = Contestant(name="AlphaKraken sequence", commands=(alphakraken_sequence,))
BARE_MD5 = Contestant(name="bare MD5 on all cores", commands=(check_etag,), again=True)


def timed(command: list[str], environment: dict[str, str]) -> Run:
    """Run a command and return what the kernel counted for it."""
    measured = [sys.executable, str(Path(__file__).with_name("measured.py")), *command]
    counted = json.loads(subprocess.run(measured, env=environment, stdout=subprocess.PIPE, check=True).stdout)
    if counted.pop("exit_code") != 0:
        raise SystemExit(f"{' '.join(command)} failed")
    return Run(**counted)


def run_once(contestant: Contestant, task: Task, folder: Path, environment: dict[str, str]) -> Run:
    """Run a contestant into a folder of its own: never emptied before, for deleting has a price that comes later."""
    if not contestant.again:
        folder.mkdir()
    os.sync()
    runs = [timed(command(task, folder), environment) for command in contestant.commands]
    return Run(
        wall_seconds=sum(run.wall_seconds for run in runs),
        cpu_seconds=sum(run.cpu_seconds for run in runs),
        peak_mib=max(run.peak_mib for run in runs),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """How cases are run: so many counted rounds, below this folder, in this environment."""

    rounds: int
    folder: Path
    environment: dict[str, str]


def compare(title: str, task: Task, contestants: Iterable[Contestant], bench: Bench) -> None:
    """Run all contestants in turn, round by round, and print medians and ratios; the first is what others are to."""
    order = tuple(contestants)
    runs: dict[str, list[Run]] = {contestant.name: [] for contestant in order}
    for number in range(-1, bench.rounds):  # the first round warms up
        place = bench.folder / f"round-{number}"
        place.mkdir(parents=True)
        for contestant in order:
            mine = place / contestant.name.replace(" ", "-")
            if contestant.again:
                mine = place / ("twice" if contestant is AGAIN else "copied")
                mine.mkdir()
                first = kraken_plan if contestant is AGAIN else s5cmd
                timed(first(task, mine), bench.environment)
            run = run_once(contestant, task, mine, bench.environment)
            if number >= 0:
                runs[contestant.name].append(run)
        shutil.rmtree(place)
    print(f"\n{title}")
    ours = runs[order[0].name]
    for name, theirs in runs.items():
        ratios = [mine.wall_seconds / other.wall_seconds for mine, other in zip(ours, theirs, strict=True)]
        wall = statistics.median(run.wall_seconds for run in theirs)
        cpu = statistics.median(run.cpu_seconds for run in theirs)
        peak = max(run.peak_mib for run in theirs)
        ratio = f"{statistics.median(ratios):5.2f} ({min(ratios):.2f}-{max(ratios):.2f})" if theirs is not ours else ""
        print(f"  {name:28} {wall:7.2f} s  {cpu:6.2f} CPU s  {peak:6.0f} MiB   {ratio}", flush=True)


def upload_object(client: "S3Client", folder: Path, key: str, size_bytes: int, chunk_size_mb: int) -> Task:
    """Upload an object of random bytes in parts and write its plan."""
    chunk_size = chunk_size_mb * MIB
    if size_bytes <= chunk_size:
        content = os.urandom(size_bytes)
        client.put_object(Bucket=BUCKET, Key=key, Body=content)
        etag = hashlib.md5(content).hexdigest()
    else:
        upload = client.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
        digests, parts = [], []
        for number, start in enumerate(range(0, size_bytes, chunk_size), 1):
            content = os.urandom(min(chunk_size, size_bytes - start))
            digests.append(hashlib.md5(content).digest())
            answer = client.upload_part(Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=number, Body=content)
            parts.append({"ETag": answer["ETag"], "PartNumber": number})
        client.complete_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})  # type: ignore[typeddict-item]  # the stubs want their own type
        etag = f"{hashlib.md5(b''.join(digests)).hexdigest()}-{len(digests)}"
    return write_plan(client, folder, key, [(key, size_bytes, etag)], chunk_size_mb)


def upload_small_objects(client: "S3Client", folder: Path) -> Task:
    """Upload many small objects and write their plan."""

    def upload(number: int) -> tuple[str, int, str]:
        content = os.urandom(SMALL_BYTES)
        client.put_object(Bucket=BUCKET, Key=f"small/{number}", Body=content)
        return f"small/{number}", SMALL_BYTES, hashlib.md5(content).hexdigest()

    with ThreadPoolExecutor(8) as pool:
        return write_plan(client, folder, "small/", list(pool.map(upload, range(SMALL_OBJECTS))), 100)


def write_plan(
    client: "S3Client", folder: Path, keys: str, objects: list[tuple[str, int, str]], chunk_size_mb: int
) -> Task:
    """Write the plan of objects: key, size, etag."""
    files = [
        {
            "relative_path": Path(key).name,
            "s3_key": key,
            "expected_etag": etag,
            "chunk_size_mb": chunk_size_mb,
            "expected_size": size_bytes,
            "absolute_dest_path": f"/restore/{Path(key).name}",
        }
        for key, size_bytes, etag in objects
    ]
    raw_file = {"project_id": None, "destination_base": "/restore", "bucket_name": BUCKET, "files": files}
    plan = folder / f"{keys.strip('/')}.json"
    endpoint_url = client.meta.endpoint_url
    document = {
        "format_version": "1.0",
        "s3": {"region": client.meta.region_name, "endpoint_url": endpoint_url},
        "output_location": "/restore",
        "raw_files": {"bench": raw_file},
    }
    plan.write_text(json.dumps(document), encoding="utf-8")
    etag = objects[0][2] if len(objects) == 1 else ""
    return Task(plan=plan, bucket=BUCKET, keys=keys, endpoint_url=endpoint_url, chunk_size_mb=chunk_size_mb, etag=etag)


def run_cases(server: EmbeddedS3, folder: Path, rounds: int) -> None:
    """Upload what is needed and run all cases."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "AWS_REGION": server.region, **server.environment}
    bench = Bench(rounds=rounds, folder=folder / "restored", environment=environment)
    with closing(server.client()) as client:
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        large = upload_object(client, folder, "large.raw", 1536 * MIB, 100)
        one_part = upload_object(client, folder, "one-part.raw", 400 * MIB, 500)
        small = upload_small_objects(client, folder)
    compare("1.5 GiB in parts of 100 MiB", large, (OURS, S5CMD, S5CMD_CHECKED, RCLONE, SEQUENCE), bench)
    compare("400 MiB in one part", one_part, (OURS, S5CMD, S5CMD_CHECKED), bench)
    compare("3,000 objects of 64 KiB", small, (OURS, S5CMD, RCLONE), bench)
    compare("1.5 GiB, restored before", large, (AGAIN, BARE_MD5), bench)


def main() -> None:
    """Read the command line, say what runs where, and run."""
    parser = argparse.ArgumentParser(description="kraken-plan beside its peers; ratios are kraken-plan / other")
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds of each case (default 5)")
    rounds = parser.parse_args().rounds
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores")
    for command in (["kraken-plan", "--version"], ["s5cmd", "version"], ["rclone", "version"], ["weed", "version"]):
        program = BIN / command[0]
        said = subprocess.run([program, *command[1:]], capture_output=True, encoding="utf-8", check=False).stdout
        print(f"{command[0]}: {said.splitlines()[0] if said else '?'}")
    print("columns: median wall, median CPU of the client, peak memory, kraken-plan / this one: median (min-max)")
    with tempfile.TemporaryDirectory(prefix="kraken-plan-bench-") as name:
        folder = Path(name)
        (folder / "s3").mkdir()
        with embedded_s3(folder / "s3") as server:
            run_cases(server, folder, rounds)


if __name__ == "__main__":
    main()
