"""Finds the object on S3 that holds what the plan asks for: this is the pre-check.

It is the object that the plan names, with the plan's etag. Where the operator accepts it, it can also be an older
version with that etag, an object of the same size that was uploaded in other parts, or one whose etag says nothing:
the catalog's etag or MD5, computed from what is read back, decides then as it always does.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from applier.restore.decide import judge_encryption, judge_s3
from applier.restore.failures import FileFailedError
from applier.s3.faults import MISSING_PERMISSION_CODES, S3Fault
from applier.s3.fetcher import Fetcher
from applier.s3.lists.objects_ahead import ObjectsAhead
from applier.s3.protocol import ObjectInfo, ObjectVersion
from applier.target import Target
from schemas.etag import Etag, same_content
from schemas.plan import PlannedFile
from schemas.results import Failure, FailureKind
from schemas.s3_location import ObjectLocation
from schemas.text import printable

logger = logging.getLogger(__name__)

# What the plan notes about a raw file (its last upload failed, for one) may say why.
_IS_NOT_THE_PLANNED_OBJECT = frozenset(
    {
        FailureKind.S3_CORRUPTION,
        FailureKind.OVERWRITTEN,
        FailureKind.OTHER_PARTS,
        FailureKind.KEY_NOT_FOUND,
        FailureKind.DELETED,
    }
)


def known_md5(file: PlannedFile) -> str | None:
    """Return the MD5 of a planned file's whole content; None if the plan does not have it."""
    etag = Etag.parse(file.expected_etag)
    return file.expected_md5 or (etag.digest if etag.parts is None else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """Which objects the operator accepts beside the one that the plan names.

    Args:
        older_versions: an older version with the planned etag, where the current one is missing or another.
        other_parts: an object of the planned size whose etag is made of other parts.
        md5: bytes that have the plan's MD5, though not its etag: S3's is not always made of the bytes.
    """

    older_versions: bool = False
    other_parts: bool = False
    md5: bool = False

    def md5_of(self, file: PlannedFile) -> str | None:
        """Return the MD5 that proves a file as its etag does; None if only the etag counts."""
        return known_md5(file) if self.md5 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundObject:
    """An object that can be downloaded.

    Args:
        location: where it is; a version of its own where an older one was found.
        info: its etag and size as S3 has them.
        note: how it differs from what the plan names, for people; None if it does not.
    """

    location: ObjectLocation
    info: ObjectInfo
    note: str | None = None


def find_object(target: Target, fetcher: Fetcher, ahead: ObjectsAhead, accept: Acceptance) -> FoundObject:
    """Return the object that holds a planned file, as S3 lists it or as it answers for this one.

    Raises:
        FileFailedError: S3 has no such object; the failure says what it has, and which option would accept that.
        S3Fault: S3 gives no answer, or does not permit it.
        Interrupted: the run is to stop.
    """
    return find_listed(target, ahead) or ask_for_object(target, fetcher, accept)


def find_listed(target: Target, ahead: ObjectsAhead) -> FoundObject | None:
    """Return the object that holds a planned file where S3 lists it just as the plan has it; else None.

    Raises:
        Interrupted: the run is to stop.
    """
    if target.file.expected_size is None:
        return None  # the size would be the listing's word alone
    listed = ahead.listed(target.location)
    if listed is None or judge_s3(target.file, listed) is not None:
        return None
    if logger.isEnabledFor(logging.INFO):
        logger.info("%s: S3 pre-check passed, listed etag %s", printable(target.file.relative_path), listed.etag)
    return FoundObject(location=target.location, info=listed)


def is_listed_as_planned(target: Target, ahead: ObjectsAhead) -> bool:
    """Tell whether S3 has already listed a planned file's object just as the plan has it; asks for nothing."""
    listed = ahead.peek(target.location)
    return listed is not None and judge_s3(target.file, listed) is None


def is_found_listed_as_planned(target: Target, ahead: ObjectsAhead) -> bool:
    """Tell whether S3 lists a planned file's object just as the plan has it; asks S3, if that is worth a listing."""
    try:
        ahead.learn(target.location)
    except BaseException:  # noqa: BLE001  # whoever asks for the object by itself will say what it is
        return False
    return is_listed_as_planned(target, ahead)


def ask_for_object(target: Target, fetcher: Fetcher, accept: Acceptance) -> FoundObject:
    """Return the object that holds a planned file, as S3 answers for this one; see `find_object`."""
    try:
        return _find(target, fetcher, accept)
    except FileFailedError as failed:
        if failed.failure.kind not in _IS_NOT_THE_PLANNED_OBJECT or not target.notes:
            raise
        detail = f"{failed.failure.detail}; noted in the plan: {'; '.join(target.notes)}"
        raise FileFailedError(Failure(failed.failure.kind, detail)) from failed


def _find(target: Target, fetcher: Fetcher, accept: Acceptance) -> FoundObject:
    try:
        info = fetcher.head(target.location)
    except S3Fault as fault:
        if fault.failure.kind is not FailureKind.KEY_NOT_FOUND:
            raise
        return _find_older_version(target, fetcher, accept, fault.failure)
    failure = judge_s3(target.file, info)
    if failure is None:
        logger.debug("%s: S3 pre-check passed, etag %s", printable(target.file.relative_path), info.etag)
        return FoundObject(location=target.location, info=info)
    if failure.kind in {FailureKind.S3_CORRUPTION, FailureKind.OTHER_PARTS}:
        failure = judge_encryption(target.file, fetcher.encryption(target.location)) or failure
    if failure.kind is FailureKind.NOT_VERIFIABLE:
        if accept.md5_of(target.file) is None or target.file.expected_size not in {None, info.size_bytes}:
            raise FileFailedError(name_md5(known_md5(target.file), failure))
        return FoundObject(location=target.location, info=info)
    if accept.other_parts and _may_be_in_other_parts(target.file, info):
        note = f"an object in other parts (S3's etag {info.etag})"
        return FoundObject(location=target.location, info=info, note=note)
    return _find_older_version(target, fetcher, accept, failure)


def name_md5(md5: str | None, failure: Failure) -> Failure:
    """Return a failure to verify by etag, with the option that verifies by MD5 where the plan has one."""
    if md5 is None:
        return failure
    return Failure(failure.kind, f"{failure.detail}; the plan has the MD5: apply --accept-md5 verifies by it")


def _may_be_in_other_parts(file: PlannedFile, info: ObjectInfo) -> bool:
    """Tell whether an object with another etag can have the same bytes: two MD5s of a whole content cannot lie."""
    found, expected = Etag.parse(info.etag), Etag.parse(file.expected_etag)
    many_parts = max(found.parts or 1, expected.parts or 1) > 1
    return many_parts and info.size_bytes == file.expected_size


def _find_older_version(target: Target, fetcher: Fetcher, accept: Acceptance, failure: Failure) -> FoundObject:
    """Ask for an older version with the planned etag; the newest one if there are several.

    Raises:
        FileFailedError: there is none, it cannot be learnt, or it is not accepted.
    """
    if target.location.version_id is not None:
        raise FileFailedError(failure)  # the plan asks for this version and no other
    try:
        versions = fetcher.list_versions(target.location)
    except S3Fault as fault:
        logger.info("%s: its versions cannot be listed: %s", printable(target.file.relative_path), fault)
        detail = f"{failure.detail}; cannot tell whether an older version has it: {_why_not_listed(fault)}"
        raise FileFailedError(Failure(failure.kind, detail)) from fault
    place = next((place for place, version in enumerate(versions) if _is_planned(target.file, version)), None)
    if place is None:
        raise FileFailedError(failure)
    version = versions[place]
    described = _describe(versions, place)
    if not accept.older_versions:
        kind = FailureKind.DELETED if failure.kind is FailureKind.KEY_NOT_FOUND else FailureKind.OVERWRITTEN
        comma = "," if place else ""  # ends what became of the version
        detail = f"{failure.detail}; the {described}{comma} has the planned etag: apply --recover-versions restores it"
        raise FileFailedError(Failure(kind, detail))
    location = replace(target.location, version_id=version.version_id)
    info = ObjectInfo(etag=version.etag or "", size_bytes=version.size_bytes or 0, version_id=version.version_id)
    return FoundObject(location=location, info=info, note=described)


def _why_not_listed(fault: S3Fault) -> str:
    if fault.failure.kind is FailureKind.ACCESS_DENIED and fault.code in MISSING_PERMISSION_CODES:
        return "s3:ListBucketVersions is not permitted"
    return fault.failure.detail


def _is_planned(file: PlannedFile, version: ObjectVersion) -> bool:
    if version.etag is None or file.expected_size not in {None, version.size_bytes}:
        return False
    try:
        return same_content(Etag.parse(file.expected_etag), Etag.parse(version.etag))
    except ValueError:
        return False


def _describe(versions: Sequence[ObjectVersion], place: int) -> str:
    """Return when a version was uploaded, and when it was overwritten or deleted; place 0 is the newest."""
    uploaded = versions[place].last_modified
    words = f"version of {uploaded:%Y-%m-%d %H:%M} UTC" if uploaded else "version of unknown date"
    if place == 0:
        return words
    next_version = versions[place - 1]
    words += ", which was deleted" if next_version.etag is None else ", which was overwritten"
    return f"{words} on {next_version.last_modified:%Y-%m-%d %H:%M} UTC" if next_version.last_modified else words
