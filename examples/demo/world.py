"""Sets up the world that the demo and the tutorial play in: an S3 server with backups, a catalog and a site's settings.

Run as a program, it makes that world in a folder and keeps the server until Ctrl-C.
"""

import os
import shlex
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from embedded_s3 import EmbeddedS3, embedded_s3
from sample_data import (
    back_up,
    create_versioned_bucket,
    demo_raw_files,
    raw_file_document,
    write_export,
    write_sample,
    write_site_yaml,
)

CATALOG = "raw_file.jsonl"
SITE_YAML = "alphakraken.demo.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A folder with `raw_file.jsonl`, `alphakraken.demo.yaml`, `env.sh` and an empty `output`, and its S3 server.

    Attributes:
        folder: Where everything is.
        server: The S3 server, with three raw files of two projects.
        environment: What a program in this world sees in its environment.
    """

    folder: Path
    server: EmbeddedS3
    environment: Mapping[str, str]

    @property
    def output(self) -> Path:
        """The site's output location."""
        return self.folder / "output"


@contextmanager
def demo_world(folder: Path) -> Iterator[World]:
    """Do what AlphaKraken has done before anybody wants a restore: upload, catalogue; and write the site's settings.

    Args:
        folder: Made if it is not there; everything in it stays afterwards.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "s3").mkdir()
    (folder / "output").mkdir()
    with embedded_s3(folder / "s3") as server:
        _back_up_all(server, folder)
        own = {**server.environment, "KRAKEN_PLAN_STATE_DIR": str(folder / "state")}
        _write_environment(folder / "env.sh", own)
        clean = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"}
        yield World(folder=folder, server=server, environment={**clean, **own})


def _back_up_all(server: EmbeddedS3, folder: Path) -> None:
    with closing(server.client()) as client:
        documents = []
        for number, sample in enumerate(demo_raw_files()):
            bucket, source = f"alphakraken-{sample.project_id.lower()}", folder / "instrument" / str(number)
            create_versioned_bucket(client, bucket)
            write_sample(sample, source)
            back_up(client, sample, bucket=bucket, source_folder=source)
            documents.append(raw_file_document(sample, bucket=bucket, source_folder=source, number=number))
    write_export(folder / CATALOG, documents)
    write_site_yaml(
        folder / SITE_YAML,
        output_location=folder / "output",
        region=server.region,
        endpoint_url=server.endpoint_url,
    )


def _write_environment(path: Path, variables: Mapping[str, str]) -> None:
    """Write what a shell reads with `. ./env.sh`: this world's S3 and no other, and this Python's programs."""
    lines = [
        "unset AWS_PROFILE AWS_SESSION_TOKEN",
        *(f"export {name}={shlex.quote(value)}" for name, value in variables.items()),
        f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"',
    ]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def new_folder(path: str) -> Path:
    """Return where a world is to be made; end the program if something is there already."""
    folder = Path(path).resolve()
    if folder.exists():
        sys.exit(f"{folder} is already there: remove it (rm -r {shlex.quote(path)}), or name another folder")
    return folder


def keep(world: World) -> None:
    """Say how a world is entered, and keep its server until Ctrl-C."""
    print(f"The world is ready. In another terminal:\n\n    cd {world.folder}\n    . ./env.sh\n")
    print("Ctrl-C here ends its S3 server.", flush=True)
    with suppress(KeyboardInterrupt):
        threading.Event().wait()


def main() -> None:
    """Keep a world in the folder that the command line names, until Ctrl-C."""
    with demo_world(new_folder(sys.argv[1])) as world:
        keep(world)


if __name__ == "__main__":
    main()
