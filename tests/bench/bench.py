"""`make bench`: kraken-plan beside its peers, on one server in one run. Prints ratios of medians, taken pair by pair.

Machines are noisy, so nothing here passes or fails; the figures are to be read, each beside the bar that it should
keep. `make bench-docs` writes them to the docs.
"""

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path

from bench_page import as_page
from contest import Contest, Contestant, Row, compare, hold, show
from embedded_s3 import EmbeddedS3, embedded_s3
from objects import SHARDS, Objects
from peers import Task, alphakraken_sequence, check_etag, fsync, kraken_plan, kraken_plan_shards, rclone, s5cmd
from slow_path import slow_path
from surroundings import TMPFS, describe_surroundings
from tls import make_private_ca

FAR_SECONDS = 0.03
HOST_LINE = "100M"
TMPFS_BYTES = 4 * 1024**3


def ours_with(jobs: int) -> Contestant:
    """kraken-plan with another number of jobs than it takes by itself."""
    return Contestant(
        name=f"kraken-plan --jobs {jobs}",
        commands=(lambda task, output: [*kraken_plan(task, output), "--jobs", str(jobs)],),
    )


OURS = Contestant(name="kraken-plan apply", commands=(kraken_plan,))
S5CMD = Contestant(name="s5cmd, nothing verified", commands=(s5cmd,))
S5CMD_CHECKED = Contestant(name="s5cmd, then the etag", commands=(s5cmd, check_etag))
S5CMD_SAFE = Contestant(name="s5cmd, then the etag and fsync", commands=(s5cmd, check_etag, fsync))
RCLONE = Contestant(name="rclone, nothing verified", commands=(rclone,))
SEQUENCE = Contestant(name="AlphaKraken sequence", commands=(alphakraken_sequence,))
BARE_MD5 = Contestant(name="bare MD5 on all cores", commands=(check_etag,))
AT_ONCE = tuple(
    Contestant(name=f"{number} {'apply' if number == 1 else 'applies'} at once", commands=(kraken_plan_shards(number),))
    for number in SHARDS
)
AT_ONCE_LIMITED = tuple(
    Contestant(
        name=f"{number} at {HOST_LINE}iB/s each", commands=(kraken_plan_shards(number, "--max-bandwidth", HOST_LINE),)
    )
    for number in SHARDS
)
BY_JOBS = (OURS, *map(ours_with, (4, 8, 16, 32, 64, 128)), S5CMD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One table.

    Attributes:
        task: gives what is to be restored.
        contestants: the first is what the others are compared with.
        bar: at most so much of the second contestant's time; None where there is nothing to keep.
        far: every request takes `FAR_SECONDS` longer.
        encrypted: by HTTPS, as people do it.
        on_tmpfs: files are restored to memory, where fsync costs nothing.
        restored_before: all find the files in place.
        only_by_name: too long for every run.
    """

    title: str
    task: Callable[[Objects], Task]
    contestants: Sequence[Contestant]
    bar: float | None = None
    far: bool = False
    encrypted: bool = False
    on_tmpfs: bool = False
    restored_before: bool = False
    only_by_name: bool = False


LARGE, TWO_GIB, ONE_PART, SMALL, MIXED = map(attrgetter, ("large", "two_gib", "one_part", "small", "mixed"))
CASES = {
    "large": Case(
        title="1.5 GiB in parts of 100 MiB",
        task=LARGE,
        contestants=(OURS, S5CMD, S5CMD_CHECKED, S5CMD_SAFE, RCLONE, SEQUENCE),
        bar=1.2,
    ),
    "large-https": Case(
        title="the same, by HTTPS", task=LARGE, contestants=(OURS, S5CMD, RCLONE), bar=1.2, encrypted=True
    ),
    "large-tmpfs": Case(title="the same, to memory", task=LARGE, contestants=(OURS, S5CMD), on_tmpfs=True),
    "large-far": Case(
        title="the same, 30 ms away, by HTTPS", task=LARGE, contestants=(OURS, S5CMD), bar=1.0, far=True, encrypted=True
    ),
    "one-part": Case(
        title="400 MiB in one part", task=ONE_PART, contestants=(OURS, S5CMD, S5CMD_CHECKED, S5CMD_SAFE), bar=1.4
    ),
    "small": Case(title="3,000 objects of 64 KiB", task=SMALL, contestants=(OURS, S5CMD, S5CMD_SAFE, RCLONE), bar=1.25),
    "small-https": Case(
        title="the same, by HTTPS", task=SMALL, contestants=(OURS, S5CMD, RCLONE), bar=1.25, encrypted=True
    ),
    "small-tmpfs": Case(title="the same, to memory", task=SMALL, contestants=(OURS, S5CMD), on_tmpfs=True),
    "small-far": Case(
        title="the same, 30 ms away, by HTTPS", task=SMALL, contestants=(OURS, S5CMD), bar=1.0, far=True, encrypted=True
    ),
    "large-again": Case(
        title="2 GiB, restored before", task=TWO_GIB, contestants=(OURS, BARE_MD5), bar=1.0, restored_before=True
    ),
    "small-again": Case(
        title="3,000 of 64 KiB, restored before",
        task=SMALL,
        contestants=(OURS, BARE_MD5),
        bar=1.5,
        restored_before=True,
    ),
    "shards": Case(
        title="768 MiB in 12 objects and 1,000 of 64 KiB, in parts at once, to memory",
        task=MIXED,
        contestants=AT_ONCE,
        on_tmpfs=True,
        only_by_name=True,
    ),
    "shards-hosts": Case(
        title=f"the same, each process with {HOST_LINE}iB/s, as a host has its line",
        task=MIXED,
        contestants=AT_ONCE_LIMITED,
        on_tmpfs=True,
        only_by_name=True,
    ),
    "large-jobs": Case(title="1.5 GiB by --jobs", task=LARGE, contestants=BY_JOBS, only_by_name=True),
    "large-jobs-far": Case(
        title="1.5 GiB by --jobs, 30 ms away", task=LARGE, contestants=BY_JOBS, far=True, only_by_name=True
    ),
    "small-jobs": Case(title="3,000 of 64 KiB by --jobs", task=SMALL, contestants=BY_JOBS, only_by_name=True),
    "small-jobs-far": Case(
        title="3,000 of 64 KiB by --jobs, 30 ms away", task=SMALL, contestants=BY_JOBS, far=True, only_by_name=True
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What all cases have in common."""

    server: EmbeddedS3
    ca_bundle: Path
    objects: Objects
    folder: Path
    rounds: int

    def run(self, name: str) -> Sequence[Row]:
        """Run a case, print its table and return it."""
        case = CASES[name]
        with ExitStack() as opened:
            folder = self.folder
            if case.on_tmpfs:
                if not TMPFS.is_dir() or shutil.disk_usage(TMPFS).free < TMPFS_BYTES:
                    print(f"\n{name} is left out: there is no {TMPFS} with {TMPFS_BYTES:,} bytes free")
                    return ()
                folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="kraken-plan-", dir=TMPFS)))
            task = case.task(self.objects)
            if case.encrypted:
                task = replace(task, endpoint_url=self.server.https_url)
            if case.far:
                path = slow_path(task.endpoint_url, delay_seconds=FAR_SECONDS)
                task = replace(task, endpoint_url=opened.enter_context(path))
            contest = Contest(
                name=name,
                task=task,
                contestants=case.contestants,
                restored_before=case.restored_before,
                keeps_files=case.task is SMALL and not case.on_tmpfs,
                rounds=self.rounds,
                folder=folder,
                environment=self._environment(),
            )
            before = time.process_time()
            rows = compare(hold(contest), case.bar)
            show(f"{name}: {case.title}", rows)
            if case.far:
                seconds = (time.process_time() - before) / (self.rounds + 1) / len(case.contestants)
                print(f"  (the way there itself took {seconds:.2f} CPU s a run)")
            return rows

    def _environment(self) -> dict[str, str]:
        server = self.server
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "AWS_REGION": server.region,
            "AWS_CA_BUNDLE": str(self.ca_bundle),
            "SSL_CERT_FILE": str(self.ca_bundle),  # for the peers
            **server.environment,
        }


