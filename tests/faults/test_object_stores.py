"""Both stores keep the one contract, against a real S3 server."""

import json
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import MakeBucket
from embedded_s3 import EmbeddedS3
from faulty_proxy import FaultyProxy
from network_faults import Answer, Cut, Drip, Fault, Flip, Reset, Rewrite, Stall, other_etag
from waiting import wait_for

from applier.s3.aws_chain import S3Access
from applier.s3.boto_store import BotoStore
from applier.s3.faults import S3Fault
from applier.s3.obstore_store import ObstoreStore
from applier.s3.protocol import ObjectStore
from schemas.etag import MIB
from schemas.results import FailureKind
from schemas.s3_location import ObjectLocation

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONTENT = bytes(range(256)) * 12_000


@pytest.fixture
def boto_store(faulty_proxy: FaultyProxy, s3_server: EmbeddedS3, monkeypatch: pytest.MonkeyPatch) -> BotoStore:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return BotoStore(
        S3Access(endpoint_url=faulty_proxy.endpoint_url, read_timeout_seconds=0.5, request_timeout_seconds=3)
    )


@pytest.fixture
def obstore_store(boto_store: BotoStore, located: ObjectLocation) -> ObstoreStore:
    """Obstore reads from the bucket from the first byte on."""
    store = ObstoreStore(boto_store)
    store.trust_bucket(located.bucket_name)
    return store


@pytest.fixture(params=["botocore", "obstore"])
def store(request: pytest.FixtureRequest, boto_store: BotoStore, obstore_store: ObstoreStore) -> ObjectStore:
    return boto_store if request.param == "botocore" else obstore_store


@pytest.fixture
def located(make_bucket: MakeBucket, s3: "S3Client") -> ObjectLocation:
    bucket = make_bucket()
    s3.put_object(Bucket=bucket, Key="folder/an object, ä+%41#?.bin", Body=CONTENT)
    return ObjectLocation(bucket_name=bucket, key="folder/an object, ä+%41#?.bin")


def fault_of_range(store: ObjectStore, location: ObjectLocation, etag: str = "", end: int = len(CONTENT)) -> S3Fault:
    etag = etag or store.head(location).etag
    with pytest.raises(S3Fault) as caught:
        for _ in store.read_range(location, 0, end, etag):
            pass
    return caught.value


def test_store_should_read_exactly_the_range(store: ObjectStore, located: ObjectLocation) -> None:
    info = store.head(located)

    assert info.size_bytes == len(CONTENT)
    for start, end in ((0, len(CONTENT)), (5, 6), (MIB - 1, 2 * MIB + 1), (len(CONTENT) - 1, len(CONTENT))):
        assert b"".join(store.read_range(located, start, end, info.etag)) == CONTENT[start:end]


def test_store_should_send_if_match(store: ObjectStore, located: ObjectLocation, faulty_proxy: FaultyProxy) -> None:
    etag = store.head(located).etag

    list(store.read_range(located, 0, 10, etag))

    assert [exchange.request.if_match for exchange in faulty_proxy.requests("GET")] == [f'"{etag}"']


def test_store_should_read_the_version_that_is_asked_for(
    store: ObjectStore, located: ObjectLocation, s3: "S3Client"
) -> None:
    old = s3.head_object(Bucket=located.bucket_name, Key=located.key)["VersionId"]
    s3.put_object(Bucket=located.bucket_name, Key=located.key, Body=b"new")
    pinned = ObjectLocation(bucket_name=located.bucket_name, key=located.key, version_id=old)

    assert store.head(located).size_bytes == 3
    assert store.head(pinned).size_bytes == len(CONTENT)
    assert store.head(pinned).version_id == old
    assert store.head(located).version_id not in {old, None}
    assert b"".join(store.read_range(pinned, 0, 9, store.head(pinned).etag)) == CONTENT[:9]


def test_store_should_name_no_version_that_does_not_stay(
    store: ObjectStore, located: ObjectLocation, faulty_proxy: FaultyProxy
) -> None:
    """As S3 answers where the keeping of versions was suspended."""
    faulty_proxy.add(Fault(action=Rewrite(headers={"x-amz-version-id": "null"}), method="HEAD"))

    assert store.head(located).version_id is None
    assert faulty_proxy.requests("HEAD")[0].fault is not None


