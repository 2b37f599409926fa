"""The only obstore import: the data path. Ranged GETs with If-Match, streamed in buffers of 256 KiB.

obstore was chosen for its rate (two to four times boto3's objects a second) and because short, reset, stalled and
misranged answers raise in it. Its own retries are off: the fetcher retries.
"""

import re
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import obstore
from obstore.exceptions import BaseError
from obstore.store import HTTPStore, S3Store

from applier.s3.boto_store import BotoStore
from applier.s3.faults import S3Fault, changed_during_download, fault_of_answer, no_answer_in_time, wrong_range
from applier.s3.protocol import ObjectInfo, ObjectVersion, kept_version, normalized_etag
from schemas.errors import ConfigError
from schemas.etag import MIB
from schemas.paths import STAGING_FOLDER
from schemas.results import FailureKind
from schemas.s3_location import ObjectLocation
from schemas.text import printable

if TYPE_CHECKING:
    from obstore.store import S3Credential

T = TypeVar("T")

# Of each job one or two are in memory at a time.
_BUFFER_BYTES = MIB // 4
# Below the shortest life of AWS credentials that are handed out anew before they expire (15 minutes).
_CREDENTIALS_TTL = timedelta(minutes=5)

# A list of what is below it is short in any bucket: our own folder, which is never backed up.
_NOTHING = STAGING_FOLDER

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w{1,64})</Code>")
_KIND = re.compile(r"\bkind: (\w+)")
_IN_WORDS = {
    "Connect": "cannot connect",
    "Request": "the connection broke off",
    "Interrupted": "the connection broke off",
    "Decode": "the answer broke off",
}
# rustls' own names: https://docs.rs/rustls/latest/rustls/enum.Error.html
_TLS = re.compile(r"\b(InvalidCertificate|InvalidMessage|AlertReceived)\(\s*(\w+)")
_TLS_IN_WORDS = {
    "UnknownIssuer": "the certificate is signed by an unknown CA (a private one is named with AWS_CA_BUNDLE)",
    "Expired": "the certificate has expired, or this machine's clock is wrong",
    "NotValidYet": "the certificate is not valid yet, or this machine's clock is wrong",
    "NotValidForName": "the certificate is made out to another host",
    "InvalidMessage": "the server does not speak it (check --endpoint-url)",
}


