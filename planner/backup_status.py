"""Says what AlphaKraken's status words mean for a restore from S3. Pure.

Only `upload_done` vouches for S3: after a re-upload that failed, `s3_upload_path` stays, `file_info` is already the new
one, and S3 still holds the old object.
"""

from planner.records import RawFileRecord
from schemas.text import printable

UPLOAD_DONE = "upload_done"
NO_UPLOAD_PATH = "RawFile has no s3_upload_path"

_DOUBTS = {
    "upload_failed": "S3 may hold an older upload",
    "upload_in_progress": "S3 may hold an older upload, or only part of this one",
    "copying_in_progress": "this upload has not begun, S3 may hold an older one",
    "copying_done": "this upload has not begun, S3 may hold an older one",
    "copying_failed": "this upload has not begun, S3 may hold an older one",
    "skipped": "this upload was skipped, S3 may hold an older one",
}
_NEVER_UPLOADED = {
    "upload_failed": "its upload to S3 failed",
    "upload_in_progress": "its upload to S3 has not ended",
    "copying_in_progress": "it is still being copied to the backup, and not uploaded yet",
    "copying_done": "it was copied to the backup, but not uploaded to S3",
    "copying_failed": "copying it to the backup failed",
    "skipped": "its backup was skipped",
    UPLOAD_DONE: "the catalog contradicts itself",
}
_NEVER_BACKED_UP = {
    "ignored": "AlphaKraken ignored it",
    "error": "AlphaKraken ended with an error before it was uploaded",
    "acquisition_failed": "its acquisition failed",
    "copying": "it is not backed up yet",
}
_NOT_YET = ("queued", "monitoring")


def explain_doubt(backup_status: str | None) -> str | None:
    """Return the note on a raw file whose backup status does not vouch for S3; None if it does.

    A catalog that says nothing, such as an export without this field, gives no reason to doubt.

    >>> explain_doubt("upload_failed")
    'backup_status is upload_failed: S3 may hold an older upload'
    """
    if backup_status is None or backup_status == UPLOAD_DONE:
        return None
    doubt = _DOUBTS.get(backup_status, "not upload_done, which alone vouches for what S3 holds")
    return f"backup_status is {printable(backup_status, 100)}: {doubt}"


def explain_no_upload(record: RawFileRecord) -> str:
    """Return why a raw file has no `s3_upload_path`, as far as its status words say it."""
    words = {"status": record.status, "backup_status": record.backup_status}
    said = ", ".join(f"{name} {printable(word, 100)}" for name, word in words.items() if word is not None)
    if not said:
        return NO_UPLOAD_PATH
    if record.backup_status is not None:
        reason = _NEVER_UPLOADED.get(record.backup_status, "it was not uploaded to S3")
    elif record.status is not None and record.status.startswith(_NOT_YET):
        reason = "it is not backed up yet"
    else:
        reason = _NEVER_BACKED_UP.get(record.status or "", "it is older than the backups to S3")
    return f"{NO_UPLOAD_PATH}: {reason} ({said})"


def is_never_uploaded(record: RawFileRecord) -> bool:
    """Tell whether the catalog knows a raw file and knows of no upload of it."""
    return record.problem is None and record.s3_upload_path is None
