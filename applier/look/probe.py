"""Asks S3 for every file of a plan before its review: `compile --probe-s3`. Fetches nothing but a byte of each.

What S3 answers for good (missing, different, denied) becomes the file's error; that an object is archived, a note, for
`thaw` can change it. Where it gives no answer (no network, no valid credentials, a server in trouble) there is no plan:
nobody could tell what it says from a probed one.
"""

import functools
import itertools
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from applier.restore.crew import Crew
from applier.restore.failures import FileFailedError, failure_of
from applier.restore.find_object import Acceptance, FoundObject, find_object
from applier.restore.jobs import DEFAULT_JOBS, allowed_jobs
from applier.restore.preflight import find_bucket_failures
from applier.s3.aws_chain import S3Access
from applier.s3.boto_store import BotoStore
from applier.s3.faults import BAD_CREDENTIALS_CODES, S3Fault
from applier.s3.fetcher import Fetcher, RetryPolicy
from applier.s3.lists.objects_ahead import ObjectsAhead
from applier.s3.obstore_store import ObstoreStore
from applier.s3.outage import GivenUp
from applier.target import Target
from schemas.errors import S3UnansweredError
from schemas.plan import Plan, PlannedFile, RawFilePlan, UnresolvedFile
from schemas.results import Failure, FailureKind
from schemas.text import counted, printable

logger = logging.getLogger(__name__)

# A plan can name the version that holds what it asks for; the other options are for whoever applies it to give.
_ACCEPT = Acceptance(older_versions=True)
_ANSWERS = frozenset(
    {FailureKind.KEY_NOT_FOUND, FailureKind.BUCKET_MISSING, FailureKind.ACCESS_DENIED, FailureKind.NOT_VERIFIABLE}
)
_ARCHIVED_NOTES = {
    FailureKind.ARCHIVED: "`kraken-plan thaw` asks S3 to restore it",
    FailureKind.THAWING: "S3 is restoring it",
}


def probe_plan(plan: Plan, profile: str | None = None) -> Plan:
    """Return the plan with what S3 has now: the version of each file, or as its error why it cannot be had.

    Args:
        plan: S3 is reached as it and the AWS chain say.
        profile: name of an AWS profile; None leaves it to the chain.

    Raises:
        S3UnansweredError: S3 did not answer for all files.
        ConfigError: the AWS chain has no usable settings.
    """
    access = S3Access(region=plan.s3.region, endpoint_url=plan.s3.endpoint_url, profile=profile)
    store = ObstoreStore(BotoStore(access))
    fetcher = Fetcher(store=store, retry=RetryPolicy(), stop=threading.Event())
    jobs = allowed_jobs(DEFAULT_JOBS)
    missing_buckets = find_bucket_failures(plan, fetcher, jobs)
    for bucket, failure in missing_buckets.items():
        if failure.kind is not FailureKind.BUCKET_MISSING:
            raise _unanswered(f"bucket {printable(bucket)}: {failure.message}")
    answers = _Answers(fetcher.stop)
    asked = [
        (place, Target.of(raw_file, file, plan.output_location))
        for place, (raw_file, file) in enumerate(plan.planned_files())
        if raw_file.bucket_name not in missing_buckets
    ]
    logger.info("asking S3 for %s", counted(len(asked), "file"))
    ahead = ObjectsAhead(fetcher, with_version_ids=True)
    Crew(jobs, fetcher.stop).run(
        functools.partial(_ask, target, place, fetcher, ahead, answers)
        for place, target in ahead.look_ahead(asked, lambda placed: placed[1].location)
    )
    if answers.unanswered:
        raise _unanswered(answers.unanswered[0])
    return _probed(plan, answers, missing_buckets)


@dataclass(slots=True)
class _Answers:
    """What S3 has answered, by the file's place in the plan; the first question without an answer stops the others."""

    stop: threading.Event
    failures: dict[int, Failure] = field(default_factory=dict)
    found: dict[int, FoundObject] = field(default_factory=dict)
    unanswered: list[str] = field(default_factory=list)

    def give_up(self, reason: str) -> None:
        """Note that there is no answer."""
        if not self.stop.is_set():
            self.unanswered.append(reason)
            self.stop.set()


def _ask(target: Target, place: int, fetcher: Fetcher, ahead: ObjectsAhead, answers: _Answers) -> None:
    """Ask S3 for one file, and note what it answers."""
    try:
        found = _with_archive_noted(find_object(target, fetcher, ahead, _ACCEPT), fetcher)
    except FileFailedError as failed:
        answers.failures[place] = failed.failure
    except S3Fault as fault:
        if _is_answer(fault):
            answers.failures[place] = fault.failure
        else:
            answers.give_up(f"{printable(target.file.relative_path)}: {fault.failure.message}")
    except BaseException as error:  # noqa: BLE001  # the unforeseen is no answer
        answers.give_up(f"{printable(target.file.relative_path)}: {failure_of(error).message}")
    else:
        answers.found[place] = found


def _with_archive_noted(found: FoundObject, fetcher: Fetcher) -> FoundObject:
    """Return an object with a note where it is archived: a HEAD does not tell whether there is anything to be had.

    Raises:
        S3Fault: it cannot be read, for another reason.
    """
    if found.info.size_bytes == 0:
        return found
    try:
        fetcher.check_readable(found.location)
    except S3Fault as fault:
        words = _ARCHIVED_NOTES.get(fault.failure.kind)
        if words is None:
            raise
        storage_class = fault.failure.detail.partition(":")[0]
        return replace(found, note="; ".join(filter(None, (found.note, f"archived in {storage_class}: {words}"))))
    return found


def _is_answer(fault: S3Fault) -> bool:
    """Tell whether S3 has said of this object that it cannot be had, and will say so again."""
    asked = not isinstance(fault, GivenUp) and fault.code not in BAD_CREDENTIALS_CODES
    return asked and fault.failure.kind in _ANSWERS


def _unanswered(reason: str) -> S3UnansweredError:
    return S3UnansweredError(
        f"S3 could not be asked for every file, so there is no probed plan: {reason} (try again, or compile without "
        "--probe-s3)"
    )


def _pinned(file: PlannedFile, found: FoundObject) -> PlannedFile:
    """Return a file that asks for the version that was found, with a note where that is not simply the current one."""
    notes = file.notes if found.note is None else (*file.notes, found.note)
    return replace(file, version_id=found.info.version_id or file.version_id, notes=notes)


def _probed(plan: Plan, answers: _Answers, missing_buckets: Mapping[str, Failure]) -> Plan:
    places = itertools.count()

    def file_as_probed(raw_file: RawFilePlan, file: PlannedFile | UnresolvedFile) -> PlannedFile | UnresolvedFile:
        if isinstance(file, UnresolvedFile):
            return file
        place = next(places)
        if failure := answers.failures.get(place):
            return raw_file.unresolved(file, failure.message)
        return _pinned(file, answers.found[place]) if place in answers.found else file

    def as_probed(raw_file: RawFilePlan) -> RawFilePlan:
        if raw_file.error is not None:
            return raw_file
        files = tuple(file_as_probed(raw_file, file) for file in raw_file.files)
        failure = missing_buckets.get(raw_file.bucket_name or "")
        return replace(raw_file, files=files, error=failure.message if failure else None)

    return replace(plan, raw_files=tuple(map(as_probed, plan.raw_files)))
