"""What is handed out, built as for a release and installed in each way that the documentation shows."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from needs import needs_compiler
from real_blocks import EXAMPLE_PLAN, ROOT
from temporary_process import installed_program

pytestmark = [pytest.mark.long, pytest.mark.timeout(900), needs_compiler]
LIBRARY = "applier/disk/compiled/libcompiled.so"
HASHING = "from applier.disk.compiled.md5_lanes import best_md5; print(best_md5().lanes > 1)"


def run(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        list(map(str, command)),
        check=False,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What `.ci/wheels` makes."""

    manylinux: Path
    pure: Path
    source: Path


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    folder = tmp_path_factory.mktemp("dist")
    run(["bash", ROOT / ".ci" / "wheels", folder])
    (manylinux,) = folder.glob("*-manylinux*.whl")
    (pure,) = folder.glob("*-py3-none-any.whl")
    (source,) = folder.glob("*.tar.gz")
    return Release(manylinux=manylinux, pure=pure, source=source)


def test_release_should_have_a_wheel_for_old_linuxes_and_a_pure_one(release: Release) -> None:
    assert "manylinux_2_17_x86_64" in release.manylinux.name
    assert LIBRARY in zipfile.ZipFile(release.manylinux).namelist()
    assert LIBRARY not in zipfile.ZipFile(release.pure).namelist()


@pytest.mark.parametrize("kind", ["manylinux", "pure", "source"])
def test_release_should_be_installed_by_pip(release: Release, kind: str, tmp_path: Path) -> None:
    # when
    run([sys.executable, "-m", "venv", tmp_path / "env"])
    run([tmp_path / "env/bin/pip", "install", "--quiet", getattr(release, kind)])

    # then
    assert "kraken-plan" in run([tmp_path / "env/bin/kraken-plan", "--version"])
    assert "2 raw files" in run([tmp_path / "env/bin/kraken-plan", "validate", EXAMPLE_PLAN])
    assert run([tmp_path / "env/bin/python", "-I", "-c", HASHING]) == f"{kind != 'pure'}\n"


def test_release_should_be_installed_by_uv_tool_and_pipx(release: Release, tmp_path: Path) -> None:
    # given
    uv = installed_program("uv")
    run([uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "pipx"])
    run([uv, "pip", "install", "--quiet", "--python", tmp_path / "pipx/bin/python", "pipx"])

    # when
    run(
        [uv, "tool", "install", "--python", sys.executable, release.manylinux],
        {
            "UV_TOOL_DIR": str(tmp_path / "tools"),
            "UV_TOOL_BIN_DIR": str(tmp_path / "by-uv"),
        },
    )
    run(
        [tmp_path / "pipx/bin/pipx", "install", "--python", sys.executable, release.manylinux],
        {
            "PIPX_HOME": str(tmp_path / "pipx-home"),
            "PIPX_BIN_DIR": str(tmp_path / "by-pipx"),
        },
    )

    # then
    for folder in ("by-uv", "by-pipx"):
        assert "kraken-plan" in run([tmp_path / folder / "kraken-plan", "--version"])


def test_source_should_have_all_that_its_makefile_uses(release: Release, tmp_path: Path) -> None:
    run(["tar", "-xzf", release.source, "-C", tmp_path])
    (folder,) = tmp_path.iterdir()

    assert {".ci", "Containerfile", "Makefile", "docs", "examples", "tests"} <= {path.name for path in folder.iterdir()}
    run(["make", "--dry-run", "--directory", folder, "demo", "wheels", "test"])
