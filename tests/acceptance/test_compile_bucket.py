"""`kraken-plan compile --catalog s3://…`: a plan out of a bucket alone, restored byte for byte."""

import re
import socketserver
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from apply_case import bruker, thermo
from cli import Cli, CliResult
from conftest import MakeBucket, MakeRestoreCase
from faulty_proxy import FaultyProxy
from loopback_server import LoopbackServer
from network_faults import Answer, Fault
from restore_case import RestoreCase, raw_file
from sample_data import MIB, made_up_bytes

from schemas.plan import Plan
from schemas.plan_source import load_plan

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture
def case(make_restore_case: MakeRestoreCase) -> RestoreCase:
    """A Thermo, a Bruker and a Sciex raw file in one bucket, some files in parts of 5 MB."""
    wiff = raw_file("s.wiff", {"s.wiff": (b"s", 5), "s.wiff.scan": (made_up_bytes("s", 11 * MIB), 5)}, prefix="s.wiff")
    return make_restore_case(thermo(), bruker(), wiff)


def compile_bucket(run_cli: Cli, case: RestoreCase, *arguments: str, address: str = "") -> CliResult:
    return run_cli(
        *("compile", "--catalog", address or f"s3://{case.bucket()}", "--config", case.config_path, "-o", "plan.json"),
        *arguments,
    )


def written(run_cli: Cli) -> Plan:
    return load_plan(str(run_cli.folder / "plan.json"))


def test_a_bucket_alone_should_be_enough_to_restore_everything(run_cli: Cli, case: RestoreCase) -> None:
    # when
    compiled = compile_bucket(run_cli, case, "--project", "PRID001")
    applied = run_cli("apply", "plan.json")
    # then
    assert compiled.exit_code == 0, compiled.stderr
    assert "nothing but S3 itself vouches for its etags" in compiled.stderr
    plan = written(run_cli)
    assert sorted(raw.raw_file_id for raw in plan.raw_files) == ["s.wiff", "sample.d", "sample.raw"]
    assert plan.compiled_from is not None
    assert plan.compiled_from.catalog.startswith(f"listing of s3://{case.bucket()}/")
    assert applied.exit_code == 0, applied.stderr
    assert case.unrestored() == []


def test_the_plan_should_be_what_the_catalog_gives_but_for_notes_and_bare_part_sizes(
    run_cli: Cli, case: RestoreCase
) -> None:
    compile_bucket(run_cli, case, "--project", "PRID001")
    by_bucket = {str(file.s3_key): file for _, file in written(run_cli).planned_files()}
    run_cli(
        "compile", *case.raw_file_ids, "--catalog", case.export_path, "--config", case.config_path, "-o", "plan.json"
    )
    by_catalog = {str(file.s3_key): file for _, file in written(run_cli).planned_files()}
    assert by_bucket.keys() == by_catalog.keys()
    for key, file in by_catalog.items():
        assert (by_bucket[key].relative_path, by_bucket[key].expected_size) == (file.relative_path, file.expected_size)
        if "-" in file.expected_etag:
            assert (by_bucket[key].expected_etag, by_bucket[key].chunk_size_mb) == (
                file.expected_etag,
                file.chunk_size_mb,
            )


def test_only_the_newest_version_and_nothing_deleted_should_be_planned(
    run_cli: Cli, case: RestoreCase, s3: "S3Client"
) -> None:
    s3.put_object(Bucket=case.bucket(), Key="s.wiff/s.wiff", Body=b"newer")
    s3.delete_object(Bucket=case.bucket(), Key="sample.raw")
    assert compile_bucket(run_cli, case, "--project", "PRID001").exit_code == 0
    files = {str(file.s3_key): file.expected_size for _, file in written(run_cli).planned_files()}
    assert files["s.wiff/s.wiff"] == 5
    assert "sample.raw" not in files


def test_ids_and_patterns_should_choose_and_what_is_not_there_be_named(run_cli: Cli, case: RestoreCase) -> None:
    result = compile_bucket(run_cli, case, "--project", "PRID001", "Sample.d", "--match", "*.wiff")
    assert result.exit_code == 1
    assert "Sample.d: RawFile not found in the catalog; nearest: sample.d" in result.stderr
    assert [raw.raw_file_id for raw in written(run_cli).raw_files] == ["Sample.d", "s.wiff"]