def test_store_should_tell_a_missing_key_from_a_missing_bucket(store: ObjectStore, located: ObjectLocation) -> None:
    missing = ObjectLocation(bucket_name=located.bucket_name, key="missing")
    with pytest.raises(S3Fault) as key:
        store.head(missing)
    with pytest.raises(S3Fault) as bucket:
        store.check_bucket("no-such-bucket")

    assert key.value.failure.kind is FailureKind.KEY_NOT_FOUND
    assert bucket.value.failure.kind is FailureKind.BUCKET_MISSING
    store.check_bucket(located.bucket_name)


ELSEWHERE = b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-3</Region></Error>"


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=301, code="PermanentRedirect", headers={"x-amz-bucket-region": "eu-west-3"}),
        Answer(status=400, body=ELSEWHERE),
    ],
    ids=["header", "body"],
)
def test_a_bucket_in_another_region_should_be_asked_with_signatures_for_that_region(
    store: ObjectStore, located: ObjectLocation, faulty_proxy: FaultyProxy, answer: Answer
) -> None:
    """As AWS answers: 301 without a location, and the region in a header; others name it in the body only."""
    faulty_proxy.add(Fault(action=answer, method="GET", key=f"^/{located.bucket_name}/?$"))

    store.check_bucket(located.bucket_name)

    assert store.head(located).size_bytes == len(CONTENT)
    assert faulty_proxy.log[-1].request.signed_region == "eu-west-3"


def test_a_region_that_is_named_nowhere_should_be_asked_for(
    store: ObjectStore, located: ObjectLocation, faulty_proxy: FaultyProxy
) -> None:
    """As Garage answers, which names it in its message."""
    answer = Answer(status=400, code="AuthorizationHeaderMalformed", message="expected: garage")
    faulty_proxy.add(Fault(action=answer, key=f"^/{located.bucket_name}/?$"))

    with pytest.raises(S3Fault, match=r"AuthorizationHeaderMalformed \(the region is likely not .* check --region\)"):
        store.check_bucket(located.bucket_name)


@pytest.mark.parametrize(
    ("status", "code"), [(403, "AccessDenied"), (405, "MethodNotAllowed"), (501, "NotImplemented")]
)
def test_a_bucket_that_may_not_be_listed_should_count_as_there(
    store: ObjectStore, located: ObjectLocation, faulty_proxy: FaultyProxy, status: int, code: str
) -> None:
    faulty_proxy.add(Fault(action=Answer(status=status, code=code), key=f"^/{located.bucket_name}/?$"))

    store.check_bucket(located.bucket_name)

    assert len(faulty_proxy.log) == 1


def test_a_list_should_be_one_however_its_namespace_is_written(
    store: ObjectStore, located: ObjectLocation, faulty_proxy: FaultyProxy
) -> None:
    body = b'<ns2:ListBucketResult xmlns:ns2="http://s3.amazonaws.com/doc/2006-03-01/"></ns2:ListBucketResult>'
    faulty_proxy.add(Fault(action=Answer(status=200, body=body), key=f"^/{located.bucket_name}/?$"))

    store.check_bucket(located.bucket_name)


@pytest.mark.parametrize("status", [405, 501])
def test_a_server_that_says_no_word_of_s3s_should_not_count_as_one(
    store: ObjectStore, located: ObjectLocation, faulty_proxy: FaultyProxy, status: int
) -> None:
    faulty_proxy.add(Fault(action=Answer(status=status, body=b"<html>"), key=f"^/{located.bucket_name}/?$"))

    with pytest.raises(S3Fault, match=f"S3 answered {status}"):
        store.check_bucket(located.bucket_name)


def test_a_bucket_that_bad_credentials_ask_for_should_be_refused(
    store: ObjectStore, located: ObjectLocation, faulty_proxy: FaultyProxy
) -> None:
    faulty_proxy.add(Fault(action=Answer(status=403, code="ExpiredToken"), key=f"^/{located.bucket_name}/?$"))

    with pytest.raises(S3Fault, match="the credentials have expired"):
        store.check_bucket(located.bucket_name)