class ObstoreStore:
    """S3 by obstore, with botocore beside it for what obstore cannot do.

    Args:
        boto: for the rest.
        most_buckets: to how many connections are kept.

    Raises:
        ConfigError: the certificates that the AWS chain names cannot be used.
    """

    def __init__(self, boto: BotoStore, most_buckets: int = 64) -> None:
        self._boto, self._most_buckets = boto, most_buckets
        self._certificates = _read_certificates(boto.ca_bundle)
        self._stores: dict[str, S3Store] = {}
        self._lock = threading.Lock()

    def check_bucket(self, bucket_name: str) -> None:
        """See `ObjectStore.check_bucket`; botocore is asked only where there is more to say than yes."""
        try:
            obstore.list_with_delimiter(self._store(bucket_name), _NOTHING)
        except (BaseError, OSError) as error:
            fault = _fault(ObjectLocation(bucket_name=bucket_name, key=""), str(error))
            # botocore would wait in vain just so, or not agree on TLS
            if fault.failure.kind is FailureKind.TIMEOUT or not (fault.transient or fault.status):
                raise fault from error
            self._boto.check_bucket(bucket_name)
            with self._lock:
                self._stores.pop(bucket_name, None)  # its region may be another

    def head(self, location: ObjectLocation) -> ObjectInfo:
        """See `ObjectStore.head`."""
        if not _addressable(location.key):
            return self._boto.head(location)
        store = self._store(location.bucket_name)
        options: obstore.GetOptions = {"head": True, **_version(location)}
        meta = self._asked(location, lambda: obstore.get(store, location.key, options=options)).meta
        return ObjectInfo(
            etag=normalized_etag(meta["e_tag"]), size_bytes=meta["size"], version_id=kept_version(meta["version"])
        )

    def check_readable(self, location: ObjectLocation) -> None:
        """See `ObjectStore.check_readable`."""
        if not _addressable(location.key):
            self._boto.check_readable(location)
            return
        store = self._store(location.bucket_name)
        options: obstore.GetOptions = {"range": (0, 1), **_version(location)}
        self._asked(location, lambda: obstore.get(store, location.key, options=options).bytes())

    def encryption(self, location: ObjectLocation) -> str | None:
        """See `ObjectStore.encryption`."""
        return self._boto.encryption(location)

    def list_versions(self, location: ObjectLocation) -> list[ObjectVersion]:
        """See `ObjectStore.list_versions`."""
        return self._boto.list_versions(location)

    def read_range(self, location: ObjectLocation, start: int, end: int, etag: str) -> Iterator[memoryview]:
        """See `ObjectStore.read_range`."""
        if not _addressable(location.key):
            yield from self._boto.read_range(location, start, end, etag)
            return
        store = self._store(location.bucket_name)
        options: obstore.GetOptions = {
            "range": (start, end),
            "if_match": f'"{etag}"',
            **_version(location),
        }
        answer = self._asked(location, lambda: obstore.get(store, location.key, options=options))
        found = normalized_etag(answer.meta["e_tag"])
        if found != etag:
            raise changed_during_download(location, f"etag {found}, expected {etag}")
        if answer.meta["size"] < end:
            raise changed_during_download(location, f"it has {answer.meta['size']} bytes, expected {end} or more")
        if answer.range != (start, end):
            raise wrong_range(location)
        if end - start <= MIB:  # in one piece, at half the calls
            content = self._asked(location, answer.bytes)
            if len(content) != end - start:
                raise wrong_range(location)
            yield memoryview(content)
            return
        stream = iter(answer.stream(min_chunk_size=_BUFFER_BYTES))
        missing_bytes = end - start
        while (chunk := self._asked(location, lambda: next(stream, None))) is not None:
            missing_bytes -= len(chunk)
            if missing_bytes < 0:
                break
            yield memoryview(chunk)
        if missing_bytes != 0:
            raise wrong_range(location)

    def _store(self, bucket_name: str) -> S3Store:
        with self._lock:
            store = self._stores.pop(bucket_name, None) or self._new_store(bucket_name)
            self._stores[bucket_name] = store  # the one used last stands last
            if len(self._stores) > self._most_buckets:
                del self._stores[next(iter(self._stores))]  # with its idle connections
            return store

    def _new_store(self, bucket_name: str) -> S3Store:
        address, access = self._boto.address(bucket_name), self._boto.access
        return S3Store(
            bucket_name,
            endpoint=address.endpoint_url,
            region=address.region,
            virtual_hosted_style_request=False,
            credential_provider=self._fresh_credentials,
            client_options={
                "allow_http": address.endpoint_url.startswith("http://"),
                "connect_timeout": timedelta(seconds=access.connect_timeout_seconds),
                "read_timeout": timedelta(seconds=access.read_timeout_seconds),
                "timeout": timedelta(seconds=access.request_timeout_seconds),
                **({"root_certificate": self._certificates} if self._certificates else {}),
            },
            retry_config={"max_retries": 0},
        )

    def _fresh_credentials(self) -> "S3Credential":
        """Return what the AWS chain has now; obstore asks again when it is over."""
        frozen = self._boto.credentials.get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key or "",
            "secret_access_key": frozen.secret_key or "",
            "token": frozen.token,
            "expires_at": datetime.now(UTC) + _CREDENTIALS_TTL,
        }

    def _asked(self, location: ObjectLocation, question: Callable[[], T]) -> T:
        try:
            return question()
        except (BaseError, OSError) as error:  # OSError: 404 is the builtin FileNotFoundError
            raise self._boto.explain_denial(location, _fault(location, str(error))) from error


def _read_certificates(path: str | None) -> bytes | None:
    """Return the certificates (PEM) of a CA bundle, tried out; None for the system's own."""
    if not path:
        return None
    try:
        content = Path(path).read_bytes()
        HTTPStore("https://localhost", client_options={"root_certificate": content})
    except OSError as error:
        raise ConfigError(f"CA bundle {printable(path)}: {error.strerror}") from error
    except (BaseError, ValueError) as error:
        raise ConfigError(f"CA bundle {printable(path)}: expected certificates in PEM form") from error
    return content


def _version(location: ObjectLocation) -> "obstore.GetOptions":
    return {"version": location.version_id} if location.version_id else {}


def _addressable(key: str) -> bool:
    """Tell whether obstore asks for exactly this key: it folds or refuses empty, `.` and `..` segments."""
    return not any(segment in {"", ".", ".."} for segment in key.split("/")) and key.isprintable()


def _fault(location: ObjectLocation, text: str) -> S3Fault:
    """Read what failed from obstore's text, the only place where it stands."""
    if status := _STATUS.search(text):
        code = _CODE.search(text)
        return fault_of_answer(location, int(status[1]), code[1] if code else "")
    if tls := _TLS.search(text):
        reason = next((words for name, words in _TLS_IN_WORDS.items() if name in tls[0]), f"{tls[1]} {tls[2]}")
        return S3Fault(FailureKind.NETWORK, f"{location}: TLS: {reason}")
    found = _KIND.search(text)
    kind = found[1] if found else ""
    if kind == "Timeout":
        return no_answer_in_time(location)
    return S3Fault(FailureKind.NETWORK, f"{location}: {_reason(kind, text)}", transient=True)


def _reason(kind: str, text: str) -> str:
    """Return why there is no answer, or none that makes sense."""
    said = text.partition("Debug source:")[0].strip()
    if not kind:
        return f"a bad answer: {said.removeprefix('Generic S3 error: ')}"
    if "TooManyRedirects" in text:
        return "S3 redirects without end"
    if "Parse(" in text:
        return "a bad answer: it is not HTTP"
    return _IN_WORDS.get(kind) or said.rpartition(" - ")[2] or said