def test_odd_keys_and_prefixes_should_be_listed_as_they_are(
    run_cli: Cli, case: RestoreCase, s3: "S3Client", make_bucket: MakeBucket
) -> None:
    bucket = make_bucket("odd")
    keys = ["p@e/a b+c.raw", "p@e/grün%20,ü.d/x y", "p@e/100%.d/#1", "elsewhere/x", "p@efix/y.raw"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    result = compile_bucket(run_cli, case, "--project", "P", address=f"s3://{bucket}/p@e/")
    assert result.exit_code == 0, result.stderr
    origin = written(run_cli).compiled_from
    assert origin is not None
    assert origin.catalog.startswith(f"listing of s3://{bucket}/p@e/, ")
    assert sorted(str(file.s3_key) for _, file in written(run_cli).planned_files()) == sorted(keys[:3])
    assert run_cli("apply", "plan.json").exit_code == 0


def test_a_list_of_many_pages_should_be_followed_to_its_end(
    run_cli: Cli, case: RestoreCase, s3: "S3Client", make_bucket: MakeBucket
) -> None:
    bucket = make_bucket("many")
    for number in range(1050):
        s3.put_object(Bucket=bucket, Key=f"a.d/{number:05}", Body=b"")
    assert compile_bucket(run_cli, case, "--project", "P", address=f"s3://{bucket}").exit_code == 0
    assert sum(1 for _ in written(run_cli).planned_files()) == 1050


def test_a_server_that_does_not_tell_part_sizes_should_have_them_inferred_with_a_note(
    run_cli: Cli, case: RestoreCase, faulty_proxy: FaultyProxy
) -> None:
    faulty_proxy.add(Fault(action=Answer(status=501, code="NotImplemented"), method="HEAD"))
    result = compile_bucket(
        run_cli, case, "--project", "PRID001", "--endpoint-url", faulty_proxy.endpoint_url, "sample.raw"
    )
    assert result.exit_code == 0, result.stderr
    (file,) = [file for _, file in written(run_cli).planned_files()]
    assert file.chunk_size_mb == 5
    assert "is inferred from the size and the number of parts" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "address", "words"),
    [
        ([], "", "takes one --project PRID"),
        (["--project", "A,B"], "", "takes one --project PRID"),
        (["--project", "P", "--since", "2025-01-01"], "", "knows neither instruments nor dates"),
        (["--project", "P"], "s3://no-such-bucket-here", "S3 bucket does not exist: no-such-bucket-here"),
        (["--project", "P"], "s3://", "is not a bucket name"),
        (["--project", "P", "--match", "z*"], "", "has no raw files of match 'z*'"),
        (["--project", "P", ""], "", "name no raw files: leave both out to plan the whole bucket"),
        (["--project", "P", ","], "", "name no raw files: leave both out to plan the whole bucket"),
        (["--project", "P", "--ids-file", "-"], "", "name no raw files: leave both out to plan the whole bucket"),
        (["--project", "P", "--ids-file", "comment.txt"], "", "name no raw files: leave both out to plan the whole"),
    ],
)
def test_what_cannot_be_listed_should_be_refused_and_an_earlier_plan_kept(
    run_cli: Cli, case: RestoreCase, arguments: list[str], address: str, words: str
) -> None:
    earlier = b'{"format_version": "old"}'
    (run_cli.folder / "plan.json").write_bytes(earlier)
    (run_cli.folder / "comment.txt").write_text("# none\n", encoding="utf-8")
    result = compile_bucket(run_cli, case, *arguments, address=address)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr
    assert (run_cli.folder / "plan.json").read_bytes() == earlier


def test_an_empty_bucket_should_be_refused(run_cli: Cli, case: RestoreCase, make_bucket: MakeBucket) -> None:
    result = compile_bucket(run_cli, case, "--project", "P", address=f"s3://{make_bucket('empty')}")
    assert result.exit_code == 2
    assert "has no objects" in result.stderr


# --- lists of servers that mean no good


def listing_server(page: Callable[[int], str]) -> LoopbackServer:
    """Answers every request with the next page."""
    asked: list[int] = []

    class Lister(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while line := self.rfile.readline():
                while self.rfile.readline().strip():
                    pass
                asked.append(1)
                body = page(len(asked)).encode()
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nContent-Type: application/xml\r\n\r\n"
                self.wfile.write(head.encode() + (b"" if line.startswith(b"HEAD") else body))

    return LoopbackServer(Lister)


def truncated(contents: str, token: str) -> str:
    return (
        f"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>"
        f"{contents}</ListBucketResult>"
    )


ONE = "<Contents><Key>a.raw</Key><Size>3</Size><ETag>x</ETag></Contents>"


@pytest.mark.parametrize(
    "page",
    [
        lambda number: truncated(ONE, f"t{number}"),
        lambda number: truncated(ONE.replace("a.raw", f"{number % 2}.raw"), f"t{number}"),
        lambda _: truncated("", "same"),
        lambda number: truncated("", f"t{number}"),
        lambda number: truncated(ONE.replace("a.raw", f"{number:09}.raw"), "same"),
        pytest.param(
            lambda _: "<ListBucketResult><Contents><Key>a</Key><Size>x</Size></Contents></ListBucketResult>",
            marks=pytest.mark.long,  # it is asked for again and again, for a minute
        ),
    ],
)
def test_a_list_without_an_end_should_be_refused_in_bounded_time(
    run_cli: Cli, case: RestoreCase, page: Callable[[int], str]
) -> None:
    with listing_server(page) as server:
        result = compile_bucket(
            run_cli, case, "--project", "P", "--endpoint-url", f"http://127.0.0.1:{server.port}", address="s3://bkt"
        )
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.search(r"s3://bkt/ cannot be listed, so there is no plan: ", result.stderr)
