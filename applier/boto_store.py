"""The only boto3 import: credentials, region and endpoint by the standard AWS chain, and questions about buckets.

It is also the data path for the few keys that obstore cannot address (an empty, `.` or `..` segment, a slash at
either end).
"""

import re
import ssl
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
    ResponseStreamingError,
    SSLError,
)

from applier.object_store import (
    BAD_CREDENTIALS_CODES,
    ObjectInfo,
    ObjectLocation,
    S3Fault,
    changed_during_download,
    fault_of_answer,
    normalized_etag,
    wrong_range,
)
from schemas.errors import ConfigError
from schemas.etag import MIB
from schemas.results import FailureKind
from schemas.s3_location import explain_bad_endpoint_url
from schemas.text import printable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectRequestTypeDef, HeadObjectRequestTypeDef

T = TypeVar("T")
_IN_WORDS = defaultdict(
    lambda: "the connection failed",
    {
        EndpointConnectionError: "cannot connect",
        IncompleteReadError: "the answer was cut short",
        ResponseStreamingError: "the answer broke off",
    },
)
ARCHIVE_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Access:
    """How S3 is reached; None leaves it to the AWS chain.

    Args:
        profile: name of an AWS profile.
        connect_timeout_seconds: until a connection stands.
        read_timeout_seconds: between two packets.
    """

    region: str | None = None
    endpoint_url: str | None = None
    profile: str | None = None
    connect_timeout_seconds: float = 5.0
    read_timeout_seconds: float = 20.0


class BotoStore:
    """S3 by boto3.

    Raises:
        ConfigError: there is no such profile, or there are no credentials.
    """

    def __init__(self, access: S3Access) -> None:
        self.access = access
        try:
            self._botocore_session = botocore.session.Session(profile=access.profile)
            self.session = boto3.Session(botocore_session=self._botocore_session, region_name=access.region)
            credentials = self.session.get_credentials()
            self._default_client = self._client_in(None)
        except BotoCoreError as error:
            raise ConfigError(f"S3 access: {_without_secrets(error)}") from error
        except ValueError as error:  # botocore's word for a malformed endpoint
            detail = _without_secrets(error)
            raise ConfigError(f"S3 access: {detail} (check --endpoint-url and AWS_ENDPOINT_URL)") from error
        if reason := explain_bad_endpoint_url(self._default_client.meta.endpoint_url):
            raise ConfigError(f"S3 access: the endpoint: {reason} (check --endpoint-url and AWS_ENDPOINT_URL)")
        self.certificates = self._read_ca_bundle()
        if credentials is None:
            raise ConfigError(
                "no AWS credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile with "
                "--profile, or log in with `aws sso login`"
            )
        frozen = credentials.get_frozen_credentials()
        if not all((part or "x").isprintable() for part in (frozen.access_key, frozen.secret_key, frozen.token)):
            raise ConfigError("the AWS credentials hold a line end or another control character: set them anew")
        self._clients: dict[str, S3Client] = {}
        self._lock = threading.Lock()

    def _read_ca_bundle(self) -> bytes | None:
        """Return the certificates (PEM) that the AWS chain names; None for the system's own."""
        path = self._botocore_session.get_config_variable("ca_bundle")
        if not path:
            return None
        try:
            ssl.create_default_context(cafile=path)
            return Path(path).read_bytes()
        except OSError as error:  # an ssl.SSLError is one
            raise ConfigError(f"CA bundle {printable(path)}: {error.strerror or error}") from error

    def client(self, bucket_name: str) -> "S3Client":
        """Return a client for the region that the bucket is in, as far as `check_bucket` could learn it."""
        return self._clients.get(bucket_name, self._default_client)

    def check_bucket(self, bucket_name: str) -> None:
        """See `ObjectStore.check_bucket`; also learns the bucket's region."""
        location = ObjectLocation(bucket_name=bucket_name, key="")
        try:
            answer = _asked(location, lambda: self._default_client.head_bucket(Bucket=bucket_name))
        except S3Fault as fault:
            match fault.failure.kind:
                case FailureKind.KEY_NOT_FOUND:
                    raise S3Fault(FailureKind.BUCKET_MISSING, bucket_name) from fault
                case FailureKind.ACCESS_DENIED:
                    self._refuse_bad_credentials(location)
                    return  # s3:ListBucket may be missing where s3:GetObject is not: each file will tell
                case _:
                    raise
        region = answer["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region")
        if region and region != self._default_client.meta.region_name:
            client = self._client_in(region)
            with self._lock:
                self._clients[bucket_name] = client

    def _refuse_bad_credentials(self, location: ObjectLocation) -> None:
        """Ask why a bucket is denied, for a HEAD does not say: with invalid credentials no file could be read."""
        bucket = location.bucket_name
        try:
            _asked(location, lambda: self._default_client.list_objects_v2(Bucket=bucket, MaxKeys=1))
        except S3Fault as fault:
            if any(code in str(fault) for code in BAD_CREDENTIALS_CODES):
                raise

    def head(self, location: ObjectLocation) -> ObjectInfo:
        """See `ObjectStore.head`."""
        client = self.client(location.bucket_name)
        answer = _asked(location, lambda: client.head_object(**_head_request(location)))
        return ObjectInfo(etag=normalized_etag(answer.get("ETag")), size_bytes=answer["ContentLength"])

    def read_range(self, location: ObjectLocation, start: int, end: int, etag: str) -> Iterator[memoryview]:
        """See `ObjectStore.read_range`."""
        client = self.client(location.bucket_name)
        request = _get_request(location, start, end)
        request["IfMatch"] = f'"{etag}"'
        answer = _asked(location, lambda: client.get_object(**request))
        body = answer["Body"]
        try:
            found = normalized_etag(answer.get("ETag"))
            if found != etag:
                raise changed_during_download(location, f"etag {found}, expected {etag}")
            if not answer.get("ContentRange", "").startswith(f"bytes {start}-{end - 1}/"):
                raise wrong_range(location)
            # read(amt) checks the length at the end; `with body:` would hand out the raw stream, which does not
            while chunk := _asked(location, lambda: body.read(MIB)):
                yield memoryview(chunk)
        finally:
            body.close()

    def explain_denial(self, location: ObjectLocation, fault: S3Fault) -> S3Fault:
        """Return what stands behind a 403: a HEAD's has no reason, and a cold object's no storage class."""
        client = self.client(location.bucket_name)
        try:
            head = _asked(location, lambda: client.head_object(**_head_request(location)))
            # Not in the stubs: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
            storage_class = str({**head}.get("ArchiveStatus") or head.get("StorageClass", "STANDARD"))
            if storage_class in ARCHIVE_CLASSES or fault.failure.kind is FailureKind.ARCHIVED:
                return _archived(location, storage_class, head.get("Restore", ""))
        except S3Fault:
            pass  # the GET says why
        try:
            _asked(location, lambda: client.get_object(**_get_request(location, 0, 1)))["Body"].close()
        except S3Fault as explained:
            return explained
        return fault

    def _client_in(self, region: str | None) -> "S3Client":
        config = Config(
            connect_timeout=self.access.connect_timeout_seconds,
            read_timeout=self.access.read_timeout_seconds,
            retries={"total_max_attempts": 1},  # whoever asks retries, with its own patience
            s3={"addressing_style": "path"},
        )
        return self.session.client(
            "s3", region_name=region or self.session.region_name, endpoint_url=self.access.endpoint_url, config=config
        )


