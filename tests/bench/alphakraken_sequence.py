"""The plain boto3 sequence: HEAD, download_fileobj, read again and hash, a whole chunk in memory, MD5 and etag."""

import hashlib
import sys
from pathlib import Path

import boto3

endpoint_url, bucket, key, output, chunk_size_mb, etag = sys.argv[1:]
chunk_size = int(chunk_size_mb) * 1024 * 1024
client = boto3.client("s3", endpoint_url=endpoint_url)
keys = [key]
if key.endswith("/"):
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
    keys = [entry["Key"] for page in pages for entry in page["Contents"]]
for one in keys:
    client.head_object(Bucket=bucket, Key=one)
    path = Path(output) / Path(one).name
    with path.open("wb") as file:
        client.download_fileobj(bucket, one, file)
    whole, parts = hashlib.md5(), []
    with path.open("rb") as file:
        while chunk := file.read(chunk_size):
            whole.update(chunk)
            parts.append(hashlib.md5(chunk).digest())
    found = f"{hashlib.md5(b''.join(parts)).hexdigest()}-{len(parts)}" if len(parts) > 1 else whole.hexdigest()
    if etag and found != etag:
        sys.exit(f"{one}: {found}, expected {etag}")