def test_a_bucket_check_that_is_not_answered_should_wait_once_only(
    store: ObjectStore, located: ObjectLocation, faulty_proxy: FaultyProxy
) -> None:
    faulty_proxy.add(Fault(action=Stall(seconds=30), key=f"^/{located.bucket_name}/?$"))

    with pytest.raises(S3Fault) as caught:
        store.check_bucket(located.bucket_name)

    assert caught.value.failure.kind is FailureKind.TIMEOUT
    assert len(faulty_proxy.log) == 1


def test_store_should_follow_credentials_that_are_renewed(
    s3_server: EmbeddedS3, located: ObjectLocation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a process that hands out credentials for a minute each, wrong ones at first
    handed_out = tmp_path / "credentials.json"
    (tmp_path / "config").write_text(f"[default]\ncredential_process = cat {handed_out}\n", encoding="utf-8")
    for name, value in s3_server.environment.items():
        if not name.endswith(("_KEY_ID", "_ACCESS_KEY")):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))

    def hand_out(secret_key: str) -> None:
        keys = {"AccessKeyId": s3_server.access_key, "SecretAccessKey": secret_key}
        expiration = datetime.now(UTC) + timedelta(minutes=1)
        handed_out.write_text(json.dumps({"Version": 1, **keys, "Expiration": expiration.isoformat()}))

    hand_out("wrong")
    store = ObstoreStore(BotoStore(S3Access()))
    with pytest.raises(S3Fault, match="Access denied"):
        store.head(located)

    # when
    hand_out(s3_server.secret_key)

    # then, at the next renewal
    wait_for(lambda: _can_read(store, located), "the new credentials")


def _can_read(store: ObjectStore, location: ObjectLocation) -> bool:
    try:
        store.head(location)
    except S3Fault:
        return False
    return True


@pytest.mark.parametrize("key", ["a//b", "other/", "folder/./x", "../x"])
def test_keys_that_obstore_folds_should_go_over_the_wire_as_they_are(
    store: ObjectStore, located: ObjectLocation, faulty_proxy: FaultyProxy, key: str
) -> None:
    with suppress(S3Fault):  # what this server makes of such a key is its own affair
        store.head(ObjectLocation(bucket_name=located.bucket_name, key=key))

    assert faulty_proxy.log[0].request.path == f"/{located.bucket_name}/{key}"


def test_store_should_notice_that_the_object_has_changed(store: ObjectStore, located: ObjectLocation) -> None:
    fault = fault_of_range(store, located, etag="0" * 32)

    assert "changed during the download" in str(fault)
    assert not fault.transient


def test_store_should_not_trust_a_server_that_ignores_if_match(
    store: ObjectStore, located: ObjectLocation, faulty_proxy: FaultyProxy
) -> None:
    etag = store.head(located).etag
    faulty_proxy.add(Fault(action=other_etag(), method="GET"))

    assert "changed during the download" in str(fault_of_range(store, located, etag))


@pytest.mark.parametrize(
    "action",
    [
        Cut(after=0),
        Cut(after=2 * MIB),
        Reset(after=MIB),
        Stall(seconds=30, after=MIB),
        Answer(status=503, code="SlowDown"),
    ],
    ids=str,
)
def test_transient_faults_should_be_classed_as_transient(
    store: ObjectStore, located: ObjectLocation, faulty_proxy: FaultyProxy, action: Cut | Reset | Stall | Answer
) -> None:
    faulty_proxy.add(Fault(action=action, method="GET"))

    assert fault_of_range(store, located).transient


