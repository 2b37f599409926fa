"""AlphaKraken's status words: notes where S3 is in doubt, reasons where nothing was uploaded."""

from dataclasses import replace

import pytest
from plan_samples import NOW, catalog_document

from planner.backup_status import explain_doubt, explain_no_upload, is_never_uploaded
from planner.build_plan import build_download_plan, with_default_project
from planner.records import RawFileRecord, parse_record
from schemas.plan import RawFilePlan
from schemas.site.config import SiteConfig

SITE = SiteConfig(output_location="/out")
# All that AlphaKraken writes; see BackupStatus and RawFileStatus there.
BACKUP_STATUSES = ["copying_in_progress", "copying_done", "copying_failed", "upload_in_progress", "upload_failed"]
STATUSES = ["ignored", "error", "queued_for_monitoring", "monitoring_acquisition", "monitoring_done", "copying"]
STATUSES += ["copying_done", "queued_for_quanting", "quanting", "quanting_failed", "acquisition_failed", "done"]


def record_of(**changes: object) -> RawFileRecord:
    return parse_record(catalog_document("a.raw", **changes))


def planned(record: RawFileRecord) -> RawFilePlan:
    plan = build_download_plan([], [record], site=SITE, catalog_description="c", created_at=NOW)
    return plan.raw_files[0]


@pytest.mark.parametrize("backup_status", [*BACKUP_STATUSES, "skipped"])
def test_every_status_but_upload_done_should_be_a_note_that_names_it(backup_status: str) -> None:
    raw_file = planned(record_of(backup_status=backup_status))
    (note,) = raw_file.notes
    assert note.startswith(f"backup_status is {backup_status}: ")
    assert "S3 may hold an older" in note
    assert raw_file.error is None


@pytest.mark.parametrize("backup_status", ["done", "UPLOAD_DONE", "x\ny", 5, ["upload_done"]])
def test_a_status_that_is_unknown_should_be_a_note_too(backup_status: object) -> None:
    (note,) = planned(record_of(backup_status=backup_status)).notes
    assert note.isprintable()
    assert "not upload_done, which alone vouches for what S3 holds" in note


@pytest.mark.parametrize("backup_status", ["upload_done", None, "", ...])
def test_a_status_that_vouches_or_is_not_there_should_be_no_note(backup_status: object) -> None:
    assert planned(record_of(backup_status=backup_status)).notes == ()
    assert explain_doubt(None) is None


@pytest.mark.parametrize("status", [*STATUSES, None])
@pytest.mark.parametrize("backup_status", [*BACKUP_STATUSES, "skipped", "upload_done", "odd", None])
def test_a_raw_file_without_an_upload_should_say_why_and_name_its_words(
    status: str | None, backup_status: str | None
) -> None:
    record = record_of(s3_upload_path=None, status=status, backup_status=backup_status)
    reason = explain_no_upload(record)
    assert is_never_uploaded(record)
    assert planned(record).error == reason
    assert planned(record).notes == ()
    words = [f"status {status}"] * (status is not None) + [f"backup_status {backup_status}"] * (
        backup_status is not None
    )
    expected_end = f" ({', '.join(words)})" if words else "RawFile has no s3_upload_path"
    assert reason.startswith("RawFile has no s3_upload_path")
    assert reason.endswith(expected_end)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": "ignored"}, "AlphaKraken ignored it"),
        ({"status": "queued_for_monitoring"}, "it is not backed up yet"),
        ({"status": "error"}, "ended with an error"),
        ({"backup_status": "skipped", "status": "done"}, "its backup was skipped"),
        ({"backup_status": "upload_failed", "status": "done"}, "its upload to S3 failed"),
        ({"backup_status": "upload_in_progress", "status": "done"}, "its upload to S3 has not ended"),
        ({"status": "done"}, "it is older than the backups to S3"),
    ],
)
def test_the_reason_should_be_in_words(changes: dict[str, object], words: str) -> None:
    assert words in explain_no_upload(record_of(s3_upload_path=None, **changes))


def test_a_raw_file_without_a_project_should_go_to_the_default_one_with_a_note() -> None:
    for missing in (None, "", ...):
        record = with_default_project(record_of(project_id=missing, backup_status="upload_failed"), "_FALLBACK")
        raw_file = planned(record)
        assert (raw_file.project_id, raw_file.destination_base) == ("_FALLBACK", "/out/_FALLBACK")
        assert len(raw_file.notes) == 2
        assert "project_id is missing in the catalog: planned for _FALLBACK" in raw_file.notes
    assert planned(with_default_project(record_of(project_id=None), None)).error == "RawFile has no project_id"


def test_the_default_project_should_leave_everything_else_alone() -> None:
    for record in (record_of(), record_of(project_id=5), replace(record_of(), raw_file_id="b")):
        assert with_default_project(record, "_FALLBACK") == record
    assert "Unsafe path: project_id" in str(planned(with_default_project(record_of(project_id=None), "../x")).error)
