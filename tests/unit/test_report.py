from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from applier.reports.report_text import ReportedRun, render_report
from schemas.results import Failure, FailureKind, FileResult, Outcome, RawFileResult, RunEnd, RunHead

EXAMPLE = Path(__file__).parents[2] / "examples" / "reports" / "_download_status_batch_20250204_143022.txt"
DESTINATION = "/fs/pool/pool-0/alphakraken_sandbox/output/PRID001"
WRITTEN_AT = datetime(2025, 2, 4, 14, 30, 22, tzinfo=UTC)
DIGEST = "sha256:65fa8cb5e05e3b7dc83a02ae7b2a03d82b6458bca1651e38aceddc61bd3ad851"


def ok(relative_path: str, outcome: Outcome = Outcome.SKIPPED, corrupt_copy: str | None = None) -> FileResult:
    return FileResult(
        relative_path=relative_path,
        outcome=outcome,
        size_bytes=1_294_467_072,
        duration_seconds=45.2,
        corrupt_copy=corrupt_copy,
    )


def failed(relative_path: str, kind: FailureKind, detail: str = "") -> FileResult:
    return FileResult(relative_path=relative_path, outcome=Outcome.FAILED, failure=Failure(kind, detail))


def raw_file(raw_file_id: str, *files: FileResult, failure: Failure | None = None) -> RawFileResult:
    return RawFileResult(
        raw_file_id=raw_file_id,
        project_id="PRID001",
        destination_base=DESTINATION,
        bucket_name="alphakraken-prid001",
        planned_files=len(files),
        files=() if failure else files,
        failure=failure,
    )


RUN = ReportedRun(
    head=RunHead(
        plan_digest=DIGEST,
        output_location="/fs/pool/pool-0/alphakraken_sandbox/output",
        started_at=WRITTEN_AT - timedelta(minutes=12),
        host="pool-node-3",
        user="operator",
        options=("--jobs 16", "--on-corrupt quarantine"),
    ),
    end=RunEnd(ended_at=WRITTEN_AT),
)


def rendered(*raw_files: RawFileResult) -> str:
    return "".join(render_report(DIGEST, DESTINATION, raw_files, WRITTEN_AT, [RUN]))


def test_notes_should_stand_in_the_head_of_their_raw_file_on_a_line_each() -> None:
    noted = replace(raw_file("a.raw", ok("a.raw")), notes=("upload_failed", "forged\nStatus: SUCCESS"))
    text = rendered(noted, raw_file("b.raw", ok("b.raw")))
    assert "Files: 1\nNote: upload_failed\nNote: forged\\nStatus: SUCCESS\n\nFiles:\n" in text
    assert text.count("Note: ") == 2
    failed_whole = raw_file("c.raw", failure=Failure(FailureKind.UNRESOLVED, "RawFile is malformed"))
    assert "Note: n\n\nERROR: RawFile is malformed\n" in rendered(replace(failed_whole, notes=("n",)))


def test_report_should_have_the_layout_of_the_example() -> None:
    # given
    mismatch = "etag mismatch: S3 4034a346ccee15292d823416f7510a2f, expected 307dfc986f0570804c1ffb2d54b872a3"
    raw_files = (
        raw_file(
            "20250115_sample",
            ok("sample.raw", Outcome.DOWNLOADED),
            ok("sample.raw/subfile1.bin"),
            ok("sample.raw/subfile2.bin", Outcome.HEALED),
            failed("sample.raw/subfile3.bin", FailureKind.S3_CORRUPTION, mismatch),
        ),
        raw_file(
            "20250116_sample.d",
            ok("20250116_sample.d/analysis.tdf", Outcome.HEALED, "analysis.tdf.corrupted"),
            failed("20250116_sample.d/old.bin", FailureKind.UNRESOLVED, "Not verifiable: no ETag recorded"),
            failed("20250116_sample.d/rest.bin", FailureKind.INTERRUPTED),
        ),
        raw_file("no_such_file", failure=Failure(FailureKind.UNRESOLVED, "RawFile not found in the catalog")),
    )

    # when / then
    assert rendered(*raw_files) == EXAMPLE.read_text(encoding="utf-8")


def test_report_should_say_success_only_where_everything_succeeded() -> None:
    good, bad = ok("a"), failed("b", FailureKind.INTERRUPTED)
    whole = raw_file("w", ok("c"), failure=Failure(FailureKind.BUCKET_MISSING, "b"))

    assert "\nStatus: SUCCESS\n" in rendered(raw_file("r", good))
    assert "\nStatus: PARTIAL FAILURE\n" in rendered(raw_file("r", good, bad))
    assert "\nStatus: PARTIAL FAILURE\n" in rendered(raw_file("r", good), whole)
    assert "\nStatus: FAILURE\n" in rendered(raw_file("r", bad))
    assert "\nStatus: FAILURE\n" in rendered(whole)


def test_report_should_count_the_files_of_a_raw_file_that_failed_as_a_whole() -> None:
    whole = raw_file("w", ok("c"), ok("d"), failure=Failure(FailureKind.BUCKET_MISSING, "bucket"))

    text = rendered(raw_file("r", ok("a")), whole)

    assert "Total files: 3\nSuccessful files: 1\nFailed files: 2\nFailed raw files: 1\n" in text
    assert "Files: 2\n\nERROR: S3 bucket does not exist: bucket\n" in text


def test_report_should_not_let_a_name_or_a_message_forge_a_line() -> None:
    # given names and messages with everything that ends a line or steers a terminal
    evil = "x\nStatus: SUCCESS\r\x1b[2J\u2028\u202e\u0085"
    raw_files = [
        raw_file(evil, failed(evil, FailureKind.KEY_NOT_FOUND, evil)),
        raw_file(evil + "2", failure=Failure(FailureKind.UNRESOLVED, evil)),
    ]

    # when
    text = rendered(*raw_files)

    # then
    assert text.count("\nStatus: ") == 1
    assert all(line.isprintable() for line in text.split("\n"))


def test_report_should_cut_a_message_of_a_megabyte() -> None:
    text = rendered(raw_file("r", failed("a", FailureKind.NETWORK, "x" * 1_000_000)))

    assert max(map(len, text.splitlines())) < 4096
