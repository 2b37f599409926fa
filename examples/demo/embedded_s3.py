"""A real S3 server (SeaweedFS) on loopback for the length of a `with` block: it checks signatures and keeps versions.

Neither for data that matters nor for other machines: it is killed at the end and listens on 127.0.0.1 only.
"""

import json
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from temporary_process import LOOPBACK, TWIN_OFFSET, free_ports, installed_program, temporary_process, wait_for_port

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ROLES = ("master", "volume", "filer", "s3", "admin")
_STARTS = 5
_READY_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedS3:
    """A running server and the identity that it is used with."""

    ports: tuple[int, ...]
    access_key: str
    secret_key: str = field(repr=False)
    read_only_access_key: str
    read_only_secret_key: str = field(repr=False)
    region: str = "eu-central-1"
    pid: int = 0
    https_port: int | None = None

    @property
    def port(self) -> int:
        """Where S3 is spoken."""
        return self.ports[_ROLES.index("s3")]

    @property
    def endpoint_url(self) -> str:
        """The URL to give to S3 clients."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def https_url(self) -> str:
        """The same, encrypted; for a server that was started with a certificate."""
        return f"https://{LOOPBACK}:{self.https_port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a child process needs in its environment to use this server through the standard AWS chain."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def read_only(self) -> "EmbeddedS3":
        """The same server, used with an identity that may read and list but not write."""
        return replace(self, access_key=self.read_only_access_key, secret_key=self.read_only_secret_key)

    def client(self, endpoint_url: str | None = None, *, attempts: int = 5) -> "S3Client":
        """A boto3 client, to be closed by the caller; with another endpoint if something stands in front."""
        return boto3.client(
            "s3",
            endpoint_url=endpoint_url or self.endpoint_url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(
                s3={"addressing_style": "path"},
                retries={"total_max_attempts": attempts},
                connect_timeout=5,
                read_timeout=30,
            ),
        )


@contextmanager
def embedded_s3(
    folder: Path, *, again: EmbeddedS3 | None = None, certificate: Path | None = None
) -> Iterator[EmbeddedS3]:
    """Run a server that keeps everything below a folder.

    Args:
        folder: Where data, settings and log go; made if it is not there. It stays afterwards.
        again: A server that ran in this folder and has ended: it comes back with its ports, keys and objects.
        certificate: A file with a certificate and its key (PEM): the server speaks HTTPS, too, on a port of its own.

    Raises:
        RuntimeError: It did not start; the end of its log is in the message.
    """
    folder = folder.resolve()
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for _ in range(_STARTS):
        planned = again or _new_server(speaks_https=certificate is not None)
        _write_identities(folder / "identities.json", planned)
        try:
            with temporary_process(_command(folder, planned, certificate), folder=folder) as process:
                if _is_ready(process, planned):
                    yield replace(planned, pid=process.pid)
                    return
        finally:
            _remove_sockets(planned)
    log_end = (folder / "process.log").read_text(errors="replace")[-2000:]
    raise RuntimeError(
        f"The S3 server did not start, {_STARTS} times on different ports. Its log ends with:\n{log_end}"
    )


def _new_server(*, speaks_https: bool) -> EmbeddedS3:
    """Keys that no other server knows: whoever accepts them is the one that was started."""
    *ports, https_port = free_ports(len(_ROLES) + 1)
    return EmbeddedS3(
        ports=tuple(ports),
        https_port=https_port if speaks_https else None,
        access_key=f"AKWRITER{secrets.token_hex(6).upper()}",
        secret_key=secrets.token_hex(20),
        read_only_access_key=f"AKREADER{secrets.token_hex(6).upper()}",
        read_only_secret_key=secrets.token_hex(20),
    )


def _write_identities(path: Path, server: EmbeddedS3) -> None:
    identities = [
        {
            "name": "writer",
            "credentials": [{"accessKey": server.access_key, "secretKey": server.secret_key}],
            "actions": ["Admin"],
        },
        {
            "name": "reader",
            "credentials": [{"accessKey": server.read_only_access_key, "secretKey": server.read_only_secret_key}],
            "actions": ["Read", "List"],
        },
    ]
    path.write_text(json.dumps({"identities": identities}))


def _command(folder: Path, server: EmbeddedS3, certificate: Path | None) -> list[str]:
    ports = [
        option
        for role, port in zip(_ROLES, server.ports, strict=True)
        for option in (f"-{role}.port={port}", f"-{role}.port.grpc={port + TWIN_OFFSET}")
    ]
    secure = [f"-s3.port.https={server.https_port}", f"-s3.cert.file={certificate}", f"-s3.key.file={certificate}"]
    return [
        installed_program("weed"),
        "-logtostderr=true",
        "mini",
        f"-dir={folder / 'data'}",
        f"-ip={LOOPBACK}",
        f"-ip.bind={LOOPBACK}",
        *ports,
        *(secure if certificate is not None else []),
        f"-s3.config={folder / 'identities.json'}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.autoCreateBucket=false",
        "-webdav=false",
        "-admin.ui=false",
        "-master.telemetry=false",
        # Every bucket takes volumes of its own; by default there are too few of them for a hundred buckets.
        "-volume.max=10000",
    ]


def _is_ready(process: subprocess.Popen[bytes], server: EmbeddedS3) -> bool:
    """Whether the process came to store and give back an object, as opposed to having ended or being stuck.

    It answers requests for a moment before it finds its volumes, so that listing buckets would prove too little.
    """
    deadline = time.monotonic() + _READY_SECONDS
    if not wait_for_port(process, server.port, timeout_seconds=_READY_SECONDS):
        return False
    with closing(server.client(attempts=1)) as client:
        while process.poll() is None and time.monotonic() < deadline:
            try:
                _store_and_remove(client)
            except (BotoCoreError, ClientError):
                time.sleep(0.05)
            else:
                return True
    return False


def _store_and_remove(client: "S3Client") -> None:
    bucket = f"probe-{secrets.token_hex(6)}"
    client.create_bucket(Bucket=bucket)
    try:
        client.put_object(Bucket=bucket, Key="probe", Body=b"probe")
        client.get_object(Bucket=bucket, Key="probe")["Body"].read()
        client.delete_object(Bucket=bucket, Key="probe")
    finally:
        client.delete_bucket(Bucket=bucket)


def _remove_sockets(server: EmbeddedS3) -> None:
    """The server puts Unix sockets there whatever it is told, and does not remove them when killed."""
    for port in server.ports:
        for number in (port, port + TWIN_OFFSET):
            for path in Path("/tmp").glob(f"seaweedfs-*-{number}.sock"):  # noqa: S108 - the server's choice
                path.unlink(missing_ok=True)
