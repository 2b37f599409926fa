"""Asks S3 by requests that botocore signs: all that obstore cannot be trusted with, and what it cannot address.

These are the first look at a bucket, lists of versions and parts, what obstore has failed to get, everything where
credentials come with a session token, and keys with an empty, `.` or `..` segment, a slash at either end or characters
that cannot be printed.
"""

import functools
import logging
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from applier.s3.aws_chain import AwsChain, S3Access
from applier.s3.faults import (
    BAD_CREDENTIALS_CODES,
    COLD,
    VAGUE_STATUS,
    S3Fault,
    archived,
    bad_answer,
    changed_during_download,
    missing_etag,
    wrong_range,
)
from applier.s3.lists.read_lists import ask_for_page, ask_for_parts, ask_for_versions
from applier.s3.network import S3Address
from applier.s3.protocol import (
    ListedPage,
    ObjectInfo,
    ObjectVersion,
    PartChecksum,
    current_restore,
    kept_version,
    normalized_etag,
)
from applier.s3.signed_http import MAX_TOLD_BYTES, Answer, Question, SignedHttp, Timeouts
from schemas.etag import MIB
from schemas.paths import STAGING_FOLDER
from schemas.results import FailureKind
from schemas.s3_location import ObjectLocation, explain_bad_region
from schemas.text import printable

logger = logging.getLogger(__name__)

_BUCKET_LIST = re.compile(rb"<(\w{1,20}:)?ListBucketResult\b")
# A list of what is below our own folder, which is never backed up, is short in any bucket.
_SHORT_LIST = {"list-type": "2", "max-keys": "1", "prefix": f"{STAGING_FOLDER}/"}
# No object of S3 has more digits: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
LENGTH = re.compile(r"[0-9]{1,18}")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", re.IGNORECASE)
_LISTS_NOTHING = frozenset({"MethodNotAllowed", "NotImplemented"})  # as gateways that only give objects say
_PARTIAL_CONTENT = 206
_NOT_OF_S3 = "bucket %s: the answer (%d) is not in S3's words: is a proxy, web filter or portal in between?"
_BUFFER_BYTES = MIB // 4


