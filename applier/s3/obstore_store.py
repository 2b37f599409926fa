"""Fetches by obstore, the fast path: ranged GETs with If-Match, streamed in buffers of 256 KiB.

obstore was chosen for its rate (two to four times the objects a second of any client in Python) and because short,
reset, stalled and misranged answers raise in it. Its own retries are off: the fetcher retries.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from applier.s3.answer_guard import AnswerGuard
from applier.s3.aws_chain import AwsChain
from applier.s3.boto_store import BotoStore, check_etag
from applier.s3.faults import S3Fault, changed_during_download, wrong_range
from applier.s3.network import S3Address
from applier.s3.obstore_faults import ObstoreFault, fault_of_text, first_line, without_panic
from applier.s3.obstore_trust import Trust
from applier.s3.protocol import ListedPage, ObjectInfo, ObjectVersion, PartChecksum, kept_version
from schemas.errors import ConfigError
from schemas.etag import MIB
from schemas.s3_location import ObjectLocation

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Credential

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Each job holds one or two in memory at a time.
_BUFFER_BYTES = MIB // 4
# obstore asks the environment for a proxy unless it is given one; this placeholder is bypassed for every host.
_NO_PROXY_URL = "http://127.0.0.1:9"
_EVERY_HOST = "*,0.0.0.0/0,::/0"
# Variables that obstore would obey and the AWS chain does not know.
_UNHEEDED = (
    "AWS_ENDPOINT",
    "AWS_SKIP_SIGNATURE",
    "AWS_S3_EXPRESS",
    "AWS_UNSIGNED_PAYLOAD",
    "AWS_REQUEST_PAYER",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
)


class ObstoreStore:
    """S3 by obstore, with `BotoStore` beside it for what obstore cannot do, or cannot do safely.

    obstore reads the whole of an error, however long, and takes session tokens along when it is redirected. So it is
    given only long-lived credentials, a bucket's first bytes come by `BotoStore`, and so does what obstore failed to
    get: at once where `BotoStore` may take what obstore cannot.

    Args:
        boto: for the rest.
        most_buckets: to how many connections are kept.

    Raises:
        ConfigError: obstore cannot work with the settings.
    """

    def __init__(self, boto: BotoStore, most_buckets: int = 64) -> None:
        self._boto, self._most_buckets = boto, most_buckets
        self._settings = _Settings(boto.chain)
        self._guard = AnswerGuard(self._settings.ports)
        self._stores: dict[str, S3Store] = {}
        self._trust = Trust()
        self._lock = threading.Lock()

    def check_bucket(self, bucket_name: str) -> None:
        """See `ObjectStore.check_bucket`."""
        self._boto.check_bucket(bucket_name)

    def head(self, location: ObjectLocation) -> ObjectInfo:
        """See `ObjectStore.head`."""
        if not self._may_ask(location):
            return self._boto.head(location)
        try:
            return self._head(location)
        except ObstoreFault as fault:
            with _blaming(fault):
                info = self._boto.head(location)
            self._trust.rule_out(location, fault)
            return info

    def check_readable(self, location: ObjectLocation) -> None:
        """See `ObjectStore.check_readable`."""
        self._boto.check_readable(location)

    def encryption(self, location: ObjectLocation) -> str | None:
        """See `ObjectStore.encryption`."""
        return self._boto.encryption(location)

    def list_versions(self, location: ObjectLocation) -> list[ObjectVersion]:
        """See `ObjectStore.list_versions`."""
        return self._boto.list_versions(location)

    def list_page(self, bucket_name: str, after: str, *, with_versions: bool) -> ListedPage:
        """See `ObjectStore.list_page`."""
        return self._boto.list_page(bucket_name, after, with_versions=with_versions)

    def part_checksums(self, location: ObjectLocation, etag: str) -> list[PartChecksum]:
        """See `ObjectStore.part_checksums`."""
        return self._boto.part_checksums(location, etag)

    def read_range(self, location: ObjectLocation, start: int, end: int, etag: str) -> Iterator[memoryview]:
        """See `ObjectStore.read_range`."""
        is_trusted = self._may_ask(location) and self._trust.covers(location)
        reader = self._read_range if is_trusted else self._read_range_by_boto
        try:
            yield from reader(location, start, end, etag)
        except S3Fault:
            self._trust.suspend(location)
            raise

    def trust_bucket(self, bucket_name: str) -> None:
        """Read from a bucket by obstore from now on, until something fails there."""
        self._trust.gain(ObjectLocation(bucket_name=bucket_name, key=""))

    def _may_ask(self, location: ObjectLocation) -> bool:
        return self._settings.are_safe and _addressable(location.key) and not self._trust.rules_out(location)

    def _read_range_by_boto(self, location: ObjectLocation, start: int, end: int, etag: str) -> Iterator[memoryview]:
        yield from self._boto.read_range(location, start, end, etag)
        self._trust.gain(location)

    def _read_range(self, location: ObjectLocation, start: int, end: int, etag: str) -> Iterator[memoryview]:
        try:
            answer = self._ask_for_range(location, start, end, etag)
        except ObstoreFault as fault:
            with _blaming(fault):
                yield from self._boto.read_range(location, start, end, etag)
            self._trust.rule_out(location, fault)
            return
        missing_bytes = end - start
        # a piece that is smaller than asked for is the last: a small range comes, and ends, in one call
        piece_bytes = missing_bytes + 1 if missing_bytes <= MIB else _BUFFER_BYTES
        stream = iter(answer.stream(min_chunk_size=piece_bytes))
        while (piece := self._asked(location, lambda: next(stream, None))) is not None:
            missing_bytes -= len(piece)
            if missing_bytes < 0:
                break
            yield memoryview(piece)
            if len(piece) < piece_bytes:
                break
        if missing_bytes != 0:
            raise wrong_range(location)

    def _ask_for_range(self, location: ObjectLocation, start: int, end: int, etag: str) -> "obstore.GetResult":
        options: obstore.GetOptions = {
            "range": (start, end),
            "if_match": self._boto.if_match(location.bucket_name, etag),
            **_version(location),
        }
        answer = self._get(location, options)
        check_etag(location, answer.meta["e_tag"], etag)
        if answer.meta["size"] < end:
            raise changed_during_download(location, f"it has {answer.meta['size']} bytes, expected {end} or more")
        if answer.range != (start, end):
            raise wrong_range(location)
        return answer

    def _head(self, location: ObjectLocation) -> ObjectInfo:
        options: obstore.GetOptions = {"head": True, **_version(location)}
        meta = self._get(location, options).meta
        return ObjectInfo(
            etag=self._boto.read_etag(location.bucket_name, meta["e_tag"]),
            size_bytes=meta["size"],
            version_id=kept_version(meta["version"]),
        )

    def _store(self, bucket_name: str) -> S3Store:
        with self._lock:
            store = self._stores.pop(bucket_name, None)
            if store is None:
                store = self._settings.make_store(bucket_name, self._boto.address(bucket_name))
            self._stores[bucket_name] = store  # the one used last stands last
            if len(self._stores) > self._most_buckets:
                del self._stores[next(iter(self._stores))]  # with its idle connections
            return store

    def _get(self, location: ObjectLocation, options: "obstore.GetOptions") -> "obstore.GetResult":
        store = self._store(location.bucket_name)
        with self._guard.watching():
            return self._asked(location, lambda: obstore.get(store, location.key, options=options))

    def _asked(self, location: ObjectLocation, question: Callable[[], T]) -> T:
        try:
            return without_panic(question)
        except (BaseError, OSError, ValueError) as error:  # OSError: 404 is the builtin FileNotFoundError
            fault = fault_of_text(location, str(error), self._settings.route)
            raise self._boto.explain_denial(location, fault) from error


class _Settings:
    """What every store of obstore's is made with, and nothing that it finds in the environment.

    Args:
        chain: the AWS chain.

    Raises:
        ConfigError: no store can be made with it.
    """

    def __init__(self, chain: AwsChain) -> None:
        self.are_safe = chain.credentials.are_lasting
        self.route = chain.network.describe_route()
        self.ports = chain.network.ports_of(chain.default_address.endpoint_url)
        self._credentials = chain.credentials
        self._client_options = _client_options(chain)
        if unheeded := [name for name in _UNHEEDED if os.environ.get(name)]:
            logger.warning("not heeded: %s (S3 is asked by signed requests in path style)", ", ".join(unheeded))
        try:
            without_panic(lambda: self.make_store("kraken-plan", chain.default_address))
        except (BaseError, ValueError, OSError) as error:
            raise ConfigError(f"S3 access: no client for S3 can be made: {first_line(str(error))}") from error

    def make_store(self, bucket_name: str, address: S3Address) -> S3Store:
        """Return a store; every setting that obstore would take from a variable is given."""
        return S3Store(
            bucket_name,
            endpoint=address.endpoint_url,
            aws_endpoint_url_s3=address.endpoint_url,
            region=address.region,
            virtual_hosted_style_request=False,
            s3_express=False,
            skip_signature=False,
            unsigned_payload=False,
            request_payer=False,
            checksum_algorithm="SHA256",
            server_side_encryption="AES256",
            sse_bucket_key_enabled=False,
            conditional_put="etag",
            copy_if_not_exists="multipart",
            disable_tagging=False,
            disable_bulk_delete=False,
            credential_provider=self._keys,
            client_options=self._client_options,
            retry_config={"max_retries": 0},
        )

    def _keys(self) -> "S3Credential":
        keys = self._credentials.current()
        return {
            "access_key_id": keys.access_key,
            "secret_access_key": keys.secret_key,
            "token": keys.token,
            "expires_at": None,
        }


@contextmanager
def _blaming(fault: ObstoreFault) -> Iterator[None]:
    """Raise the fault that says more: obstore's if it is transient and S3 did not answer `BotoStore` either."""
    try:
        yield
    except S3Fault as of_boto:
        raise fault if fault.transient and not of_boto.status else of_boto from None


def _client_options(chain: AwsChain) -> "ClientConfig":
    access, network = chain.access, chain.network
    return {
        "allow_http": chain.default_address.endpoint_url.startswith("http://"),
        "connect_timeout": timedelta(seconds=access.connect_timeout_seconds),
        "read_timeout": timedelta(seconds=access.read_timeout_seconds),
        "timeout": timedelta(seconds=access.request_timeout_seconds),
        "proxy_url": network.proxy_url or _NO_PROXY_URL,
        "proxy_excludes": "" if network.proxy_url else _EVERY_HOST,
        "root_certificate": Path(network.ca_bundle).read_bytes(),
    }


def _version(location: ObjectLocation) -> "obstore.GetOptions":
    return {"version": location.version_id} if location.version_id else {}


def _addressable(key: str) -> bool:
    """Tell whether obstore asks for exactly this key: it folds or refuses some segments and characters."""
    return not any(segment in {"", ".", ".."} for segment in key.split("/")) and key.isprintable()
