"""The tools that other tests rest on: each must do what it says, or those tests show nothing."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from catalog_server import Catalog
from cli import Cli, CliResult
from conftest import MakeBucket, MakeRestoreCase
from embedded_s3 import EmbeddedS3, embedded_s3
from faulty_proxy import FaultyProxy
from network_faults import Answer, Cut, Drip, Fault, Flip, Reset, Rewrite, Stall, other_etag
from pymongo import MongoClient
from restore_case import raw_file
from sample_data import MIB, etag_of, file_info_entry, made_up_bytes, upload_as_alphakraken
from slow_path import slow_path
from wire_tap import WireTap

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONTENT = made_up_bytes("support tools", 3 * MIB)
KEY = "folder/ä sample.raw"


@pytest.fixture
def bucket(s3: "S3Client", make_bucket: MakeBucket) -> str:
    name = make_bucket()
    s3.put_object(Bucket=name, Key=KEY, Body=CONTENT)
    return name


@pytest.fixture
def through_proxy(s3_server: EmbeddedS3, faulty_proxy: FaultyProxy) -> Iterator["S3Client"]:
    with closing(s3_server.client(faulty_proxy.endpoint_url, attempts=1)) as client:
        yield client


def get(client: "S3Client", bucket: str, byte_range: str = "bytes=0-") -> bytes:
    return client.get_object(Bucket=bucket, Key=KEY, Range=byte_range)["Body"].read()


# --- the S3 server and the oracle


@pytest.mark.parametrize(
    ("size", "suffix_on_s3"),
    [(0, ""), (1, ""), (5 * MIB - 1, ""), (5 * MIB, "-1"), (5 * MIB + 1, "-2"), (10 * MIB, "-2")],
)
def test_oracle_should_agree_with_the_server_but_for_the_suffix_at_one_chunk(
    s3: "S3Client", make_bucket: MakeBucket, tmp_path: Path, size: int, suffix_on_s3: str
) -> None:
    # given
    path = tmp_path / "sample.raw"
    path.write_bytes(CONTENT * 4)
    os.truncate(path, size)
    bucket = make_bucket()
    # when
    upload_as_alphakraken(s3, bucket, "sample.raw", path, 5)
    etag = s3.head_object(Bucket=bucket, Key="sample.raw")["ETag"].strip('"')
    expected = str(file_info_entry(path, 5)[2])
    # then
    assert etag[32:] == suffix_on_s3
    assert expected.endswith("__5")
    if suffix_on_s3 == "-1":
        assert len(expected.removesuffix("__5")) == 32
    else:
        assert expected.removesuffix("__5") == etag


def test_server_should_refuse_a_wrong_secret_and_a_read_only_write(s3_server: EmbeddedS3, bucket: str) -> None:
    with closing(s3_server.read_only().client()) as reader:
        assert get(reader, bucket) == CONTENT
        with pytest.raises(ClientError, match="AccessDenied"):
            reader.put_object(Bucket=bucket, Key="new", Body=b"")


def test_server_should_come_back_with_its_objects_after_a_kill(tmp_path: Path) -> None:
    with embedded_s3(tmp_path) as server, closing(server.client()) as client:
        client.create_bucket(Bucket="kept")
        client.put_object(Bucket="kept", Key="x", Body=b"bytes")
        os.kill(server.pid, signal.SIGKILL)
    with embedded_s3(tmp_path, again=server) as server_again, closing(server.client()) as client:
        assert server_again.endpoint_url == server.endpoint_url
        assert client.get_object(Bucket="kept", Key="x")["Body"].read() == b"bytes"
    assert not Path(f"/proc/{server_again.pid}").exists()


# --- the proxy


def test_proxy_should_pass_on_unharmed_and_log(
    through_proxy: "S3Client", faulty_proxy: FaultyProxy, bucket: str
) -> None:
    # when
    through_proxy.put_object(Bucket=bucket, Key="new", Body=CONTENT)
    etag = through_proxy.head_object(Bucket=bucket, Key=KEY)["ETag"]
    answer = through_proxy.get_object(Bucket=bucket, Key=KEY, Range="bytes=10-19", IfMatch=etag)
    # then
    assert answer["Body"].read() == CONTENT[10:20]
    put, head, got = faulty_proxy.log
    assert (put.request.method, put.request.path, put.status) == ("PUT", f"/{bucket}/new", 200)
    assert (head.request.method, head.status, head.sent_bytes) == ("HEAD", 200, 0)
    assert (got.request.path, got.request.range, got.request.if_match) == (f"/{bucket}/{KEY}", "bytes=10-19", etag)
    assert (got.status, got.sent_bytes, got.fault) == (206, 10, None)
    assert faulty_proxy.requests("GET", "sample.raw") == [got]


def test_proxy_should_flip_the_byte_of_the_object_once(
    through_proxy: "S3Client", faulty_proxy: FaultyProxy, bucket: str
) -> None:
    # given
    fault = Fault(action=Flip(offset=1_000_100), key=r"sample\.raw$", times=1)
    faulty_proxy.add(fault)
    # when
    not_covering = get(through_proxy, bucket, "bytes=0-999999")
    flipped = get(through_proxy, bucket, "bytes=1000000-")
    again = get(through_proxy, bucket, "bytes=1000000-")
    # then
    assert not_covering == CONTENT[:1_000_000]
    assert [at for at, (ours, right) in enumerate(zip(flipped, again, strict=True)) if ours != right] == [100]
    assert again == CONTENT[1_000_000:]
    assert [entry.fault for entry in faulty_proxy.log] == [None, fault, None]


@pytest.mark.parametrize("action", [Cut(after=1_000_000), Reset(after=1_000_000), Cut(), Reset()])
def test_proxy_should_break_off_within_the_body(
    through_proxy: "S3Client", faulty_proxy: FaultyProxy, bucket: str, action: Cut | Reset
) -> None:
    faulty_proxy.add(Fault(action=action, times=1))
    with pytest.raises((BotoCoreError, OSError)):
        get(through_proxy, bucket)
    assert faulty_proxy.log[0].status == 206
    if action.after is not None:
        assert faulty_proxy.log[0].sent_bytes == action.after
    assert faulty_proxy.log[0].sent_bytes < len(CONTENT)
    assert get(through_proxy, bucket) == CONTENT


@pytest.mark.parametrize("action", [Cut(after=0), Reset(after=0)])
def test_proxy_should_close_without_an_answer(
    through_proxy: "S3Client", faulty_proxy: FaultyProxy, bucket: str, action: Cut | Reset
) -> None:
    faulty_proxy.add(Fault(action=action, method="HEAD"))
    with pytest.raises(BotoCoreError):
        through_proxy.head_object(Bucket=bucket, Key=KEY)
    assert {entry.status for entry in faulty_proxy.log} == {None}


@pytest.mark.parametrize(
    ("action", "shortest"),
    [(Stall(seconds=0.4), 0.4), (Stall(seconds=0.4, after=9), 0.4), (Drip(bytes_per_second=6 * MIB), 0.3)],
)
def test_proxy_should_be_slow_and_right(
    through_proxy: "S3Client", faulty_proxy: FaultyProxy, bucket: str, action: Stall | Drip, shortest: float
) -> None:
    faulty_proxy.add(Fault(action=action))
    started = time.monotonic()
    assert get(through_proxy, bucket) == CONTENT
    assert time.monotonic() - started >= shortest


def test_proxy_should_end_at_once_while_it_stalls(s3_server: EmbeddedS3, bucket: str) -> None:
    with FaultyProxy(s3_server.port) as proxy, closing(s3_server.client(proxy.endpoint_url)) as client:
        proxy.add(Fault(action=Stall(seconds=60, after=5)))
        body = client.get_object(Bucket=bucket, Key=KEY)["Body"]
        started = time.monotonic()
    with closing(body), pytest.raises((BotoCoreError, OSError)):
        body.read()
    assert time.monotonic() - started < 5


def test_proxy_should_answer_by_itself_for_the_nth_requests(
    through_proxy: "S3Client", faulty_proxy: FaultyProxy, bucket: str
) -> None:
    faulty_proxy.add(Fault(action=Answer(status=403, code="RequestTimeTooSkewed"), method="GET", skip=1, times=1))
    assert get(through_proxy, bucket) == CONTENT
    with pytest.raises(ClientError, match="RequestTimeTooSkewed"):
        get(through_proxy, bucket)
    assert get(through_proxy, bucket) == CONTENT
    assert [entry.status for entry in faulty_proxy.log] == [206, 403, 206]


def test_proxy_should_lie_in_the_head(through_proxy: "S3Client", faulty_proxy: FaultyProxy, bucket: str) -> None:
    faulty_proxy.add(
        Fault(action=other_etag("0" * 32), method="HEAD"),
        Fault(action=Rewrite(status=200, headers={"Content-Range": None, "Content-Length": None}), method="GET"),
    )
    assert through_proxy.head_object(Bucket=bucket, Key=KEY)["ETag"] == f'"{"0" * 32}"'
    answer = through_proxy.get_object(Bucket=bucket, Key=KEY, Range="bytes=5-9")
    assert answer["Body"].read() == CONTENT[5:10]
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert "content-length" not in answer["ResponseMetadata"]["HTTPHeaders"]


def test_proxy_should_hit_a_seeded_share_of_the_requests(
    through_proxy: "S3Client", faulty_proxy: FaultyProxy, bucket: str
) -> None:
    faulty_proxy.add(Fault(action=other_etag(), method="HEAD", probability=0.25))
    for _ in range(80):
        through_proxy.head_object(Bucket=bucket, Key=KEY)
    hit = sum(entry.fault is not None for entry in faulty_proxy.log)
    assert 8 <= hit <= 35, f"seed {faulty_proxy.seed}"


# --- the catalog and the tap


def test_tap_should_see_reads_and_writes(catalog: Catalog) -> None:
    # given
    catalog.insert([{"_id": "there.raw", "file_info": {"a.b/c": [1.0, "md5"]}}])
    with WireTap(catalog.port) as tap:
        # when
        with MongoClient[dict[str, object]](tap.uri) as client:
            raw_files = client.get_default_database()["raw_file"]
            found = list(raw_files.find({"_id": {"$in": ["there.raw", "missing"]}}))
            only_reads = tap.names
            raw_files.insert_one({"_id": "new.raw"})
        # then
        assert [document["_id"] for document in found] == ["there.raw"]
        assert "find" in only_reads
        assert "insert" not in only_reads
        insert = next(command for command in tap.commands if command.name == "insert")
        assert insert.document["documents"] == [{"_id": "new.raw"}]


def test_catalog_should_be_empty_in_the_next_test(catalog: Catalog) -> None:
    with MongoClient[dict[str, object]](catalog.uri) as client:
        assert client.get_default_database()["raw_file"].count_documents({}) == 0


# --- the restore case and the program's checks


def test_restore_case_should_name_what_is_not_restored(make_restore_case: MakeRestoreCase, s3: "S3Client") -> None:
    # given
    content = made_up_bytes("case", 6 * MIB)
    files = {"a.d/big.bin": (content, 5), "a.d/sub/small.xml": (b"<x/>", 100)}
    case = make_restore_case(raw_file("a.d", files, prefix="backup"))
    # when
    (case.destination() / "a.d").mkdir(parents=True)
    (case.destination() / "a.d/big.bin").write_bytes(content)
    # then
    assert case.unrestored() == ["PRID001/a.d/sub/small.xml"]
    assert case.documents[0]["s3_upload_path"] == f"s3://{case.bucket()}/backup/"
    head = s3.head_object(Bucket=case.bucket(), Key="backup/a.d/big.bin")
    assert head["ETag"] == f'"{etag_of(content, 5)}"'
    assert case.export_path.read_text().count("\n") == 1


def test_run_should_fail_on_a_traceback(run_cli: Cli) -> None:
    with pytest.raises(AssertionError, match="Traceback"):
        run_cli.check(CliResult(exit_code=1, stdout="", stderr="Traceback (most recent call last):"))


@pytest.mark.parametrize(
    "said",
    [
        "SECRETKEY",
        "SECRETTOKEN",
        "MONGOPW",
        "p%40ss",
        "p@ss",
        "OPTIONPW",
        "VARIABLEPW",
        "https://h/?x-amz-signature=ab",
    ],
)
def test_run_should_fail_on_every_secret_that_any_run_was_given(run_cli: Cli, said: str) -> None:
    """The check that every test makes of all that the program has printed and written can fail."""
    # given runs with secrets wherever some are taken from
    variables = {
        "AWS_SECRET_ACCESS_KEY": "SECRETKEY",
        "AWS_SESSION_TOKEN": "SECRETTOKEN\n",
        "MONGO_PASSWORD": "MONGOPW",
        "KRAKEN_PLAN_CATALOG": "mongodb://user:p%40ss@h/db",
        "AWS_ENDPOINT_URL": "http://:VARIABLEPW@h:1",
    }
    run_cli("--version", environment=variables)
    run_cli("apply", "no-plan", "--endpoint-url", "http://user:OPTIONPW@h:1")
    # when they are printed or written, then that fails
    with pytest.raises(AssertionError, match="stands in what was printed"):
        run_cli.check(CliResult(exit_code=0, stdout="", stderr=f"ä {said}!"))
    leak = run_cli.folder / "report.txt"
    leak.write_bytes(b"\xff" + said.encode())
    with pytest.raises(AssertionError, match=r"stands in .*report\.txt"):
        run_cli.check_files()
    leak.unlink()
    run_cli.check_files()
    run_cli.check(CliResult(exit_code=0, stdout="http://127.0.0.1:9000/x", stderr="kraken user h"))


# --- the way to a far S3


def test_slow_path_should_pass_all_on_and_take_its_time_with_every_request(s3_server: EmbeddedS3, bucket: str) -> None:
    with (
        slow_path(s3_server.endpoint_url, delay_seconds=0.05) as endpoint_url,
        closing(s3_server.client(endpoint_url, attempts=1)) as client,
    ):
        begun = time.monotonic()
        contents = [client.get_object(Bucket=bucket, Key=KEY)["Body"].read() for _ in range(4)]
        took_seconds = time.monotonic() - begun

    assert contents == [CONTENT] * 4
    assert took_seconds >= 4 * 0.05
