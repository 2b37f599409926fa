"""The only botocore import: credentials, region and endpoint by the standard AWS chain, and what obstore cannot answer.

It is also the data path for the few keys that obstore cannot address (an empty, `.` or `..` segment, a slash at
either end). A client takes longer to make than a small file to restore, so it is made when it is first asked.
"""

import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, TypeVar

import botocore.session
from botocore.config import Config
from botocore.credentials import Credentials
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
from botocore.utils import validate_region_name
from urllib3.exceptions import HTTPError

from applier.s3.faults import (
    BAD_CREDENTIALS_CODES,
    COLD,
    VAGUE_STATUS,
    S3Fault,
    archived,
    changed_during_download,
    fault_of_answer,
    no_answer_in_time,
    wrong_range,
)
from applier.s3.protocol import ObjectInfo, ObjectVersion, kept_version, normalized_etag
from schemas.errors import ConfigError
from schemas.results import FailureKind
from schemas.s3_location import ObjectLocation, explain_bad_endpoint_url
from schemas.text import printable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import (
        GetObjectRequestTypeDef,
        HeadObjectOutputTypeDef,
        HeadObjectRequestTypeDef,
    )

T = TypeVar("T")
_IN_WORDS = defaultdict(
    lambda: "the connection failed",
    {
        EndpointConnectionError: "cannot connect",
        IncompleteReadError: "the answer was cut short",
        ResponseStreamingError: "the answer broke off",
    },
)
# A read returns when it has all of it: so much of a dripping answer is waited for before the clock is looked at.
_PIECE_BYTES = 4096
# The chain's endpoint for all services and for S3, by botocore's own reading of variables and profiles. The sections
# `services` of a configuration file are left to a client: https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
_ENDPOINT_URL = {"endpoint_url": ("endpoint_url", ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"], None, None)}


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Access:
    """How S3 is reached; None leaves it to the AWS chain.

    Args:
        profile: name of an AWS profile.
        connect_timeout_seconds: until a connection stands.
        read_timeout_seconds: between two packets.
        request_timeout_seconds: until the end of an answer, which is one of at most 8 MiB: slower than 28 KB/s is as
            good as stalled.
    """

    region: str | None = None
    endpoint_url: str | None = None
    profile: str | None = None
    connect_timeout_seconds: float = 5.0
    read_timeout_seconds: float = 20.0
    request_timeout_seconds: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Address:
    """Where S3 is, and the region to sign for."""

    endpoint_url: str
    region: str


class BotoStore:
    """S3 by botocore.

    Raises:
        ConfigError: there is no such profile, or there are no credentials.
    """

    def __init__(self, access: S3Access) -> None:
        self.access = access
        self._lock = threading.Lock()
        self._clients: dict[str | None, S3Client] = {}
        self._regions: dict[str, str] = {}
        try:
            self._session = botocore.session.Session(profile=access.profile, session_vars=_ENDPOINT_URL)
            if access.region is not None:
                self._session.set_config_variable("region", access.region)
            credentials = self._session.get_credentials()
            self._default_address = self._find_address()
        except BotoCoreError as error:
            raise ConfigError(f"S3 access: {_without_secrets(error)}") from error
        except ValueError as error:  # botocore's word for a malformed endpoint
            detail = _without_secrets(error)
            raise ConfigError(f"S3 access: {detail} (check --endpoint-url and AWS_ENDPOINT_URL)") from error
        if reason := explain_bad_endpoint_url(self._default_address.endpoint_url):
            raise ConfigError(f"S3 access: the endpoint: {reason} (check --endpoint-url and AWS_ENDPOINT_URL)")
        self.ca_bundle: str | None = self._session.get_config_variable("ca_bundle")
        self.credentials = _usable(credentials)

    def _find_address(self) -> S3Address:
        """Return the address that is configured; what the chain derives from its own tables takes a client."""
        endpoint_url, region = self._configured_endpoint_url(), self._session.get_config_variable("region")
        if endpoint_url and region:
            validate_region_name(region)
            return S3Address(endpoint_url=endpoint_url, region=region)
        return _address(self._client_in(None))

    def _configured_endpoint_url(self) -> str | None:
        if self.access.endpoint_url is not None:
            return self.access.endpoint_url
        ignored = self._session.get_config_variable("ignore_configured_endpoint_urls")
        if ignored or "services" in self._session.get_scoped_config():
            return None  # a client knows what comes of it
        endpoint_url: str | None = self._session.get_config_variable("endpoint_url")
        return endpoint_url

    def address(self, bucket_name: str) -> S3Address:
        """Return where the bucket is, as far as `check_bucket` could learn it."""
        return _address(self._client(bucket_name)) if bucket_name in self._regions else self._default_address

    def _client(self, bucket_name: str) -> "S3Client":
        return self._client_in(self._regions.get(bucket_name))

    def check_bucket(self, bucket_name: str) -> None:
        """See `ObjectStore.check_bucket`; also learns the bucket's region."""
        location = ObjectLocation(bucket_name=bucket_name, key="")
        try:
            answer = _asked(location, lambda: self._client_in(None).head_bucket(Bucket=bucket_name))
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
        if region and region != self._default_address.region:
            self._regions[bucket_name] = region

    def _refuse_bad_credentials(self, location: ObjectLocation) -> None:
        """Ask why a bucket is denied, for a HEAD does not say: with invalid credentials no file could be read."""
        bucket = location.bucket_name
        try:
            _asked(location, lambda: self._client_in(None).list_objects_v2(Bucket=bucket, MaxKeys=1))
        except S3Fault as fault:
            if fault.code in BAD_CREDENTIALS_CODES:
                raise

    def head(self, location: ObjectLocation) -> ObjectInfo:
        """See `ObjectStore.head`."""
        answer = self._explained(location, lambda: self._head_object(location))
        return ObjectInfo(
            etag=normalized_etag(answer.get("ETag")),
            size_bytes=answer["ContentLength"],
            version_id=kept_version(answer.get("VersionId")),
        )

    def check_readable(self, location: ObjectLocation) -> None:
        """See `ObjectStore.check_readable`."""
        self._explained(location, lambda: self._read_a_byte(location))

    def encryption(self, location: ObjectLocation) -> str | None:
        """See `ObjectStore.encryption`."""
        return self._explained(location, lambda: self._head_object(location)).get("ServerSideEncryption")

    def list_versions(self, location: ObjectLocation) -> list[ObjectVersion]:
        """See `ObjectStore.list_versions`.

        A request: S3 sorts by key and then by age, and no key that this one is a prefix of comes before it.
        """
        client = self._client(location.bucket_name)
        answer = _asked(location, lambda: client.list_object_versions(Bucket=location.bucket_name, Prefix=location.key))
        versions = [
            (entry["LastModified"], entry.get("IsLatest", False), entry)
            for entry in [*answer.get("Versions", ()), *answer.get("DeleteMarkers", ())]
            if entry.get("Key") == location.key
        ]
        versions.sort(key=itemgetter(0, 1), reverse=True)  # the time has seconds: of two in one, the latest comes first
        return [
            ObjectVersion(
                version_id=entry.get("VersionId", "null"),
                last_modified=last_modified,
                etag=normalized_etag(etag) if (etag := str(entry.get("ETag", ""))) else None,
                size_bytes=size if isinstance(size := entry.get("Size"), int) else None,
            )
            for last_modified, _, entry in versions
        ]

    def read_range(self, location: ObjectLocation, start: int, end: int, etag: str) -> Iterator[memoryview]:
        """See `ObjectStore.read_range`."""
        request = _get_request(location, start, end)
        request["IfMatch"] = f'"{etag}"'
        answer = self._explained(location, lambda: self._client(location.bucket_name).get_object(**request))
        body = answer["Body"]
        try:
            found = normalized_etag(answer.get("ETag"))
            if found != etag:
                raise changed_during_download(location, f"etag {found}, expected {etag}")
            if not answer.get("ContentRange", "").startswith(f"bytes {start}-{end - 1}/"):
                raise wrong_range(location)
            deadline = time.monotonic() + self.access.request_timeout_seconds
            # read(amt) checks the length at the end; `with body:` would hand out the raw stream, which does not
            while chunk := _asked(location, lambda: body.read(_PIECE_BYTES)):
                yield memoryview(chunk)
                if time.monotonic() > deadline:
                    raise no_answer_in_time(location)
        finally:
            body.close()

    def explain_denial(self, location: ObjectLocation, fault: S3Fault) -> S3Fault:
        """Return what stands behind a refusal: a HEAD's has no reason, and an archived object's no storage class."""
        if fault.status in VAGUE_STATUS and not fault.code:
            try:
                _asked(location, lambda: self._read_a_byte(location))
            except S3Fault as explained:
                fault = explained
        if fault.failure.kind is FailureKind.ARCHIVED:
            with suppress(S3Fault):
                head = _asked(location, lambda: self._head_object(location))
                # Not in the stubs: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
                storage_class = {**head}.get("ArchiveStatus") or head.get("StorageClass", COLD)
                return S3Fault(FailureKind.ARCHIVED, archived(location, str(storage_class), head.get("Restore", "")))
        return fault

    def _explained(self, location: ObjectLocation, question: Callable[[], T]) -> T:
        try:
            return _asked(location, question)
        except S3Fault as fault:
            raise self.explain_denial(location, fault) from fault

    def _head_object(self, location: ObjectLocation) -> "HeadObjectOutputTypeDef":
        return self._client(location.bucket_name).head_object(**_head_request(location))

    def _read_a_byte(self, location: ObjectLocation) -> None:
        self._client(location.bucket_name).get_object(**_get_request(location, 0, 1))["Body"].read()

    def _client_in(self, region: str | None) -> "S3Client":
        with self._lock:
            if region not in self._clients:
                self._clients[region] = self._new_client(region)
            return self._clients[region]

    def _new_client(self, region: str | None) -> "S3Client":
        config = Config(
            connect_timeout=self.access.connect_timeout_seconds,
            read_timeout=self.access.read_timeout_seconds,
            retries={"total_max_attempts": 1},  # the fetcher retries
            s3={"addressing_style": "path"},
        )
        return self._session.create_client(  # type: ignore[return-value]  # its stubs know no services
            "s3", region_name=region, endpoint_url=self.access.endpoint_url, config=config
        )


def _address(client: "S3Client") -> S3Address:
    return S3Address(endpoint_url=client.meta.endpoint_url, region=client.meta.region_name)


def _usable(credentials: Credentials | None) -> Credentials:
    if credentials is None:
        raise ConfigError(
            "no AWS credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile with "
            "--profile, or log in with `aws sso login`"
        )
    frozen = credentials.get_frozen_credentials()
    if not all((part or "x").isprintable() for part in (frozen.access_key, frozen.secret_key, frozen.token)):
        raise ConfigError("the AWS credentials hold a line end or another control character: set them anew")
    return credentials


def _asked(location: ObjectLocation, question: Callable[[], T]) -> T:
    try:
        return question()
    except (ClientError, BotoCoreError) as error:
        raise _fault(location, error) from error
    except HTTPError as error:  # urllib3's own, where an error's answer breaks off: botocore lets it pass
        raise S3Fault(FailureKind.NETWORK, f"{location}: the connection broke", transient=True) from error
    except RecursionError as error:  # botocore asks a bucket that redirects for its region, and is redirected again
        raise S3Fault(FailureKind.NETWORK, f"{location}: S3 redirects without end") from error


def _without_secrets(error: Exception) -> str:
    """Return botocore's words on one line, less the user, password and query of any URL in them."""
    return printable(re.sub(r"(?<=//)[^/\s]*@|\?\S+", "…", str(error)))


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
            return no_answer_in_time(location)
        case EndpointConnectionError() | HTTPClientError() | IncompleteReadError() | ResponseStreamingError():
            return S3Fault(FailureKind.NETWORK, f"{location}: {_IN_WORDS[type(error)]}", transient=True)
        case _:  # botocore's own text may hold headers, and they credentials
            return S3Fault(FailureKind.NETWORK, f"{location}: {type(error).__name__}")
