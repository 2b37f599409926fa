"""Tries what kraken-plan and its peers notice of damage, and what a kill leaves; prints a line for each.

`what_peers_notice.py [AWS]`: AWS is the `aws` program, which is not among the project's own dependencies.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from embedded_s3 import EmbeddedS3, embedded_s3
from faulty_proxy import FaultyProxy
from network_faults import Drip, Fault, Flip
from peers import BIN
from sample_data import (
    MIB,
    RawFileSample,
    back_up,
    create_versioned_bucket,
    made_up_bytes,
    raw_file_document,
    write_export,
    write_sample,
)

BUCKET = "alphakraken-peers"
SIZE_BYTES = 96 * MIB
SAMPLES = (
    RawFileSample(raw_file_id="parts.raw", project_id="P", contents={"parts.raw": made_up_bytes("parts", SIZE_BYTES)}),
    RawFileSample(raw_file_id="one.raw", project_id="P", contents={"one.raw": made_up_bytes("one", 4 * MIB)}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A program that restores the bucket below a folder; `arguments` are given the endpoint and the folder."""

    name: str
    arguments: Callable[[str, Path], list[str]]
    folder: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """What every trial needs."""

    folder: Path
    proxy: FaultyProxy
    environment: Mapping[str, str]

    def run(self, peer: Peer, output: Path) -> int:
        """Run a peer to its end, and return its exit code."""
        command = peer.arguments(self.proxy.endpoint_url, output)
        done = subprocess.run(command, env=dict(self.environment), capture_output=True, timeout=300, check=False)
        return done.returncode


def peers(plan: Path, aws: str | None) -> list[Peer]:
    """The programs, each as one would call it to restore a bucket, once or repeatedly."""
    found = [
        Peer(
            name="kraken-plan apply",
            arguments=lambda url, output: [
                *(str(BIN / "kraken-plan"), "-q", "apply", str(plan), "--jobs", "4"),
                *("--endpoint-url", url, "--output-root", str(output)),
            ],
            folder="P",
        ),
        Peer(
            name="s5cmd cp",
            arguments=lambda url, output: [
                *(str(BIN / "s5cmd"), "--endpoint-url", url, "cp", f"s3://{BUCKET}/*", f"{output}/"),
            ],
        ),
        Peer(
            name="s5cmd sync",
            arguments=lambda url, output: [
                *(str(BIN / "s5cmd"), "--endpoint-url", url, "sync", f"s3://{BUCKET}/*", f"{output}/"),
            ],
        ),
        Peer(
            name="rclone copy",
            arguments=lambda url, output: [
                *(str(BIN / "rclone"), "--config", "/dev/null", "copy"),
                *(f":s3,provider=Other,env_auth=true,endpoint='{url}':{BUCKET}", str(output)),
            ],
        ),
        Peer(
            name="rclone copy --checksum",
            arguments=lambda url, output: [
                *(str(BIN / "rclone"), "--config", "/dev/null", "copy", "--checksum"),
                *(f":s3,provider=Other,env_auth=true,endpoint='{url}':{BUCKET}", str(output)),
            ],
        ),
    ]
    if aws is not None:
        found.append(
            Peer(
                name="aws s3 sync",
                arguments=lambda url, output: [aws, "--endpoint-url", url, "s3", "sync", f"s3://{BUCKET}", str(output)],
            )
        )
    return found


def is_right(path: Path, name: str) -> str:
    """Whether a restored file is there and right, in a word."""
    if not path.exists():
        return "absent"
    content = next(sample.contents[name] for sample in SAMPLES if name in sample.contents)
    return "right" if path.read_bytes() == content else "WRONG"


def flip_in_transit(lab: Lab, peer: Peer) -> str:
    """One bit of each object is flipped on its way, once."""
    lab.proxy.clear()
    for name in ("parts.raw", "one.raw"):
        lab.proxy.add(Fault(action=Flip(offset=1_000_000), key=name, times=1))
    output = _new_folder(lab)
    exit_code = lab.run(peer, output)
    states = [f"{name} {is_right(output / peer.folder / name, name)}" for name in ("parts.raw", "one.raw")]
    return f"exit {exit_code}, {', '.join(states)}"


