"""Made-up instrument data, backed up and catalogued the way AlphaKraken does it.

Uses nothing of kraken-plan: the etags computed here are what the tests hold against its own.
"""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from boto3.s3.transfer import TransferConfig
from bson import json_util

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MIB = 1024 * 1024
DEMO_CHUNK_SIZE_MB = 5  # the smallest part that S3 takes

Document = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class RawFileSample:
    """One raw file on the instrument's disk: relative path -> content.

    Attributes:
        prefix: Key prefix within the project's bucket; AlphaKraken uses one where a raw file is several files.
        chunk_sizes_mb: Chunk size of files that were not uploaded with `chunk_size_mb`.
        backup_status: AlphaKraken's word for how its last upload ended.
    """

    raw_file_id: str
    project_id: str
    contents: Mapping[str, bytes]
    prefix: str = ""
    chunk_size_mb: int = DEMO_CHUNK_SIZE_MB
    chunk_sizes_mb: Mapping[str, int] = field(default_factory=dict)
    backup_status: str = "upload_done"

    def chunk_size_mb_of(self, relative_path: str) -> int:
        """The chunk size that this file was uploaded with."""
        return self.chunk_sizes_mb.get(relative_path, self.chunk_size_mb)


def demo_raw_files() -> tuple[RawFileSample, ...]:
    """A Thermo, a Bruker and a Sciex raw file of two projects, about 43 MB; the same bytes every time."""
    bruker = {
        "analysis.tdf_bin": 14 * MIB + 3,
        "analysis.tdf": 6 * MIB,
        "SampleInfo.xml": 1_234,
        "chromatography.lock": 0,
    }
    bruker |= {f"4321.m/settings_{number:02}.xml": 700 + 311 * number for number in range(12)}
    sciex = {
        "20250117_plasma.wiff": 1 * MIB,
        "20250117_plasma.wiff2": 300_000,
        "20250117_plasma.wiff.scan": 2 * 5 * MIB,
    }
    return (
        RawFileSample(
            raw_file_id="20250115_hela.raw",
            project_id="PRID001",
            contents={"20250115_hela.raw": made_up_bytes("hela", 12 * MIB)},
        ),
        RawFileSample(
            raw_file_id="20250116_yeast.d",
            project_id="PRID001",
            contents={f"20250116_yeast.d/{name}": made_up_bytes(name, size) for name, size in bruker.items()},
        ),
        RawFileSample(
            raw_file_id="20250117_plasma.wiff",
            project_id="PRID002",
            contents={name: made_up_bytes(name, size) for name, size in sciex.items()},
            prefix="20250117_plasma.wiff",
            backup_status="upload_failed",
        ),
    )


def made_up_bytes(seed: str, size_bytes: int) -> bytes:
    """Incompressible bytes, the same for the same seed."""
    return hashlib.shake_256(seed.encode()).digest(size_bytes)


def write_sample(sample: RawFileSample, folder: Path) -> None:
    """Lay the raw file's files out below a folder, as on the instrument's disk."""
    for relative_path, content in sample.contents.items():
        path = folder / relative_path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def create_versioned_bucket(client: "S3Client", bucket: str) -> None:
    """Make a bucket that keeps old versions of its objects, as AlphaKraken's do."""
    with suppress(client.exceptions.BucketAlreadyOwnedByYou):
        client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def upload_as_alphakraken(client: "S3Client", bucket: str, key: str, path: Path, chunk_size_mb: int) -> None:
    """Upload in parts of the chunk size, from exactly one chunk on.

    boto3 raises part sizes under 5 MB to 5 MB on its own, so smaller chunks do not give the etag that they should.
    """
    chunk_size = chunk_size_mb * MIB
    config = TransferConfig(multipart_threshold=chunk_size, multipart_chunksize=chunk_size)
    client.upload_file(str(path), bucket, key, Config=config)


def file_info_entry(path: Path, chunk_size_mb: int) -> list[int | str]:
    """What AlphaKraken notes of one file: size, MD5 of the whole, and `<etag>__<chunk_size_mb>`."""
    content = path.read_bytes()
    md5 = hashlib.md5(content).hexdigest()
    return [len(content), md5, f"{etag_of(content, chunk_size_mb)}__{chunk_size_mb}"]


