"""Finds out what a plan needs from S3's archives, has S3 restore it, and waits until it can be read.

A file needs it if S3 has the planned object in an archive, without a copy that can be read, and the local file is not
right: it is read for that, as apply does, because a restore costs money.
"""

import functools
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from applier.restore.check_file import look_at_local_file
from applier.restore.decide import Action, decide
from applier.restore.failures import failure_of
from applier.restore.find_object import find_object
from applier.restore.tools import CheckTools
from applier.s3.archive import Archive, ArchivedObject, Archives, RestoreRequest, ThawWait, is_readable
from applier.s3.faults import S3Fault
from applier.s3.fetcher import Interrupted
from applier.target import Target, distinct_targets
from schemas.plan import Plan
from schemas.results import Failure, FailureKind
from schemas.s3_location import ObjectLocation

# What a wait is not ended by: S3 may answer again before it has restored the object.
_MAY_PASS = frozenset({FailureKind.NETWORK, FailureKind.TIMEOUT})


class ThawState(Enum):
    """How far a planned file is from being restored out of an archive."""

    READY = "ready"
    RIGHT_ALREADY = "right already"
    UNDER_WAY = "under way"
    ARCHIVED = "archived"
    CANNOT = "cannot"


@dataclass(frozen=True, slots=True, kw_only=True)
class ThawFile:
    """What was seen of a planned file.

    Args:
        target: the file.
        state: what that comes to.
        size_bytes: of the object, or of the plan's entry; None where neither is known.
        location: the object that apply reads; None where S3 has none.
        archive: where it is; None where it is in no archive, or in none that is known.
        failure: why it cannot be restored; given exactly in the state CANNOT.
    """

    target: Target
    state: ThawState
    size_bytes: int | None
    location: ObjectLocation | None = None
    archive: Archive | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ThawTools:
    """What thawing needs.

    Args:
        check: what looking at a file needs.
        archives: S3's.
        request: how objects are to be restored.
    """

    check: CheckTools
    archives: Archives
    request: RestoreRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class ThawLook:
    """What was seen of a plan's files.

    Args:
        files: in the plan's order, each destination once.
        ended: whether every thread has ended, see `apply_plan`.
    """

    files: tuple[ThawFile, ...]
    ended: bool = True

    def of(self, *states: ThawState) -> list[ThawFile]:
        """Return the files in these states."""
        return [file for file in self.files if file.state in states]


def look_at_archives(plan: Plan, tools: ThawTools, bucket_failures: Mapping[str, Failure]) -> ThawLook:
    """Look at every file of a plan and change nothing.

    Args:
        plan: as `read_plan` accepted it.
        tools: what thawing needs.
        bucket_failures: why buckets cannot be used, by their name; S3 is not asked for their files.
    """
    files = [
        ThawFile(
            target=target,
            state=ThawState.CANNOT,
            size_bytes=target.file.expected_size,
            failure=bucket_failures.get(target.location.bucket_name, Failure(FailureKind.INTERRUPTED)),
        )
        for _, target in distinct_targets(plan)
    ]
    can_be_asked = (
        place for place, file in enumerate(files) if file.target.location.bucket_name not in bucket_failures
    )
    asked = tools.check.ahead.look_ahead(can_be_asked, lambda place: files[place].target.location)
    return _change(ThawLook(files=tuple(files)), asked, functools.partial(_look, tools=tools), tools)


def request_restores(look: ThawLook, tools: ThawTools) -> ThawLook:
    """Have S3 restore every file that is archived, and return what was seen with what has become of that."""
    asked = [place for place, file in enumerate(look.files) if file.state is ThawState.ARCHIVED]
    return _change(look, asked, functools.partial(_request, tools=tools), tools)