def flip_on_disk(lab: Lab, peer: Peer) -> str:
    """A bit of each file flips on the disk, size and time stay, and the program is run again."""
    lab.proxy.clear()
    output = _new_folder(lab)
    lab.run(peer, output)
    for name in ("parts.raw", "one.raw"):
        path = output / peer.folder / name
        before = path.stat()
        with path.open("r+b") as file:
            file.seek(1_000_000)
            byte = file.read(1)
            file.seek(1_000_000)
            file.write(bytes([byte[0] ^ 1]))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    lab.proxy.clear()
    exit_code = lab.run(peer, output)
    states = [f"{name} {is_right(output / peer.folder / name, name)}" for name in ("parts.raw", "one.raw")]
    fetched = _fetched_bytes(lab, ".raw")
    return f"exit {exit_code}, {', '.join(states)}, {fetched / MIB:.0f} MiB fetched"


def kill_in_mid_run(lab: Lab, peer: Peer) -> str:
    """S3 is slow, the program is killed by kill -9 when it has half of the large object, and is run again."""
    lab.proxy.clear()
    lab.proxy.add(Fault(action=Drip(bytes_per_second=4 * MIB), method="GET", key="parts.raw"))
    output = _new_folder(lab)
    command = peer.arguments(lab.proxy.endpoint_url, output)
    process = subprocess.Popen(command, env=dict(lab.environment), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while _fetched_bytes(lab, "parts.raw") < SIZE_BYTES / 2:
        time.sleep(0.1)
    process.kill()
    process.wait()
    killed = is_right(output / peer.folder / "parts.raw", "parts.raw")
    others = sorted(path.name for path in output.rglob("*parts*") if path.name != "parts.raw")
    lab.proxy.clear()
    lab.run(peer, output)
    fetched = _fetched_bytes(lab, "parts.raw")
    after = is_right(output / peer.folder / "parts.raw", "parts.raw")
    return f"killed: {killed}, beside it {others or 'nothing'}; run again: {after}, {fetched / MIB:.0f} MiB fetched"


def _fetched_bytes(lab: Lab, key: str) -> int:
    return sum(exchange.sent_bytes for exchange in lab.proxy.requests("GET", key))


def _new_folder(lab: Lab) -> Path:
    return Path(tempfile.mkdtemp(dir=lab.folder))


def _make_plan(folder: Path, server: EmbeddedS3) -> Path:
    with closing(server.client()) as client:
        create_versioned_bucket(client, BUCKET)
        documents = []
        for sample in SAMPLES:
            write_sample(sample, folder / "instrument")
            back_up(client, sample, bucket=BUCKET, source_folder=folder / "instrument")
            documents.append(raw_file_document(sample, bucket=BUCKET, source_folder=folder / "instrument"))
    write_export(folder / "catalog.jsonl", documents)
    plan = folder / "plan.json"
    command = [str(BIN / "kraken-plan"), "compile", "--project", "P", "--catalog", str(folder / "catalog.jsonl")]
    subprocess.run([*command, "--output-root", str(folder), "-o", str(plan)], check=True)
    return plan


def main() -> None:
    """Try everything with everybody."""
    aws = sys.argv[1] if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with embedded_s3(folder / "s3") as server, FaultyProxy(server.port) as proxy:
            plan = _make_plan(folder, server)
            environment = {"PATH": os.environ["PATH"], "HOME": name, **server.environment}
            lab = Lab(folder=folder, proxy=proxy, environment=environment)
            for trial in (flip_in_transit, flip_on_disk, kill_in_mid_run):
                print(f"\n{trial.__doc__}")
                for peer in peers(plan, aws):
                    print(f"  {peer.name:24} {trial(lab, peer)}", flush=True)


if __name__ == "__main__":
    main()