def etag_of(content: bytes, chunk_size_mb: int) -> str:
    """The etag in the catalog's form: the bare MD5 up to and including one chunk, the MD5 of MD5s beyond."""
    chunk_size = chunk_size_mb * MIB
    if len(content) <= chunk_size:
        return hashlib.md5(content).hexdigest()
    parts = [content[start : start + chunk_size] for start in range(0, len(content), chunk_size)]
    return hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts)).hexdigest() + f"-{len(parts)}"


def raw_file_document(sample: RawFileSample, *, bucket: str, source_folder: Path, number: int = 0) -> Document:
    """The catalog's document of a raw file, with the fields around those that a restore needs.

    Args:
        sample: The raw file, which `write_sample` laid out below `source_folder`.
        bucket: The project's bucket.
        source_folder: Where its files are.
        number: How many were acquired before it; shifts the dates.
    """
    acquired_at = datetime(2025, 1, 15, 8, 30, tzinfo=UTC) + timedelta(hours=number)
    return {
        "_id": sample.raw_file_id,
        "_cls": "RawFile",
        "original_name": sample.raw_file_id,
        "collision_flag": None,
        "project_id": sample.project_id,
        "instrument_id": "astral1",
        "status": "done",
        "size": float(sum(map(len, sample.contents.values()))),
        "file_info": {
            relative_path: file_info_entry(source_folder / relative_path, sample.chunk_size_mb_of(relative_path))
            for relative_path in sample.contents
        },
        "backup_base_path": "/fs/pool/pool-backup/astral1/2025_01",
        "backup_status": sample.backup_status,
        "s3_upload_path": f"s3://{bucket}/{sample.prefix}/" if sample.prefix else f"s3://{bucket}",
        "created_at": acquired_at,
        "created_at_": acquired_at + timedelta(minutes=1),
        "updated_at_": acquired_at + timedelta(minutes=40),
    }


def back_up(client: "S3Client", sample: RawFileSample, *, bucket: str, source_folder: Path) -> None:
    """Upload every file of a raw file to where its catalog document says."""
    for relative_path in sample.contents:
        key = f"{sample.prefix}/{relative_path}" if sample.prefix else relative_path
        chunk_size_mb = sample.chunk_size_mb_of(relative_path)
        upload_as_alphakraken(client, bucket, key, source_folder / relative_path, chunk_size_mb)


def write_export(path: Path, documents: Sequence[Document]) -> None:
    """Write what `mongoexport --collection raw_file` writes: a line of relaxed extended JSON for each document."""
    lines = [json_util.dumps(document, json_options=json_util.RELAXED_JSON_OPTIONS) for document in documents]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def write_site_yaml(path: Path, *, output_location: Path, region: str, endpoint_url: str | None = None) -> None:
    """Write an `alphakraken.<env>.yaml`, other programs' settings included."""
    s3 = {"region": region, "bucket_prefix": "alphakraken"}
    if endpoint_url is not None:
        s3["endpoint_url"] = endpoint_url
    site = {
        "general": {
            "institute": "Demo Institute",
            "timezone": "Europe/Berlin",
            "notifications": {
                "ops_alerts_webhook_url": "http://127.0.0.1:9/ops-alerts",
                "business_alerts_webhook_url": "http://127.0.0.1:9/business-alerts",
            },
        },
        "locations": {
            "general": {"mounts_path": "/opt/mounts"},
            "backup": {"absolute_path": "/fs/pool/pool-backup"},
            "settings": {"absolute_path": "/fs/pool/pool-0/settings"},
            "output": {"absolute_path": str(output_location)},
            "slurm": {"absolute_path": "/fs/home/kraken/slurm"},
        },
        "instruments": {"astral1": {"type": "thermo", "username": "kraken"}, "tims2": {"type": "bruker"}},
        "backup": {"backup_type": "s3", "s3": s3},
        "job_engines": {"slurm": {"queue": "p.lab"}},
    }
    path.write_text(yaml.safe_dump(site, sort_keys=False), encoding="utf-8")
