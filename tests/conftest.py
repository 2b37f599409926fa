"""The servers that tests talk to, one of each per worker, and what a single test uses of them."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

import pytest
from browser import Tabs, running_chromium
from catalog_server import Catalog
from catalog_server import catalog_server as run_catalog_server
from cli import Cli
from embedded_s3 import EmbeddedS3, embedded_s3
from faulty_proxy import FaultyProxy
from hypothesis import settings
from needs import need
from restore_case import RestoreCase, build_restore_case
from sample_data import RawFileSample, create_versioned_bucket

from applier.disk.folders import OutputFolder, open_output_location

if TYPE_CHECKING:
    from archiving_s3 import ArchivingS3
    from mypy_boto3_s3 import S3Client
    from playwright.sync_api import Browser


settings.register_profile("shared machine", deadline=None)  # hanging is pytest-timeout's affair
settings.load_profile("shared machine")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Ask for what a test is marked to need, before anything is set up for it."""
    for mark in item.iter_markers("needs"):
        need(*mark.args)


class MakeBucket(Protocol):
    def __call__(self, stem: str = "alphakraken") -> str: ...


class MakeRestoreCase(Protocol):
    def __call__(self, *raw_files: RawFileSample, endpoint_url: str | None = None) -> RestoreCase: ...


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedS3]:
    with embedded_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def s3(s3_server: EmbeddedS3) -> Iterator["S3Client"]:
    with closing(s3_server.client()) as client:
        yield client


@pytest.fixture
def make_bucket(s3: "S3Client") -> MakeBucket:
    """A new, empty, versioned bucket with every call."""

    def make(stem: str = "alphakraken") -> str:
        bucket = f"{stem}-{uuid4().hex[:12]}"
        create_versioned_bucket(s3, bucket)
        return bucket

    return make


@pytest.fixture
def faulty_proxy(s3_server: EmbeddedS3) -> Iterator[FaultyProxy]:
    """A proxy before `s3_server` that does no harm until told to."""
    with FaultyProxy(s3_server.port) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def running_catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    with run_catalog_server(tmp_path_factory.mktemp("catalog")) as catalog:
        yield catalog


@pytest.fixture
def catalog(running_catalog: Catalog) -> Catalog:
    """The catalog, empty."""
    running_catalog.clear()
    return running_catalog


@pytest.fixture
def run_cli(tmp_path: Path, s3_server: EmbeddedS3) -> Iterator[Cli]:
    """The installed program, in `tmp_path`, with the S3 server's credentials and nothing else in its environment."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        **s3_server.environment,
    }
    cli = Cli(folder=tmp_path, environment=environment, secrets={s3_server.secret_key})
    yield cli
    cli.end_started()
    cli.check_files()


@pytest.fixture
def make_restore_case(
    s3: "S3Client", s3_server: EmbeddedS3, make_bucket: MakeBucket, tmp_path: Path
) -> MakeRestoreCase:
    """Backs raw files up; everything of the case is in a new folder below `tmp_path`."""

    def make(*raw_files: RawFileSample, endpoint_url: str | None = None) -> RestoreCase:
        folder = tmp_path / f"case-{uuid4().hex[:6]}"
        folder.mkdir()
        projects = sorted({sample.project_id for sample in raw_files})
        return build_restore_case(
            raw_files,
            client=s3,
            folder=folder,
            buckets={project_id: make_bucket(f"alphakraken-{project_id.lower()}") for project_id in projects},
            endpoint_url=endpoint_url or s3_server.endpoint_url,
        )

    return make


@pytest.fixture
def output(tmp_path: Path) -> Iterator[OutputFolder]:
    """`tmp_path` as an output location, open."""
    with open_output_location(str(tmp_path)) as folder:
        yield folder


@pytest.fixture(scope="module")
def archive() -> Iterator["ArchivingS3"]:
    """An S3 server that keeps objects in archives."""
    from archiving_s3 import archiving_s3  # noqa: PLC0415  # moto takes seconds to load

    with archiving_s3() as server:
        yield server


@pytest.fixture(scope="module")
def chromium() -> Iterator["Browser"]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def tabs(chromium: "Browser") -> Iterator[Tabs]:
    """Pages in a browser; after the test none of them may have complained, or asked for anything but its file."""
    opened = Tabs(browser=chromium)
    yield opened
    opened.close()
