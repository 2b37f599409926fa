"""What is to be done with a file, from what was seen: the plan, S3, the local bytes. Pure; nothing is touched here."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from applier.disk.file_identity import FileIdentity
from applier.s3.protocol import ObjectInfo
from schemas.etag import Etag, explain_impossible, same_content
from schemas.plan import PlannedFile
from schemas.results import Failure, FailureKind


class LocalKind(Enum):
    """What stands under a file's final name."""

    ABSENT = "absent"
    RIGHT = "right"
    WRONG = "wrong"
    UNREADABLE = "unreadable"
    UNUSABLE = "unusable"
    CHANGING = "changing"  # while it was read, twice: what was read may be of no version of it
    UNVERIFIED = "unverified"  # of the right size, or of none that is known; its bytes were not read


@dataclass(frozen=True, slots=True)
class LocalState:
    """What stands under a file's final name.

    Args:
        kind: what it is.
        detail: how it is wrong, or why it cannot be used.
        identity: of a file that could be opened, see `file_identity`; after it was read, its inode is 0 where its file
            system numbers inodes anew at each look.
        part_digests: the binary MD5 of each part, of a file of the right size that was read.
    """

    kind: LocalKind
    detail: str = ""
    identity: FileIdentity | None = None
    part_digests: Sequence[bytes] = ()


class Action(Enum):
    """What apply does with a file."""

    SKIP = "skip"
    VERIFY = "verify"  # hash it, then skip or heal: a look that reads no local bytes cannot tell the two apart
    DOWNLOAD = "download"
    HEAL = "heal"


def judge_s3(file: PlannedFile, info: ObjectInfo) -> Failure | None:
    """Return why the object on S3 is not what the plan says; None if it is. This is the pre-check."""
    try:
        found = Etag.parse(info.etag)
    except ValueError:
        return Failure(
            FailureKind.NOT_VERIFIABLE,
            f"S3's etag {info.etag!r} is not made of the object's bytes (SSE-KMS, SSE-C or another S3?), "
            f"expected {file.expected_etag}",
        )
    expected = Etag.parse(file.expected_etag)
    if not same_content(expected, found):
        if (found.parts or 1) != (expected.parts or 1) and info.size_bytes == file.expected_size:
            return Failure(
                FailureKind.OTHER_PARTS,
                f"etag mismatch: S3 {found}, expected {expected}; the size is right, so the same bytes may have been "
                "uploaded anew: apply --accept-other-parts fetches them and has the planned etag decide",
            )
        return Failure(FailureKind.S3_CORRUPTION, f"etag mismatch: S3 {found}, expected {expected}")
    if file.expected_size is not None and file.expected_size != info.size_bytes:
        return Failure(
            FailureKind.S3_CORRUPTION, f"size mismatch: S3 {info.size_bytes} bytes, expected {file.expected_size}"
        )
    if reason := explain_impossible(expected, info.size_bytes, file.chunk_size_mb):
        return Failure(FailureKind.NOT_VERIFIABLE, reason)
    return None


def judge_encryption(file: PlannedFile, encryption: str | None) -> Failure | None:
    """Return NOT_VERIFIABLE if S3's encryption explains why an etag is not made of the object's bytes; else None.

    Args:
        file: the plan's entry.
        encryption: how S3 encrypts the object. With keys of its key management (`aws:kms`, `aws:kms:dsse`) the etag is
            no MD5: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
    """
    if encryption is None or not encryption.startswith("aws:kms"):
        return None
    return Failure(
        FailureKind.NOT_VERIFIABLE,
        f"S3 encrypts the object with {encryption}: its etag there is not made of its bytes, "
        f"expected {file.expected_etag}",
    )


def judge_local(file: PlannedFile, found: Etag) -> LocalState:
    """Return what a local file is whose etag was computed from its bytes."""
    if found == Etag.parse(file.expected_etag):
        return LocalState(LocalKind.RIGHT)
    return LocalState(LocalKind.WRONG, f"etag {found}, expected {file.expected_etag}")


def decide(local: LocalState) -> Action | Failure:
    """Return what to do with a file whose object on S3 has passed the pre-check."""
    match local.kind:
        case LocalKind.RIGHT:
            return Action.SKIP
        case LocalKind.ABSENT:
            return Action.DOWNLOAD
        case LocalKind.WRONG | LocalKind.UNREADABLE:
            return Action.HEAL
        case LocalKind.UNVERIFIED:
            return Action.VERIFY
        case LocalKind.UNUSABLE | LocalKind.CHANGING:
            return Failure(FailureKind.CANNOT_WRITE, local.detail)