def main() -> None:
    """Read the command line, say what runs where, and run."""
    parser = argparse.ArgumentParser(description="kraken-plan beside its peers; ratios are kraken-plan / other")
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds of each case (default 5)")
    parser.add_argument("--case", action="append", choices=CASES, metavar="NAME", help=f"of {', '.join(CASES)}")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the tables to a page, too (Markdown)")
    arguments = parser.parse_args()
    names = arguments.case or [name for name, case in CASES.items() if not case.only_by_name]
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="kraken-plan-bench-")))
        ca = make_private_ca(folder)
        server = opened.enter_context(embedded_s3(folder / "s3", certificate=ca.certificate))
        surroundings = describe_surroundings(folder)
        print(*surroundings, sep="\n", flush=True)
        print("columns: median wall, median CPU of the client, peak memory, first / this one: median (min-max)")
        with closing(server.client()) as client:
            objects = Objects(client, folder)
            bench = Bench(
                server=server,
                ca_bundle=ca.bundle,
                objects=objects,
                folder=folder / "restored",
                rounds=arguments.rounds,
            )
            tables = {name: bench.run(name) for name in names}
        if arguments.write:
            titles = {name: CASES[name].title for name in names}
            arguments.write.write_text(as_page(tables, titles, surroundings, arguments.rounds), encoding="utf-8")


if __name__ == "__main__":
    main()
