"""A restorer as one would write it in an afternoon, in three ways each wrong in one point: the control of our checks.

`python naive_restorer.py PLAN.json FLAW` restores a plan, and verifies files of one part. What the tests assert of
kraken-plan must fail for it; else they would assert nothing.
"""

import hashlib
import json
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PIECE_BYTES = 64 * 1024

FLAWS = {
    "in place": "writes under the final name, and verifies what it has written",
    "trusts If-Match": "verifies nothing, for S3 has compared the etag",
    "no read-back": "verifies what it has received, not what it has written",
}


def restore(client: "S3Client", bucket: str, file: dict[str, Any], flaw: str) -> bool:
    """Restore a file, and tell whether that went well."""
    final = Path(file["absolute_dest_path"])
    final.parent.mkdir(parents=True, exist_ok=True)
    target = final if flaw == "in place" else final.with_name(f"{final.name}.part")
    received, expected = hashlib.md5(), file["expected_etag"]
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        body = client.get_object(Bucket=bucket, Key=file["s3_key"], IfMatch=f'"{expected}"')["Body"]
        for number, piece in enumerate(iter(lambda: body.read(PIECE_BYTES), b"")):
            received.update(piece)
            os.pwrite(descriptor, piece, number * PIECE_BYTES)
    except (BotoCoreError, ClientError) as error:
        print(f"{final.name}: {type(error).__name__}", file=sys.stderr)
        return False
    finally:
        os.close(descriptor)
    written = hashlib.md5(target.read_bytes())
    found = {"in place": written.hexdigest(), "no read-back": received.hexdigest()}.get(flaw, expected)
    if found == expected:
        target.replace(final)
    return bool(found == expected)


def main() -> int:
    """Restore what the plan says."""
    plan, flaw = json.loads(Path(sys.argv[1]).read_bytes()), sys.argv[2]
    with closing(boto3.client("s3", endpoint_url=plan["s3"]["endpoint_url"])) as client:
        ended_well = [
            restore(client, raw_file["bucket_name"], file, flaw)
            for raw_file in plan["raw_files"].values()
            for file in raw_file["files"]
        ]
    return 0 if all(ended_well) else 1


if __name__ == "__main__":
    sys.exit(main())
