"""`make bench-scale`: what ten thousand, a hundred thousand and a million files cost in each command.

Every file is the same ten bytes of an S3 that does nothing else, restored to memory: what is measured is our own work
per file. Figures are to be read; a column that does not stay the same from one size to the next is a finding.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from catalog_server import catalog_server
from contest import Run, timed
from peers import BIN, HERE
from surroundings import TMPFS, describe_surroundings
from temporary_process import LOOPBACK, free_ports, temporary_process, wait_for_port
from tiny_s3 import CONTENT, ETAG, FILES_PER_RAW_FILE, key_of

PROJECT = "PRID001"
MOST_ON_CATALOG_SERVER = 100_000  # it holds all in memory, and is slow in that
TMPFS_BYTES_PER_FILE = 8 * 1024


def documents(files: int) -> Iterator[dict[str, object]]:
    """Yield the catalog's documents of so many files, as AlphaKraken writes them."""
    for number in range(files // FILES_PER_RAW_FILE):
        first = number * FILES_PER_RAW_FILE
        paths = [key_of(place) for place in range(first, first + FILES_PER_RAW_FILE)]
        name = paths[0].partition("/")[0]
        yield {
            "_id": name,
            "_cls": "RawFile",
            "project_id": PROJECT,
            "status": "done",
            "file_info": {path: [len(CONTENT), ETAG, f"{ETAG}__500"] for path in paths},
            "s3_upload_path": "s3://alphakraken-prid001",
        }


class Scale:
    """All measurements of one size.

    Args:
        files: how many.
        folder: for exports, plans and results.
        s3_url: of an S3 that has every key.
    """

    def __init__(self, files: int, folder: Path, s3_url: str) -> None:
        self._files, self._folder, self._s3_url = files, folder, s3_url
        self._export, self._plan = folder / f"raw_file-{files}.jsonl", folder / f"plan-{files}.json"
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "none",
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def run(self) -> None:
        """Measure every command and print a line each."""
        with self._export.open("w", encoding="utf-8") as export:
            export.writelines(f"{json.dumps(document)}\n" for document in documents(self._files))
        print(f"\n{self._files:,} files, the export has {self._export.stat().st_size / 1e6:,.0f} MB")
        self._show("compile from the export", self._compile(str(self._export)))
        if self._files <= MOST_ON_CATALOG_SERVER:
            self._run_on_catalog_server()
        print(f"  the plan has {self._plan.stat().st_size / 1e6:,.0f} MB")
        self._show("validate", self._ours("validate", str(self._plan)))
        self._show("show", self._ours("show", str(self._plan)))
        self._show("show as a page", self._ours("show", str(self._plan), "--html", str(self._folder / "page.html")))
        self._run_apply()

    def _run_on_catalog_server(self) -> None:
        folder = self._folder / f"catalog-{self._files}"
        folder.mkdir()
        with catalog_server(folder) as catalog:
            catalog.insert(list(documents(self._files)))
            self._show("compile from the server", self._compile(catalog.uri))
            bare = [sys.executable, str(HERE / "bare_cursor.py"), catalog.uri, PROJECT]
            self._show("bare cursor on that server", timed(bare, self._environment))

    def _run_apply(self) -> None:
        if not TMPFS.is_dir() or shutil.disk_usage(TMPFS).free < self._files * TMPFS_BYTES_PER_FILE:
            print(f"  apply is left out: there is not enough of {TMPFS}")
            return
        with tempfile.TemporaryDirectory(prefix="kraken-plan-", dir=TMPFS) as output:
            options = [str(self._plan), "--endpoint-url", self._s3_url, "--output-root", output]
            for name in ("apply", "apply again"):
                results = ["--results", str(self._folder / f"results-{self._files}.jsonl")]
                self._show(name, self._ours("apply", *options, *results))
            self._show("status", self._ours("status", *options))

    def _compile(self, catalog: str) -> Run:
        options = ["--catalog", catalog, "--output-root", "/restore", "-o", str(self._plan)]
        return self._ours("compile", "--project", PROJECT, *options)

    def _ours(self, *arguments: str) -> Run:
        return timed([str(BIN / "kraken-plan"), "-q", *arguments], self._environment)

    def _show(self, name: str, run: Run) -> None:
        print(
            f"  {name:28} {run.wall_seconds:8.2f} s  {run.cpu_seconds:8.2f} CPU s  {run.peak_mib:6.0f} MiB"
            f"  {run.cpu_seconds / self._files * 1e6:6.0f} CPU µs a file",
            flush=True,
        )


def main() -> None:
    """Read the command line and measure one size after the other."""
    parser = argparse.ArgumentParser(description="what plans of many files cost")
    parser.add_argument("--files", type=int, nargs="+", default=(10_000, 100_000, 1_000_000), help="sizes of plans")
    sizes = parser.parse_args().files
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="kraken-plan-scale-")))
        print(*describe_surroundings(folder), sep="\n", flush=True)
        (port,) = free_ports(1)
        server = [sys.executable, str(HERE / "tiny_s3.py"), LOOPBACK, str(port)]
        if not wait_for_port(opened.enter_context(temporary_process(server, folder=folder)), port):
            raise SystemExit("the S3 of one tiny object did not start")
        for files in sizes:
            Scale(files, folder, f"http://{LOOPBACK}:{port}").run()


if __name__ == "__main__":
    main()
