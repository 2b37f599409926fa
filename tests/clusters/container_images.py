"""Builds images and runs programs in them with buildah, on a base that debootstrap makes: no registry is asked.

Debian: `apt-get install --no-install-recommends debootstrap buildah crun`; takes root.
"""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("buildah", "debootstrap")
MIRROR = "http://deb.debian.org/debian"
SUITE = "trixie"
HOST_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def missing_programs() -> list[str]:
    """What is not installed of what images are built with."""
    return [program for program in PROGRAMS if shutil.which(program) is None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """Images and containers, all of them below one folder."""

    folder: Path

    def buildah(self, *arguments: str | Path) -> str:
        """Run buildah, and return what it prints.

        Raises:
            RuntimeError: It failed; what it said is in the message.
        """
        own: list[str | Path] = [
            "--root",
            self.folder / "storage",
            "--runroot",
            self.folder / "run",
            "--storage-driver",
            "vfs",
        ]
        return _run(["buildah", *own, *arguments])

    def make_base(self, name: str, *packages: str) -> None:
        """Make an image of Debian with these packages, which trusts what this machine trusts."""
        root = self.folder / "debian"
        include = ",".join(("ca-certificates", *packages))
        _run(["debootstrap", "--variant=minbase", f"--include={include}", SUITE, root, MIRROR])
        trusted = root / HOST_CERTIFICATES.relative_to("/")
        shutil.copy(HOST_CERTIFICATES, trusted)
        container = self.buildah("from", "scratch").strip()
        self.buildah("add", "--quiet", container, root, "/")
        self.buildah("config", "--env", f"PIP_CERT={HOST_CERTIFICATES}", container)
        self.buildah("commit", "--quiet", "--rm", container, name)
        shutil.rmtree(root)

    def build(self, name: str, file: Path, context: Path, **build_arguments: str) -> None:
        """Build an image from a Containerfile."""
        arguments = [f"--build-arg={key}={value}" for key, value in build_arguments.items()]
        form = ["--isolation=chroot", "--format=docker", "--layers=false"]
        self.buildah("bud", *form, *arguments, "--tag", name, "--file", file, context)

    def run(
        self, image: str, command: Sequence[str | Path], *, mounts: Mapping[Path, str], environment: Mapping[str, str]
    ) -> str:
        """Run a command in a new container of an image, as the image's own user, and return what it prints."""
        container = self.buildah("from", image).strip()
        volumes = [f"--volume={source}:{target}" for source, target in mounts.items()]
        variables = [f"--env={name}={value}" for name, value in environment.items()]
        try:
            return self.buildah("run", "--isolation=chroot", *volumes, *variables, container, "--", *command)
        finally:
            self.buildah("rm", container)


def _run(command: Sequence[str | Path]) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, encoding="utf-8", check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout
