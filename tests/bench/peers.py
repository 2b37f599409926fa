"""What is run side by side: kraken-plan, its peers, and the AlphaKraken sequence. Each a command line."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

BIN = Path(sys.executable).parent
HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is to be restored in a case.

    Attributes:
        plan: the plan of the case's objects.
        bucket: their bucket.
        keys: what s5cmd and rclone copy: a key, or all below a prefix that ends in `/`.
        chunk_size_mb: of the upload's parts.
        etag: of the object, for a case of one object.
    """

    plan: Path
    bucket: str
    keys: str
    endpoint_url: str
    chunk_size_mb: int
    etag: str = ""


def kraken_plan(task: Task, output: Path) -> list[str]:
    """Verified, fsynced, reported."""
    command = [str(BIN / "kraken-plan"), "-q", "apply", str(task.plan), "--endpoint-url", task.endpoint_url]
    return [*command, "--output-root", str(output)]


def kraken_plan_shards(number: int, *options: str) -> Callable[[Task, Path], list[str]]:
    """As many applies at once, each of its part of the plan."""

    def command(task: Task, output: Path) -> list[str]:
        apply_each = [*kraken_plan(replace(task, plan=Path("{}")), output), *options]
        return ["xargs", "--arg-file", str(shard_list(task.plan, number)), "-P", str(number), "-I{}", *apply_each]

    return command


def shard_list(plan: Path, number: int) -> Path:
    """The file that names the parts of a plan, one a line."""
    return plan.with_suffix(f".{number}-shards")


def s5cmd(task: Task, output: Path) -> list[str]:
    """A bare copy; verifies nothing, syncs nothing."""
    source = f"s3://{task.bucket}/{task.keys}" + ("*" if task.keys.endswith("/") else "")
    return [str(BIN / "s5cmd"), "--log", "error", "--endpoint-url", task.endpoint_url, "cp", source, f"{output}/"]


def rclone(task: Task, output: Path) -> list[str]:
    """A bare copy; does not verify multipart objects."""
    remote = f":s3,provider=Other,env_auth=true,endpoint='{task.endpoint_url}':{task.bucket}/{task.keys}"
    streams = ["--transfers", "8", "--multi-thread-streams", "4"]
    return [str(BIN / "rclone"), "--config", "/dev/null", "-q", *streams, "copy", remote, str(output)]


def alphakraken_sequence(task: Task, output: Path) -> list[str]:
    """HEAD, download_fileobj, then one thread that reads the file again and hashes each chunk in memory, twice."""
    arguments = [task.endpoint_url, task.bucket, task.keys, str(output), str(task.chunk_size_mb), task.etag]
    return [sys.executable, str(HERE / "alphakraken_sequence.py"), *arguments]


def check_etag(task: Task, output: Path) -> list[str]:
    """A check of what a bare copy has left, on all cores."""
    return [sys.executable, str(HERE / "check_etag.py"), str(task.plan), str(output)]


def fsync(task: Task, output: Path) -> list[str]:  # noqa: ARG001  # as the others
    """What has a bare copy survive a power cut, but for its names."""
    return ["find", str(output), "-type", "f", "-exec", "sync", "{}", "+"]
