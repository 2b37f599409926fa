"""Decides how many jobs run at once: as many as were asked for, within the limits of this process."""

import logging
import resource

from schemas.etag import MIB
from schemas.plan import PlanTotals
from schemas.text import counted

logger = logging.getLogger(__name__)

# Jobs mostly wait for S3, however many cores there are. A connection that is busy takes 1.4 MiB, so that with this
# default the whole process stays below 150 MB.
DEFAULT_JOBS, MOST_JOBS = 40, 256
# Small files are all round trips, at 30 ms and more where S3 is far, and hold little memory on their way.
SMALL_FILE_JOBS = 128
_SMALL_ON_AVERAGE_BYTES = MIB
_LEAST_PER_JOB_BYTES = MIB  # what a thread does with less is over before another one has started

# A job holds a staged file, its journal, a connection, a staging folder with its lock, and folders on the way.
_FILES_PER_JOB, _FILES_PER_STAGING_FOLDER, _FILES_FOR_THE_REST = 7, 2, 32
_MOST_IDLE_FOLDERS = 1000
# A job's thread reserves a stack of 8 MiB and an arena of 64 MiB. An obstore that gets no memory aborts the process.
_ADDRESSES_PER_JOB, _ADDRESSES_FOR_THE_REST = 80 * MIB, 512 * MIB


def default_jobs(totals: PlanTotals) -> int:
    """Return how many jobs suit a plan: more for one of small files, and no more than find something to do."""
    if totals.unknown_sizes > 0:
        return DEFAULT_JOBS
    are_small = totals.size_bytes <= totals.files * _SMALL_ON_AVERAGE_BYTES
    useful = totals.files + totals.size_bytes // _LEAST_PER_JOB_BYTES
    return min(SMALL_FILE_JOBS if are_small else DEFAULT_JOBS, max(1, useful))


def allowed_jobs(asked_for: int | None, by_default: int = DEFAULT_JOBS) -> int:
    """Return how many jobs to run: as many as were asked for, or as the limits of this process allow.

    Args:
        asked_for: None leaves it to the default.
        by_default: how many would suit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    addresses, _ = resource.getrlimit(resource.RLIMIT_AS)
    jobs = min(
        asked_for or by_default,
        _jobs_within(hard, _FILES_PER_JOB, _FILES_FOR_THE_REST),
        _jobs_within(addresses, _ADDRESSES_PER_JOB, _ADDRESSES_FOR_THE_REST),
    )
    if jobs < (asked_for or min(by_default, DEFAULT_JOBS)):
        limits = "the limits of open files or memory (ulimit -n, ulimit -v) allow no more"
        logger.warning("only %s at once: %s", counted(jobs, "job"), limits)
    return jobs


def allowed_idle_folders(jobs: int) -> int:
    """Return how many staging folders may stay open until they are needed again, besides those of so many jobs."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return _MOST_IDLE_FOLDERS
    spare_files = hard - jobs * _FILES_PER_JOB - _FILES_FOR_THE_REST
    return min(_MOST_IDLE_FOLDERS, max(0, spare_files // _FILES_PER_STAGING_FOLDER))


def _jobs_within(limit: int, per_job: int, for_the_rest: int) -> int:
    return MOST_JOBS if limit == resource.RLIM_INFINITY else max(1, (limit - for_the_rest) // per_job)
