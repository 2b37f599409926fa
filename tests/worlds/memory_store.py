"""A small store of our own in memory, and the engine on top of it: for what cannot be provoked from outside."""

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from applier.disk.folders import open_output_location
from applier.disk.run_folders import Stagings
from applier.disk.verified_files import VerifiedFiles
from applier.reports.results_writer import ResultSink
from applier.restore.apply_plan import apply_plan
from applier.restore.crew import Crew
from applier.restore.progress import Progress
from applier.restore.tools import CheckTools, RestoreTools
from applier.s3.fetcher import Fetcher, RetryPolicy
from applier.s3.lists.objects_ahead import ObjectsAhead
from applier.s3.protocol import ListedPage, ObjectInfo, ObjectVersion, PartChecksum
from schemas.plan import Plan, PlannedFile, RawFilePlan, S3Settings
from schemas.results import FileResult
from schemas.s3_location import ObjectLocation

CONTENT = b"content of the object"


@dataclass(slots=True)
class MemoryStore:
    """A store with one object under every key; what it answers can be spoiled.

    Attributes:
        requests: What was asked.
        body: What is sent in place of the content, by key; the content itself for None.
        before_answer: Called with the key before any byte is sent.
    """

    content: bytes = CONTENT
    requests: list[str] = field(default_factory=list)
    body: Callable[[str], bytes | None] = lambda _key: None
    before_answer: Callable[[str], None] = lambda _key: None

    @property
    def etag(self) -> str:
        return hashlib.md5(self.content).hexdigest()

    def check_bucket(self, bucket_name: str) -> None:
        self.requests.append(f"bucket {bucket_name}")

    def head(self, location: ObjectLocation) -> ObjectInfo:
        self.requests.append(f"head {location.key}")
        return ObjectInfo(etag=self.etag, size_bytes=len(self.content))

    def check_readable(self, location: ObjectLocation) -> None:
        self.requests.append(f"readable {location.key}")

    def encryption(self, location: ObjectLocation) -> str | None:
        self.requests.append(f"encryption {location.key}")
        return "AES256"

    def part_checksums(self, location: ObjectLocation, etag: str) -> list[PartChecksum]:
        raise NotImplementedError

    def list_versions(self, location: ObjectLocation) -> list[ObjectVersion]:
        self.requests.append(f"versions {location.key}")
        return []

    def list_page(self, bucket_name: str, after: str, *, with_versions: bool) -> ListedPage:
        raise NotImplementedError

    def read_range(self, location: ObjectLocation, start: int, end: int, etag: str) -> Iterator[memoryview]:
        assert etag == self.etag
        self.requests.append(f"get {location.key} {start}-{end}")
        self.before_answer(location.key)
        body = self.body(location.key)
        yield memoryview(self.content[start:end] if body is None else body[start:])


def restore_files(  # the run's knobs
    output_location: Path,
    store: MemoryStore,
    names: Sequence[str],
    *,
    stop: threading.Event | None = None,
    attempts: int = 1,
    progress: Progress | None = None,
    jobs: int = 2,
) -> list[FileResult]:
    """Restore files to the folder `P`, all with the store's content, and return how they have ended."""
    files = tuple(
        PlannedFile(
            relative_path=name,
            s3_key=name,
            expected_etag=store.etag,
            chunk_size_mb=500,
            expected_size=len(store.content),
        )
        for name in names
    )
    raw_file = RawFilePlan(
        raw_file_id="r", project_id="P", destination_base=f"{output_location}/P", bucket_name="b", files=files
    )
    plan = Plan(output_location=str(output_location), s3=S3Settings(), raw_files=(raw_file,))
    with ExitStack() as opened:
        output = opened.enter_context(open_output_location(str(output_location)))
        stagings = Stagings(output, "run", lambda _: set())
        opened.callback(stagings.close)
        stop = stop or threading.Event()
        fetcher = Fetcher(store=store, retry=RetryPolicy(attempts=attempts, first_wait_seconds=0.01), stop=stop)
        check = CheckTools(
            output=output,
            fetcher=fetcher,
            ahead=ObjectsAhead(fetcher),
            crew=Crew(jobs, stop),
            progress=progress or Progress(),
        )
        result, ended = apply_plan(
            plan, RestoreTools(check=check, stagings=stagings, verified_files=VerifiedFiles(output)), ResultSink(), {}
        )
    assert ended
    (raw_file_result,) = result.raw_files
    return list(raw_file_result.files)
