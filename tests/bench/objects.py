"""What the cases restore: objects of random bytes and their plans, uploaded when a case first asks for them."""

import hashlib
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from peers import BIN, Task, shard_list

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MIB = 1024 * 1024
BUCKET = "bench"
SMALL_OBJECTS, SMALL_BYTES = 3000, 64 * 1024
MIXED_LARGE, MIXED_SMALL = 12, 1000
SHARDS = (1, 2, 4)


class Objects:
    """The tasks of all cases.

    Args:
        client: of a server on which nothing is yet.
        folder: where the plans go.
    """

    def __init__(self, client: "S3Client", folder: Path) -> None:
        self._client, self._folder = client, folder
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})

    @cached_property
    def large(self) -> Task:
        """1.5 GiB in parts of 100 MiB."""
        return self._upload("large.raw", 1536 * MIB, 100)

    @cached_property
    def two_gib(self) -> Task:
        """2 GiB in parts of 100 MiB."""
        return self._upload("two-gib.raw", 2048 * MIB, 100)

    @cached_property
    def one_part(self) -> Task:
        """400 MiB in one part."""
        return self._upload("one-part.raw", 400 * MIB, 500)

    @cached_property
    def small(self) -> Task:
        """3,000 objects of 64 KiB."""
        return self._task("small/", self._upload_small("small/", SMALL_OBJECTS), 100)

    @cached_property
    def mixed(self) -> Task:
        """12 objects of 64 MiB in parts of 16 MiB and 1,000 of 64 KiB; the plan is split, too."""
        chunk_size = 16 * MIB
        names = [f"mixed/large-{number}" for number in range(MIXED_LARGE)]
        objects = [(name, 64 * MIB, self._upload_parts(name, 64 * MIB, chunk_size)) for name in names]
        task = self._task("mixed/", [*objects, *self._upload_small("mixed/", MIXED_SMALL)], 16)
        for number in SHARDS:
            command = [str(BIN / "kraken-plan"), "-q", "split", str(task.plan), "-n", str(number)]
            shard_list(task.plan, number).write_bytes(
                subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
            )
        return task

    def _upload_small(self, prefix: str, count: int) -> list[tuple[str, int, str]]:
        def upload(number: int) -> tuple[str, int, str]:
            content = os.urandom(SMALL_BYTES)
            self._client.put_object(Bucket=BUCKET, Key=f"{prefix}{number:05}", Body=content)
            return f"{prefix}{number:05}", SMALL_BYTES, hashlib.md5(content).hexdigest()

        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(upload, range(count)))

    def _upload(self, key: str, size_bytes: int, chunk_size_mb: int) -> Task:
        """Upload an object, in parts if it is larger than one."""
        chunk_size = chunk_size_mb * MIB
        if size_bytes <= chunk_size:
            content = os.urandom(size_bytes)
            self._client.put_object(Bucket=BUCKET, Key=key, Body=content)
            etag = hashlib.md5(content).hexdigest()
        else:
            etag = self._upload_parts(key, size_bytes, chunk_size)
        return self._task(key, [(key, size_bytes, etag)], chunk_size_mb)

    def _upload_parts(self, key: str, size_bytes: int, chunk_size: int) -> str:
        client = self._client
        upload = client.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
        digests, parts = [], []
        for number, start in enumerate(range(0, size_bytes, chunk_size), 1):
            content = os.urandom(min(chunk_size, size_bytes - start))
            digests.append(hashlib.md5(content).digest())
            answer = client.upload_part(Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=number, Body=content)
            parts.append({"ETag": answer["ETag"], "PartNumber": number})
        client.complete_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})  # type: ignore[typeddict-item]  # the stubs want their own type
        return f"{hashlib.md5(b''.join(digests)).hexdigest()}-{len(digests)}"

    def _task(self, keys: str, objects: list[tuple[str, int, str]], chunk_size_mb: int) -> Task:
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
        endpoint_url = self._client.meta.endpoint_url
        document = {
            "format_version": "1.0",
            "s3": {"region": self._client.meta.region_name, "endpoint_url": endpoint_url},
            "output_location": "/restore",
            "raw_files": {"bench": raw_file},
        }
        plan = self._folder / f"{keys.strip('/')}.json"
        plan.write_text(json.dumps(document), encoding="utf-8")
        etag = objects[0][2] if len(objects) == 1 else ""
        return Task(
            plan=plan, bucket=BUCKET, keys=keys, endpoint_url=endpoint_url, chunk_size_mb=chunk_size_mb, etag=etag
        )