def test_an_answer_that_drips_should_not_be_waited_for_without_end(
    store: ObjectStore, located: ObjectLocation, faulty_proxy: FaultyProxy
) -> None:
    # given packets that come in time, and an end that would come after 25 minutes
    etag = store.head(located).etag
    faulty_proxy.add(Fault(action=Drip(bytes_per_second=2000), method="GET"))

    # when
    begun = time.monotonic()
    fault = fault_of_range(store, located, etag)

    # then
    assert fault.failure.kind is FailureKind.TIMEOUT
    assert fault.transient
    assert time.monotonic() - begun < 60


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (Answer(status=403, code="AccessDenied"), "Access denied: "),
        (Answer(status=403, code="ExpiredToken"), "the credentials have expired"),
        (Answer(status=403, code="RequestTimeTooSkewed"), "this machine's clock is wrong"),
        (Answer(status=404, code="NoSuchKey"), "S3 key not found: "),
        (Answer(status=501, code="NotImplemented"), "501 NotImplemented (this S3 does not support what was asked"),
        (Answer(status=505, code=""), "S3 answered 505 (this S3 does not support what was asked"),
    ],
    ids=str,
)
def test_final_faults_should_be_classed_as_final(
    store: ObjectStore, located: ObjectLocation, faulty_proxy: FaultyProxy, action: Answer, said: str
) -> None:
    etag = store.head(located).etag
    faulty_proxy.add(Fault(action=action, method="GET"))

    fault = fault_of_range(store, located, etag)

    assert said in str(fault)
    assert not fault.transient


def test_a_range_answered_with_other_bytes_should_not_pass(
    store: ObjectStore, located: ObjectLocation, faulty_proxy: FaultyProxy
) -> None:
    etag = store.head(located).etag
    faulty_proxy.add(Fault(action=Rewrite(headers={"Content-Range": f"bytes 1-100/{len(CONTENT)}"}), method="GET"))

    assert fault_of_range(store, located, etag, end=100).failure.kind is FailureKind.NETWORK


def lie(etag: str, asked_bytes: int, *, last_byte: int, total_bytes: int, sent_bytes: int) -> Fault:
    """Answer any GET with so many bytes, and a Content-Range that need not be theirs."""
    headers = {
        "ETag": f'"{etag}"',
        "Last-Modified": "Thu, 26 Nov 2026 07:28:00 GMT",
        "Content-Range": f"bytes 0-{asked_bytes + last_byte}/{asked_bytes + total_bytes}",
    }
    body = CONTENT[: asked_bytes + sent_bytes]
    return Fault(action=Answer(status=206, body=body, headers=headers), method="GET")


# below and above what is taken in one piece
both_ways = pytest.mark.parametrize("asked_bytes", [100, 2 * MIB], ids=["one piece", "stream"])


@both_ways
def test_obstore_path_should_take_an_answer_that_is_what_it_says(
    obstore_store: ObstoreStore, located: ObjectLocation, faulty_proxy: FaultyProxy, asked_bytes: int
) -> None:
    """The control of the lies below."""
    etag = obstore_store.head(located).etag
    faulty_proxy.add(lie(etag, asked_bytes, last_byte=-1, total_bytes=0, sent_bytes=0))

    read = b"".join(obstore_store.read_range(located, 0, asked_bytes, etag))

    assert read == CONTENT[:asked_bytes]
    assert faulty_proxy.requests("GET")[0].fault is not None


@both_ways
@pytest.mark.parametrize(
    ("sent_bytes", "last_byte", "total_bytes"),
    [(-1, -1, 0), (1, -1, 0), (0, -2, 0), (1, 0, 1), (0, -1, -1), (-99, -1, 0)],
    ids=["fewer bytes", "more bytes", "range too short", "range too long", "range beyond the end", "one byte"],
)
def test_obstore_path_should_refuse_an_answer_that_is_not_the_range_as_transient(  # noqa: PLR0917  # fixtures
    obstore_store: ObstoreStore,
    located: ObjectLocation,
    faulty_proxy: FaultyProxy,
    asked_bytes: int,
    sent_bytes: int,
    last_byte: int,
    total_bytes: int,
) -> None:
    etag = obstore_store.head(located).etag
    faulty_proxy.add(lie(etag, asked_bytes, last_byte=last_byte, total_bytes=total_bytes, sent_bytes=sent_bytes))

    fault = fault_of_range(obstore_store, located, etag, end=asked_bytes)

    assert fault.failure.kind is FailureKind.NETWORK
    assert fault.transient


# What servers send, obstore cannot take, and the other library can.
ODD_HEADERS = {
    "no GMT": {"Last-Modified": "Wed, 15 Jan 2025 09:12:00 UTC"},
    "no date": {"Last-Modified": ""},
    "Latin-1": {"Content-Disposition": 'attachment; filename="M\xfcller.raw"'},
    "unit in capitals": {"Content-Range": f"Bytes 0-99/{len(CONTENT)}"},
    "unknown total": {"Content-Range": f"bytes 0-99/{'*'}"},
}


