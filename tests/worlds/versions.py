"""Versions of objects, as a bucket keeps them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def purge_older_versions(client: "S3Client", bucket: str, key: str) -> None:
    """Delete all but the current version of an object, or all of a deleted one: nothing is left to be recovered."""
    for version in client.list_object_versions(Bucket=bucket, Prefix=key).get("Versions", []):
        if version["Key"] == key and not version["IsLatest"]:
            client.delete_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])
