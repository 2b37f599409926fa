"""An S3 server in this process that keeps objects in archives (moto), for what no other test server plays.

It checks no credentials and holds everything in memory: for small objects, and for storage classes alone.
"""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

import boto3
from moto.moto_api import state_manager
from moto.server import ThreadedMotoServer
from restore_case import RestoreCase, build_restore_case
from sample_data import RawFileSample, create_versioned_bucket
from temporary_process import LOOPBACK

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Archive = Literal["GLACIER", "DEEP_ARCHIVE", "GLACIER_IR"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivingS3:
    """A running server.

    Attributes:
        client: Talks to it.
    """

    endpoint_url: str
    client: "S3Client"

    def archive(self, bucket: str, key: str, storage_class: Archive) -> None:
        """Move an object of one part to another storage class; its etag stays."""
        content = self.client.get_object(Bucket=bucket, Key=key)["Body"].read()
        self.client.put_object(Bucket=bucket, Key=key, Body=content, StorageClass=storage_class)

    def request_restore(self, bucket: str, key: str, *, done: bool) -> None:
        """Have an object brought back from its archive: at once, or never in a test's time."""
        _progress_with_every(1)
        self.client.restore_object(Bucket=bucket, Key=key, RestoreRequest={"Days": 1})
        wanted = f'ongoing-request="{str(not done).lower()}"'
        for _ in range(5):
            if wanted in self.client.head_object(Bucket=bucket, Key=key).get("Restore", ""):
                _progress_with_every(sys.maxsize)
                return
        raise RuntimeError(f"moto did not come to say {wanted}")

    def take_looks_for_restores(self, looks: int) -> None:
        """Have every restore, those under way too, be done after so many looks (1 to 3) at its object."""
        _progress_with_every(looks)

    def restore_header(self, bucket: str, key: str) -> str:
        """What S3 says about an object's restore; empty if none was requested."""
        return self.client.head_object(Bucket=bucket, Key=key).get("Restore", "")

    @property
    def port(self) -> int:
        """Where it listens, for a proxy."""
        return int(self.endpoint_url.rpartition(":")[2])


def archived_case(server: ArchivingS3, folder: Path, *raw_files: RawFileSample) -> RestoreCase:
    """Raw files of one project, backed up to a new bucket of the server; everything of the case is in the folder."""
    folder.mkdir()
    bucket = f"alphakraken-{uuid4().hex[:12]}"
    create_versioned_bucket(server.client, bucket)
    return build_restore_case(
        raw_files,
        client=server.client,
        folder=folder,
        buckets={"PRID001": bucket},
        endpoint_url=server.endpoint_url,
    )


def _progress_with_every(looks: int) -> None:
    """Have every restore of the server go on a step each time that its object was looked at so often."""
    state_manager.set_transition("s3::keyrestore", {"progression": "manual", "times": looks})


@contextmanager
def archiving_s3() -> Iterator[ArchivingS3]:
    """Run a server, empty."""
    server = ThreadedMotoServer(ip_address=LOOPBACK, port=0, verbose=False)
    server.start()
    try:
        port = server.get_host_and_port()[1]
        url = f"http://{LOOPBACK}:{port}"
        client = boto3.client(
            "s3",
            endpoint_url=url,
            region_name="eu-central-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
        )
        with closing(client):
            yield ArchivingS3(endpoint_url=url, client=client)
    finally:
        state_manager.unset_transition("s3::keyrestore")
        server.stop()