@pytest.mark.parametrize("headers", ODD_HEADERS.values(), ids=ODD_HEADERS.keys())
def test_an_answer_that_obstore_cannot_take_should_come_by_the_other_library_at_once(
    obstore_store: ObstoreStore, located: ObjectLocation, faulty_proxy: FaultyProxy, headers: dict[str, str | None]
) -> None:
    right = obstore_store.head(located)
    faulty_proxy.add(Fault(action=Rewrite(headers=headers), times=100))

    assert obstore_store.head(located) == right
    for _ in range(2):
        assert b"".join(obstore_store.read_range(located, 0, 100, right.etag)) == CONTENT[:100]

    gets = faulty_proxy.requests("GET")
    assert len(gets) == (3 if "Content-Range" in headers else 2)  # a HEAD has shown the others already


def test_a_bucket_of_which_obstore_cannot_take_some_objects_should_be_left_to_the_other_library(
    obstore_store: ObstoreStore, located: ObjectLocation, faulty_proxy: FaultyProxy, s3: "S3Client"
) -> None:
    faulty_proxy.add(Fault(action=Rewrite(headers={"Last-Modified": ""}), times=100))
    for number in range(5):
        s3.put_object(Bucket=located.bucket_name, Key=f"{number}", Body=CONTENT)
        assert obstore_store.head(replace(located, key=f"{number}")).size_bytes == len(CONTENT)

    assert len(faulty_proxy.requests("HEAD")) == 2 + 2 + 2 + 1 + 1


@both_ways
def test_obstore_path_should_say_that_an_object_is_shorter_than_planned(
    obstore_store: ObstoreStore, located: ObjectLocation, faulty_proxy: FaultyProxy, asked_bytes: int
) -> None:
    etag = obstore_store.head(located).etag
    faulty_proxy.add(lie(etag, asked_bytes, last_byte=-2, total_bytes=-1, sent_bytes=-1))

    fault = fault_of_range(obstore_store, located, etag, end=asked_bytes)

    assert f"it has {asked_bytes - 1} bytes, expected {asked_bytes} or more" in str(fault)
    assert not fault.transient


@both_ways
@pytest.mark.parametrize(
    ("other", "said"),
    [
        ("0123456789abcdef0123456789abcdef", "changed during the download: etag 0123456789abcdef0123456789abcdef, "),
        ("", "S3 sent no ETag with the range"),
        ('"', "S3 sent no ETag with the range"),
    ],
    ids=["other", "empty", "quote"],
)
def test_obstore_path_should_refuse_an_answer_with_another_etag(  # noqa: PLR0917  # fixtures
    obstore_store: ObstoreStore,
    located: ObjectLocation,
    faulty_proxy: FaultyProxy,
    asked_bytes: int,
    other: str,
    said: str,
) -> None:
    etag = obstore_store.head(located).etag
    faulty_proxy.add(lie(other, asked_bytes, last_byte=-1, total_bytes=0, sent_bytes=0))

    fault = fault_of_range(obstore_store, located, etag, end=asked_bytes)

    assert said in str(fault)
    assert not fault.transient


def test_no_store_notices_a_flipped_bit(store: ObjectStore, located: ObjectLocation, faulty_proxy: FaultyProxy) -> None:
    """Why everything is verified as read back: this is the control that shows it."""
    etag = store.head(located).etag
    faulty_proxy.add(Fault(action=Flip(offset=50), method="GET"))

    read = b"".join(store.read_range(located, 0, 100, etag))

    assert read != CONTENT[:100]
    assert len(read) == 100


def test_an_error_that_breaks_off_should_be_reported_as_a_broken_connection(
    store: ObjectStore, located: ObjectLocation, faulty_proxy: FaultyProxy
) -> None:
    missing = ObjectLocation(bucket_name=located.bucket_name, key="missing")
    faulty_proxy.add(Fault(action=Reset(after=10)))

    fault = fault_of_range(store, missing, etag="0123456789abcdef0123456789abcdef")

    assert fault.transient
    assert fault.failure.kind is FailureKind.NETWORK
