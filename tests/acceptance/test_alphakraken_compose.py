"""examples/alphakraken: the worker that AlphaKraken's docker compose gets, its layer on an image, and its mounts."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow_environment import DAG_FILE
from alphakraken_compose import EXAMPLE, SERVICE, compose_text, mounts, worker
from apply_case import thermo
from conftest import MakeRestoreCase
from container_images import Images, missing_programs
from embedded_s3 import EmbeddedS3
from guarded_catalog import guarded_catalog
from real_blocks import ROOT
from temporary_process import installed_program

from kraken_plan.command_group import COMMANDS

VARIABLES = {
    "ENV_NAME": "sandbox",
    "AIRFLOW_UID": "50000",
    "MONGO_HOST": "127.0.0.1",
    "MONGO_PORT": "27017",
    "MONGO_USER_READ": "kraken_ro",
    "MONGO_PASSWORD_READ": "read-only",
    "MONGO_USER_READWRITE": "kraken_rw",
    "MONGO_PASSWORD_READWRITE": "read-write",
    "MOUNTS_PATH": "/home/kraken-user/alphakraken/sandbox/mounts",
}
BASE, ALPHAKRAKEN, IMAGE = "localhost/base", "localhost/alphakraken", "localhost/alphakraken-kraken-plan"
NO_IMAGES = pytest.mark.skipif(
    bool(missing_programs()) or os.geteuid() != 0, reason="buildah, debootstrap and root are needed"
)


def test_worker_should_read_the_catalog_as_who_may_only_read_and_alone_write_the_output() -> None:
    service = worker(VARIABLES)

    assert service["command"] == "celery worker -q kraken_queue_s3_download"
    assert service["environment"]["MONGO_USER"] == "kraken_ro"
    assert service["environment"]["MONGO_PASSWORD"] == "read-only"
    assert sorted(mounts(service).values()) == [
        "/opt/airflow/logs:rw",
        "/opt/airflow/mounts/kraken_plan:rw",
        "/opt/airflow/mounts/output:rw",
    ]
    assert worker({**VARIABLES, "KRAKEN_PLAN_DAG_QUEUE": "kraken_queue_s3_downloader"})["command"].endswith(
        "downloader"
    )


def test_worker_should_set_only_what_is_read() -> None:
    read = DAG_FILE.read_text(encoding="utf-8") + "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "kraken_plan").rglob("*.py")
    )

    names = [name for name in worker(VARIABLES)["environment"] if "KRAKEN_PLAN" in name]

    assert len(names) >= 6
    assert [name for name in names if name not in read and name.removeprefix("AIRFLOW_VAR_") not in read] == []
    assert not [name for name in names if name.removeprefix("KRAKEN_PLAN_").partition("_")[0].lower() in COMMANDS]


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="there is no docker-compose (Debian has it)")
@pytest.mark.long
def test_compose_should_take_the_worker(tmp_path: Path) -> None:
    (tmp_path / "docker-compose.yaml").write_text(compose_text(), encoding="utf-8")
    (tmp_path / "kraken_plan").mkdir()

    checked = subprocess.run(
        [installed_program("docker-compose"), "--project-name", "a", "--profile", "workers", "config", "--services"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], **VARIABLES},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert (checked.returncode, checked.stderr) == (0, "")
    assert SERVICE in checked.stdout.split()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Images]:
    """The layer, on an image that is set up as AlphaKraken's is: its user, its PYTHONPATH, pip for the user."""
    context = tmp_path_factory.mktemp("context")
    shutil.copy(EXAMPLE / "Dockerfile", context)
    build = [sys.executable, "-m", "build", "--installer", "uv", "--wheel", "--outdir", str(context), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (context / "Base").write_text(
        f"FROM {BASE}\n"
        "RUN useradd --uid 50000 --gid 0 --create-home airflow && mkdir -p /opt/airflow/schemas && "
        "echo 'raise ImportError' > /opt/airflow/schemas/__init__.py\n"
        'ENV PIP_USER=true PYTHONPATH=":/opt/airflow"\n'
        "USER airflow\nWORKDIR /opt/airflow\n"
    )
    images = Images(folder=tmp_path_factory.mktemp("images"))
    images.make_base(BASE, "python3", "python3-venv")
    images.build(ALPHAKRAKEN, context / "Base", context)
    images.build(IMAGE, context / "Dockerfile", context, ALPHAKRAKEN_IMAGE=ALPHAKRAKEN)
    yield images
    images.buildah("rmi", "--all", "--force")


@NO_IMAGES
@pytest.mark.long
@pytest.mark.timeout(1200)
def test_worker_should_restore_to_where_its_mounts_are(
    images: Images, make_restore_case: MakeRestoreCase, s3_server: EmbeddedS3, tmp_path: Path
) -> None:
    # given AlphaKraken's mounts, and a site whose settings name the output location as the pool has it
    case = make_restore_case(thermo(size_bytes=20_000_000))
    user = {"user": "kraken_ro", "pwd": "read-only", "roles": [{"role": "read", "db": "krakendb"}]}
    pool = case.output_location
    with guarded_catalog(tmp_path, user, case.documents) as port:
        service = worker({**VARIABLES, "MONGO_PORT": str(port), "MOUNTS_PATH": str(pool.parent / "mounts")})
        for source in mounts(service):
            source.mkdir(parents=True)
            source.chmod(0o777)
        binds = {**mounts(service), case.config_path: f"{service['environment']['KRAKEN_PLAN_CONFIG']}:ro"}
        environment = {**s3_server.environment, **{name: str(text) for name, text in service["environment"].items()}}
        program = environment["AIRFLOW_VAR_KRAKEN_PLAN_PROGRAM"]
        plan = f"{environment['AIRFLOW_VAR_KRAKEN_PLAN_FOLDER']}/plan.json"

        # when
        compile_and_apply = f"{program} compile {case.raw_file_ids[0]} -o {plan} && {program} apply {plan}"
        script = f"mkdir {Path(plan).parent} && {compile_and_apply}"
        printed = images.run(IMAGE, ["sh", "-c", script], mounts=binds, environment=environment)

    # then it is where the container sees it, and so on the pool
    restored = pool.parent / "mounts" / "output"
    assert re.fullmatch(r"/opt/airflow/mounts/output/PRID001/_download_status_batch_\d+_\d+\.txt\n", printed)
    assert sorted(path.suffix for path in (restored / "PRID001").iterdir() if path.is_file()) == [".raw", ".txt"]
    assert list(pool.iterdir()) == []