def _asked(location: ObjectLocation, question: Callable[[], T]) -> T:
    try:
        return question()
    except (ClientError, BotoCoreError) as error:
        raise _fault(location, error) from error
    except RecursionError as error:  # botocore asks a bucket that redirects for its region, and is redirected again
        raise S3Fault(FailureKind.NETWORK, f"{location}: S3 redirects without end") from error


def _without_secrets(error: Exception) -> str:
    """Return botocore's words less the user, password and query of any URL in them."""
    return re.sub(r"(?<=//)[^/\s]*@|\?\S+", "…", str(error))


def _head_request(location: ObjectLocation) -> "HeadObjectRequestTypeDef":
    request: HeadObjectRequestTypeDef = {"Bucket": location.bucket_name, "Key": location.key}
    if location.version_id is not None:
        request["VersionId"] = location.version_id
    return request


def _get_request(location: ObjectLocation, start: int, end: int) -> "GetObjectRequestTypeDef":
    request: GetObjectRequestTypeDef = {
        "Bucket": location.bucket_name,
        "Key": location.key,
        "Range": f"bytes={start}-{end - 1}",
    }
    if location.version_id is not None:
        request["VersionId"] = location.version_id
    return request


def _archived(location: ObjectLocation, storage_class: str, restore: str) -> S3Fault:
    todo = (
        "its restore is under way, apply again when it is done"
        if 'ongoing-request="true"' in restore
        else "request a restore (aws s3api restore-object), then apply again"
    )
    return S3Fault(FailureKind.ARCHIVED, f"{storage_class}: {location}: {todo}")


def _fault_of_client_error(location: ObjectLocation, error: ClientError) -> S3Fault:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = error.response.get("Error", {}).get("Code", "")
    return fault_of_answer(location, status, "" if code.isdigit() else code)


def _fault(location: ObjectLocation, error: ClientError | BotoCoreError) -> S3Fault:
    match error:
        case ClientError():
            return _fault_of_client_error(location, error)
        case NoCredentialsError() | PartialCredentialsError():
            return S3Fault(FailureKind.ACCESS_DENIED, str(error))
        case SSLError():
            return S3Fault(FailureKind.NETWORK, f"{location}: TLS: {error} (a private CA is named with AWS_CA_BUNDLE)")
        case ConnectTimeoutError() | ReadTimeoutError():
            return S3Fault(FailureKind.TIMEOUT, f"{location}: no answer in time", transient=True)
        case EndpointConnectionError() | HTTPClientError() | IncompleteReadError() | ResponseStreamingError():
            return S3Fault(FailureKind.NETWORK, f"{location}: {_IN_WORDS[type(error)]}", transient=True)
        case _:  # botocore's own text may hold headers, and they credentials
            return S3Fault(FailureKind.NETWORK, f"{location}: {type(error).__name__}")