def wait_until_ready(
    look: ThawLook, tools: ThawTools, wait: ThawWait, on_round: Callable[[ThawLook], None]
) -> ThawLook:
    """Ask S3 again and again for the files whose restore is under way, until none is left or the wait is over.

    Args:
        look: what was seen before.
        tools: what thawing needs.
        wait: how long.
        on_round: given what was seen, after each round.
    """
    for _ in wait.rounds(tools.check.fetcher.stop):
        asked = [place for place, file in enumerate(look.files) if file.state is ThawState.UNDER_WAY]
        look = _change(look, asked, functools.partial(_look_again, tools=tools), tools)
        on_round(look)
        if not (look.ended and look.of(ThawState.UNDER_WAY)):
            break
    return look


def _change(
    look: ThawLook, places: Iterable[int], change: Callable[[ThawFile], ThawFile], tools: ThawTools
) -> ThawLook:
    """Return what was seen with some of the files changed, several at once; those that a stop came before stay."""
    lock = threading.Lock()
    files = list(look.files)

    def change_one(place: int) -> None:
        before = look.files[place]
        try:
            after = change(before)
        except Interrupted:
            return
        except BaseException as error:  # noqa: BLE001  # one file's fault is its own, as in `restore_file`
            after = replace(before, state=ThawState.CANNOT, failure=failure_of(error))
        with lock:
            files[place] = after

    ended = tools.check.crew.run(functools.partial(change_one, place) for place in places)
    with lock:  # threads that have not ended may still change some
        return ThawLook(files=tuple(files), ended=ended)


def _look(file: ThawFile, tools: ThawTools) -> ThawFile:
    """Look at a file: S3, the archive, and where that matters the local bytes.

    Raises:
        S3Fault, FileFailedError: S3 has no such object, or says nothing about it.
        Interrupted: the run is to stop.
    """
    target = file.target
    found = find_object(target, tools.check.fetcher, tools.check.ahead, tools.check.accept)
    seen = replace(file, failure=None, location=found.location, size_bytes=found.info.size_bytes)
    is_ready = is_readable(found.info.storage_class) or found.info.size_bytes == 0
    archived = None if is_ready else _ask(found.location, tools)
    if archived is None or archived.is_restored:
        return replace(seen, state=ThawState.READY)
    action = decide(look_at_local_file(target, found.info.size_bytes, tools.check, read=True))
    seen = replace(seen, archive=archived.archive)
    match action:
        case Action.SKIP:
            return replace(seen, state=ThawState.RIGHT_ALREADY)
        case Failure():
            return replace(seen, state=ThawState.CANNOT, failure=action)
    if archived.is_being_restored:
        return replace(seen, state=ThawState.UNDER_WAY)
    if words := _explain_unrequestable(archived.archive, tools.request):
        failure = Failure(FailureKind.ARCHIVED, f"{archived.storage_class}: {found.location}: {words}")
        return replace(seen, state=ThawState.CANNOT, failure=failure)
    return replace(seen, state=ThawState.ARCHIVED)


def _explain_unrequestable(archive: Archive | None, request: RestoreRequest) -> str | None:
    if archive is None:
        return "its storage class is not one that thaw can restore: have it restored by hand, then apply again"
    if request.tier in archive.tiers:
        return None
    others = " or ".join(tier.value for tier in archive.tiers)
    return f"cannot be restored with --tier {request.tier.value}: use {others}"


def _request(file: ThawFile, tools: ThawTools) -> ThawFile:
    location, archive = file.location, file.archive
    if location is None or archive is None:
        raise AssertionError("only what is in an archive is asked for")
    ask = functools.partial(tools.archives.request_restore, location, archive, tools.request)
    tools.check.fetcher.ask("POST", location, ask)
    return replace(file, state=ThawState.UNDER_WAY)


def _look_again(file: ThawFile, tools: ThawTools) -> ThawFile:
    if file.location is None:
        raise AssertionError("only what S3 has is waited for")
    try:
        archived = _ask(file.location, tools)
    except S3Fault as fault:
        if fault.failure.kind in _MAY_PASS:
            return file
        raise
    is_ready = archived is None or archived.is_restored
    return replace(file, state=ThawState.READY) if is_ready else file


def _ask(location: ObjectLocation, tools: ThawTools) -> ArchivedObject | None:
    return tools.check.fetcher.ask("HEAD", location, functools.partial(tools.archives.look, location))
