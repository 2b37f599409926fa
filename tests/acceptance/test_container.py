"""The Containerfile, built on a base of one's own and run: `make test-install`."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from apply_case import compile_plan, last_report, thermo
from cli import Cli
from conftest import MakeRestoreCase
from container_images import Images, missing_programs
from embedded_s3 import EmbeddedS3
from real_blocks import ROOT

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(bool(missing_programs()), reason=f"there is no {', '.join(missing_programs())}"),
    pytest.mark.skipif(os.geteuid() != 0, reason="debootstrap takes root"),
]
BASE, IMAGE = "localhost/base", "localhost/kraken-plan"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Images]:
    """The image, built from this checkout."""
    images = Images(folder=tmp_path_factory.mktemp("images"))
    images.make_base(BASE, "python3", "python3-venv")
    images.build(IMAGE, ROOT / "Containerfile", ROOT, BASE=BASE)
    yield images
    images.buildah("rmi", "--all", "--force")


def test_container_should_restore_as_a_user_without_rights(
    images: Images, run_cli: Cli, make_restore_case: MakeRestoreCase, s3_server: EmbeddedS3, tmp_path: Path
) -> None:
    # given
    case = make_restore_case(thermo(size_bytes=20_000_000))
    plan = compile_plan(run_cli, case)
    for folder in (tmp_path, *(path for path in tmp_path.rglob("*") if path.is_dir())):
        folder.chmod(0o777)
    mounts = {tmp_path: str(tmp_path)}

    # when
    reports = images.run(IMAGE, ["kraken-plan", "apply", plan], mounts=mounts, environment=s3_server.environment)

    # then
    assert [Path(line) for line in reports.splitlines()] == case.reports()
    assert case.unrestored() == []
    assert "Status: SUCCESS" in last_report(case)
    (restored,) = (case.output_location / "PRID001").glob("*.raw")
    assert restored.stat().st_uid == 10001


def test_image_should_say_how_it_is(images: Images, s3_server: EmbeddedS3) -> None:
    # when
    config = json.loads(images.buildah("inspect", "--type=image", IMAGE))["Docker"]["config"]
    health = config["Healthcheck"]["Test"]
    said = images.run(IMAGE, health[1:], mounts={}, environment=s3_server.environment)

    # then
    assert config["User"] == "10001:10001"
    assert health == ["CMD", "kraken-plan", "doctor"]
    assert "hashing      fast" in said
