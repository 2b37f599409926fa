"""Restores a plan as one would in a hurry: each object straight into its final name. The tests of kills must catch it.

Run as `python in_place_restorer.py plan.json`, with the S3 server and its credentials in the environment.
"""

import sys
from contextlib import closing
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from schemas.plan_source import load_plan


def restore(plan_path: str, endpoint_url: str) -> None:
    """Fetch every object of a plan to its place; what fails is passed over."""
    plan = load_plan(plan_path)
    with closing(boto3.client("s3", endpoint_url=endpoint_url, config=Config(s3={"addressing_style": "path"}))) as s3:
        for raw_file, file in plan.planned_files():
            path = Path(raw_file.absolute_dest_path(file))
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                body = s3.get_object(Bucket=raw_file.bucket_name or "", Key=file.s3_key)["Body"]
                with path.open("wb", buffering=0) as target:
                    for piece in body.iter_chunks(64 * 1024):
                        target.write(piece)
            except (BotoCoreError, ClientError, HTTPClientError):
                continue


if __name__ == "__main__":
    restore(*sys.argv[1:])
