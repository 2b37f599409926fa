"""Learns from S3 how objects are archived, and asks S3 to restore them.

Asking for a restore is the only request of this program that is more than a question: it costs money, and S3 then keeps
a readable copy for some days. Objects of INTELLIGENT_TIERING move back for good instead. Nothing else is ever changed
on S3. The rules are AWS's: https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from applier.s3.faults import COLD, S3Fault, being_restored
from applier.s3.protocol import current_restore
from schemas.results import FailureKind
from schemas.s3_location import ObjectLocation

if TYPE_CHECKING:
    from applier.s3.boto_store import BotoStore

_ACCEPTED = frozenset({200, 202})  # 200: there is a readable copy already, which S3 now keeps for longer
_NOT_IMPLEMENTED = 501
# A restore from an archive takes between minutes and two days.
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 5.0, 600.0


class Tier(Enum):
    """How fast, and how dear, S3 restores an object; the value is S3's word."""

    EXPEDITED = "Expedited"
    STANDARD = "Standard"
    BULK = "Bulk"


class Archive(Enum):
    """Where S3 keeps an object that cannot be read; the value is S3's word."""

    GLACIER = "GLACIER"
    DEEP_ARCHIVE = "DEEP_ARCHIVE"
    ARCHIVE_ACCESS = "ARCHIVE_ACCESS"
    DEEP_ARCHIVE_ACCESS = "DEEP_ARCHIVE_ACCESS"

    @property
    def tiers(self) -> tuple[Tier, ...]:
        """With which tiers S3 restores from it."""
        deep = self in {Archive.DEEP_ARCHIVE, Archive.DEEP_ARCHIVE_ACCESS}
        return (Tier.STANDARD, Tier.BULK) if deep else tuple(Tier)

    @property
    def makes_copies(self) -> bool:
        """Whether what is restored is a copy for some days; else, in INTELLIGENT_TIERING, the object moves back."""
        return self in {Archive.GLACIER, Archive.DEEP_ARCHIVE}


# All but INTELLIGENT_TIERING, which may have moved an object to an archive: its class does not say so.
_READABLE_CLASSES = frozenset({"STANDARD", "STANDARD_IA", "ONEZONE_IA", "REDUCED_REDUNDANCY", "GLACIER_IR"})
# A HEAD names the archive of an object of this class, so that nobody has to read it, which would move it.
_TELLING_CLASS = "INTELLIGENT_TIERING"


def is_readable(storage_class: str | None) -> bool:
    """Tell whether an object of this storage class can be read at once; False also where that is not known."""
    return storage_class in _READABLE_CLASSES


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedObject:
    """An object in an archive.

    Args:
        storage_class: where it is, for people.
        archive: which one; None where it is one of the server's own, which S3's request does not know.
        is_being_restored: whether a restore is under way.
        is_restored: whether there is a copy that can be read.
    """

    storage_class: str
    archive: Archive | None
    is_being_restored: bool
    is_restored: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRequest:
    """How objects are to be restored.

    Args:
        tier: how fast.
        days: for how many days a copy is kept.
    """

    tier: Tier
    days: int

    def body(self, archive: Archive) -> bytes:
        """Return what is sent to S3."""
        days = f"<Days>{self.days}</Days>" if archive.makes_copies else ""
        tier = f"<GlacierJobParameters><Tier>{self.tier.value}</Tier></GlacierJobParameters>"
        namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
        return f'<RestoreRequest xmlns="{namespace}">{days}{tier}</RestoreRequest>'.encode()


class Archives:
    """S3's archives, by requests of our own.

    Args:
        boto: sends them.
    """

    def __init__(self, boto: "BotoStore") -> None:
        self._boto = boto

    def look(self, location: ObjectLocation) -> ArchivedObject | None:
        """Return how an object that is not empty is archived; None if it is in no archive.

        Other servers have classes of their own, or name none: only asking for a byte tells then.

        Raises:
            S3Fault: there is no such answer.
        """
        headers = self._boto.read_headers(location)
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
        name = headers.get("x-amz-archive-status") or headers.get("x-amz-storage-class")
        archive = next((archive for archive in Archive if archive.value == name), None)
        if archive is None and (is_readable(name) or name == _TELLING_CLASS or self._gives_a_byte(location)):
            return None
        is_ongoing = being_restored(current_restore(headers))
        return ArchivedObject(
            storage_class=name or COLD,
            archive=archive,
            is_being_restored=is_ongoing is True,
            is_restored=archive is not None and is_ongoing is False,
        )

    def _gives_a_byte(self, location: ObjectLocation) -> bool:
        try:
            self._boto.check_readable(location)
        except S3Fault as fault:
            if fault.failure.kind not in {FailureKind.ARCHIVED, FailureKind.THAWING}:
                raise
            return False
        return True

    def request_restore(self, location: ObjectLocation, archive: Archive, request: RestoreRequest) -> None:
        """Ask S3 to restore an object; where a restore is under way, or done, nothing changes but the copy's last day.

        Raises:
            S3Fault: S3 does not.
        """
        answer = self._boto.ask("POST", location, query={"restore": ""}, body=request.body(archive))
        if answer.status in _ACCEPTED or answer.code == "RestoreAlreadyInProgress":
            return
        archived = f"{archive.value}: {location}"
        match answer.code:
            case "GlacierExpeditedRetrievalNotAvailable":  # a 503, and yet not worth waiting for
                words = f"{archived}: S3 has no capacity for {request.tier.value} now: give --tier Standard"
                raise S3Fault(FailureKind.ARCHIVED, words, status=answer.status, code=answer.code)
            case "InvalidObjectState":
                words = f"{archived}: S3 says that it cannot be restored from its present storage class: look again"
                raise S3Fault(FailureKind.ARCHIVED, words, status=answer.status, code=answer.code)
            case "AccessDenied":
                words = f"{location}: S3 answered {answer.status} AccessDenied (not permitted: s3:RestoreObject)"
                raise S3Fault(FailureKind.ACCESS_DENIED, words, status=answer.status, code=answer.code)
        if answer.status == _NOT_IMPLEMENTED:
            words = f"{archived}: this S3 does not take requests to restore objects"
            raise S3Fault(FailureKind.ARCHIVED, words, status=answer.status, code=answer.code)
        answer.raise_for_status()


@dataclass(frozen=True, slots=True, kw_only=True)
class ThawWait:
    """How long to wait for what S3 restores.

    Args:
        max_seconds: at most so long, from the first round on.
        clock: seconds that only grow.
    """

    max_seconds: float
    clock: Callable[[], float] = time.monotonic

    def rounds(self, stop: threading.Event) -> Iterator[None]:
        """Yield at once, and then ever less often, each time that S3 is to be asked again.

        Ends when time is over or the run is to stop.
        """
        deadline, pause = self.clock() + self.max_seconds, _FIRST_PAUSE_SECONDS
        yield
        while (left := deadline - self.clock()) > 0 and not stop.wait(min(pause, left)):
            yield
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
