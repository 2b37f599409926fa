"""What takes minutes or gigabytes; `make test-long`."""

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cli import Cli
from conftest import MakeBucket
from embedded_s3 import EmbeddedS3
from sample_data import MIB, made_up_bytes

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CHUNK_SIZE_MB = 100
PARTS = 105
LAST_PART_BYTES = 7 * MIB + 11
SIZE_BYTES = (PARTS - 1) * CHUNK_SIZE_MB * MIB + LAST_PART_BYTES


def part(number: int) -> bytes:
    """A part that differs from every other one; cheap to make."""
    size_bytes = LAST_PART_BYTES if number == PARTS - 1 else CHUNK_SIZE_MB * MIB
    return number.to_bytes(8, "big") + made_up_bytes("big", size_bytes - 8)


def upload(s3: "S3Client", bucket: str, key: str) -> str:
    """Upload the file in its parts and return its etag as computed here."""
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    digests, uploaded = b"", []
    for number in range(PARTS):
        content = part(number)
        digests += hashlib.md5(content).digest()
        answer = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=number + 1, Body=content)
        uploaded.append({"ETag": answer["ETag"], "PartNumber": number + 1})
    s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": uploaded})  # type: ignore[typeddict-item]  # the stubs want their own type
    return f"{hashlib.md5(digests).hexdigest()}-{PARTS}"


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_file_of_more_than_ten_gigabytes_should_be_restored_and_healed(
    run_cli: Cli, s3: "S3Client", s3_server: EmbeddedS3, make_bucket: MakeBucket, tmp_path: Path
) -> None:
    # given
    assert SIZE_BYTES > 10 * 1024**3
    bucket = make_bucket()
    etag = upload(s3, bucket, "big.raw")
    output = tmp_path / "output"
    output.mkdir()
    file = {
        "relative_path": "big.raw",
        "s3_key": "big.raw",
        "expected_etag": etag,
        "chunk_size_mb": CHUNK_SIZE_MB,
        "expected_size": SIZE_BYTES,
        "absolute_dest_path": f"{output}/P/big.raw",
    }
    raw_file = {"project_id": "P", "destination_base": f"{output}/P", "bucket_name": bucket, "files": [file]}
    plan = tmp_path / "plan.json"
    plan.write_text(
        json.dumps(
            {
                "format_version": "1.0",
                "s3": {"region": s3_server.region, "endpoint_url": s3_server.endpoint_url},
                "output_location": str(output),
                "raw_files": {"big.raw": raw_file},
            }
        ),
        encoding="utf-8",
    )

    # when
    result = run_cli("apply", plan, timeout_seconds=900)

    # then every part is there
    assert result.exit_code == 0, result.stderr
    path = output / "P" / "big.raw"
    assert path.stat().st_size == SIZE_BYTES
    with path.open("rb") as restored:
        for number in range(PARTS):
            assert restored.read(CHUNK_SIZE_MB * MIB) == part(number)

    # and one flipped bit in ten gigabytes is found and healed
    inode = path.stat().st_ino
    with path.open("r+b") as damaged:
        offset = SIZE_BYTES // 2
        byte = os.pread(damaged.fileno(), 1, offset)
        os.pwrite(damaged.fileno(), bytes([byte[0] ^ 1]), offset)
    assert run_cli("apply", plan, timeout_seconds=900).exit_code == 0
    assert path.stat().st_ino != inode
    with path.open("rb") as healed:
        assert os.pread(healed.fileno(), 1, offset) == byte
    path.unlink()