class BotoStore:
    """S3 by requests of our own; see `ObjectStore`.

    Args:
        access: how S3 is reached.

    Raises:
        ConfigError: the AWS chain cannot be used.
    """

    def __init__(self, access: S3Access) -> None:
        self.chain = AwsChain(access)
        self._http = SignedHttp(
            self.chain.credentials,
            self.chain.network,
            Timeouts(
                connect=access.connect_timeout_seconds,
                read=access.read_timeout_seconds,
                answer=access.request_timeout_seconds,
            ),
            is_secure=self.chain.default_address.endpoint_url.startswith("https:"),
        )
        self._addresses: dict[str, S3Address] = {}
        self._upper_case_buckets: set[str] = set()
        self._lock = threading.Lock()

    def address(self, bucket_name: str) -> S3Address:
        """Return where the bucket is, as far as `check_bucket` could learn it."""
        return self._addresses.get(bucket_name, self.chain.default_address)

    def check_bucket(self, bucket_name: str) -> None:
        """See `ObjectStore.check_bucket`; also learns the bucket's region."""
        location = ObjectLocation(bucket_name=bucket_name, key="")
        answer = self.ask("GET", location, query=_SHORT_LIST)
        is_elsewhere = self._learn_region(bucket_name, answer)
        try:
            answer.raise_for_status()
        except S3Fault as fault:
            if is_elsewhere and fault.code not in BAD_CREDENTIALS_CODES:
                return  # so AWS answers for a bucket that is there, in another region
            match fault.failure.kind:
                case FailureKind.KEY_NOT_FOUND:
                    raise S3Fault(FailureKind.BUCKET_MISSING, bucket_name) from fault
                case FailureKind.ACCESS_DENIED if fault.code not in BAD_CREDENTIALS_CODES:
                    if not fault.code:
                        logger.warning(_NOT_OF_S3, printable(bucket_name), fault.status)
                    return  # s3:ListBucket may be missing where s3:GetObject is not: each file will tell
                case _ if fault.code in _LISTS_NOTHING:
                    return
                case _:
                    raise
        if _BUCKET_LIST.search(answer.text) is None:
            raise bad_answer(location, "it is not a list of objects")

    def _learn_region(self, bucket_name: str, answer: Answer) -> bool:
        """Note the region that S3 names, and tell whether it is another than the one that was signed for."""
        region = answer.region
        if not region or region == self.address(bucket_name).region:
            return False
        if explain_bad_region(region) is not None:
            named = printable(region, 100)
            logger.warning("bucket %s: S3 names %r as its region, which is not one", printable(bucket_name), named)
            return False
        address = self.chain.address_in(region)
        with self._lock:
            self._addresses[bucket_name] = address
        return True

    def ask(  # noqa: PLR0913  # all that a request consists of
        self,
        method: str,
        location: ObjectLocation,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        max_bytes: int = MAX_TOLD_BYTES,
    ) -> Answer:
        """Return S3's answer to any request, whatever its status, with about so many bytes of what it says.

        Raises:
            S3Fault: there is no answer.
        """
        question = Question(
            method=method,
            location=location,
            address=self.address(location.bucket_name),
            query=query or {},
            headers=headers or {},
            body=body,
        )
        return self._http.ask(question, max_bytes=max_bytes)

    def read_headers(self, location: ObjectLocation) -> Mapping[str, str]:
        """Return what S3 says about an object, by the names of headers in lower case.

        Raises:
            S3Fault: it says nothing.
        """
        return self._explained(location, lambda: self._head(location)).headers

    def head(self, location: ObjectLocation) -> ObjectInfo:
        """See `ObjectStore.head`."""
        headers = self.read_headers(location)
        length = headers.get("content-length", "")
        if LENGTH.fullmatch(length) is None:
            raise bad_answer(location, "it does not say the object's size")
        return ObjectInfo(
            etag=self.read_etag(location.bucket_name, headers.get("etag")),
            size_bytes=int(length),
            version_id=kept_version(headers.get("x-amz-version-id")),
        )

    def read_etag(self, bucket_name: str, header: str | None) -> str:
        """Return an ETag header as plans hold it, and note how this S3 writes them."""
        etag = normalized_etag(header)
        if etag.upper() != etag and etag not in (header or ""):
            with self._lock:
                self._upper_case_buckets.add(bucket_name)
        return etag

    def if_match(self, bucket_name: str, etag: str) -> str:
        """Return the If-Match header for an etag, written as this S3 writes it."""
        return f'"{etag.upper() if bucket_name in self._upper_case_buckets else etag}"'

    def check_readable(self, location: ObjectLocation) -> None:
        """See `ObjectStore.check_readable`."""
        self._explained(location, lambda: self._read_a_byte(location))

    def encryption(self, location: ObjectLocation) -> str | None:
        """See `ObjectStore.encryption`."""
        return self.read_headers(location).get("x-amz-server-side-encryption")

    def list_versions(self, location: ObjectLocation) -> list[ObjectVersion]:
        """See `ObjectStore.list_versions`."""
        return ask_for_versions(self._list, location)

    def part_checksums(self, location: ObjectLocation, etag: str) -> list[PartChecksum]:
        """See `ObjectStore.part_checksums`."""
        return ask_for_parts(self._list, location, etag)

    def _list(
        self, location: ObjectLocation, *, query: Mapping[str, str], headers: Mapping[str, str], max_bytes: int
    ) -> bytes:
        answer = self.ask("GET", location, query=query, headers=headers, max_bytes=max_bytes)
        answer.raise_for_status()
        return answer.text

    def list_page(self, bucket_name: str, after: str, *, with_versions: bool) -> ListedPage:
        """See `ObjectStore.list_page`."""
        bucket = ObjectLocation(bucket_name=bucket_name, key="")
        read_etag = functools.partial(self.read_etag, bucket_name)
        return ask_for_page(self._list, bucket, after, read_etag, with_versions=with_versions)

    def read_range(self, location: ObjectLocation, start: int, end: int, etag: str) -> Iterator[memoryview]:
        """See `ObjectStore.read_range`."""
        try:
            yield from self._read_range(location, start, end, etag)
        except S3Fault as fault:
            raise self.explain_denial(location, fault) from fault

    def _read_range(self, location: ObjectLocation, start: int, end: int, etag: str) -> Iterator[memoryview]:
        headers = {"Range": f"bytes={start}-{end - 1}", "If-Match": self.if_match(location.bucket_name, etag)}
        address = self.address(location.bucket_name)
        question = Question(method="GET", location=location, address=address, headers=headers)
        with self._http.stream(question) as (answer, pieces):
            _check_range(answer, start, end)
            check_etag(location, answer.headers.get("etag"), etag)
            buffer, missing_bytes = bytearray(), end - start
            for piece in pieces:
                buffer += piece
                if len(buffer) > missing_bytes:
                    raise wrong_range(location)
                if len(buffer) >= min(missing_bytes, _BUFFER_BYTES):
                    missing_bytes -= len(buffer)
                    yield memoryview(buffer)
                    buffer = bytearray()
                if missing_bytes == 0:
                    return  # whatever else comes was not asked for
            raise wrong_range(location)

    def explain_denial(self, location: ObjectLocation, fault: S3Fault) -> S3Fault:
        """Return a fault with its cause: a refused HEAD has no body, an archived object's error no storage class."""
        if fault.status in VAGUE_STATUS and not fault.code:
            try:
                self._read_a_byte(location)
            except S3Fault as explained:
                fault = explained
        if fault.failure.kind is FailureKind.ARCHIVED:
            with suppress(S3Fault):
                headers = self._head(location).headers
                # https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
                storage_class = headers.get("x-amz-archive-status") or headers.get("x-amz-storage-class", COLD)
                failure = archived(location, storage_class, current_restore(headers))
                return S3Fault(failure.kind, failure.detail)
        return fault

    def _explained(self, location: ObjectLocation, question: Callable[[], Answer]) -> Answer:
        try:
            return question()
        except S3Fault as fault:
            raise self.explain_denial(location, fault) from fault

    def _head(self, location: ObjectLocation) -> Answer:
        answer = self.ask("HEAD", location)
        answer.raise_for_status()
        return answer

    def _read_a_byte(self, location: ObjectLocation) -> Answer:
        answer = self.ask("GET", location, headers={"Range": "bytes=0-0"})
        answer.raise_for_status()
        return answer


def check_etag(location: ObjectLocation, header: str | None, etag: str) -> None:
    """Check the ETag of an answer with a range.

    Raises:
        S3Fault: it is another one, or there is none.
    """
    found = normalized_etag(header)
    if not found:
        raise missing_etag(location)
    if found != etag:
        raise changed_during_download(location, f"etag {found}, expected {etag}")


def _check_range(answer: Answer, start: int, end: int) -> None:
    """Check that an answer announces exactly the bytes that were asked for.

    Raises:
        S3Fault: it does not.
    """
    found = _CONTENT_RANGE.fullmatch(answer.headers.get("content-range", ""))
    length = answer.headers.get("content-length", str(end - start))
    if found is None or answer.status != _PARTIAL_CONTENT:
        raise wrong_range(answer.location)
    first, last, total = found.groups()
    if total != "*" and int(total) < end:
        raise changed_during_download(answer.location, f"it has {total} bytes, expected {end} or more")
    if (int(first), int(last) + 1, length) != (start, end, str(end - start)):
        raise wrong_range(answer.location)
