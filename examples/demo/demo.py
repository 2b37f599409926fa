"""`make demo`: kraken-plan's main job on an embedded S3 server and an exported catalog, told step by step.

Everything lies in one temporary folder and is gone at the end.
"""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from sample_data import demo_raw_files
from temporary_process import installed_program
from world import CATALOG, SITE_YAML, World, demo_world

BOLD, PLAIN = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")


def say(text: str) -> None:
    """Print a line of the story."""
    print(f"\n{BOLD}# {text}{PLAIN}", flush=True)


def run(folder: Path, environment: Mapping[str, str], *arguments: str, expected: int) -> str:
    """Run kraken-plan as a user would, show what it says, and return its stdout.

    Args:
        folder: the current folder.
        environment: what the program sees in its environment.
        arguments: the command line.
        expected: the exit code that belongs to the story.
    """
    print(f"{BOLD}$ kraken-plan {' '.join(arguments)}{PLAIN}", flush=True)
    done = subprocess.run(
        [installed_program("kraken-plan"), *arguments],
        cwd=folder,
        env=dict(environment),
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    )
    print(done.stdout, end="")
    print(f"(exit code {done.returncode})", flush=True)
    if done.returncode != expected:
        sys.exit(f"the demo expected exit code {expected}")
    return done.stdout


def flip_byte(path: Path, offset: int) -> None:
    """Damage a file as a failing disk would."""
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 1]))


def tell(world: World) -> None:
    """Tell the story: compile, review, apply, apply again, heal, tampered object, reports."""
    folder, environment, output = world.folder, world.environment, world.output
    ids = [sample.raw_file_id for sample in demo_raw_files()]
    catalog = ("--catalog", CATALOG, "--config", SITE_YAML)

    say("Compile: everything is resolved out of the catalog into a plan. Nothing is fetched yet.")
    run(folder, environment, "compile", *ids, *catalog, "-o", "plan.json", expected=0)
    print((folder / "plan.json").read_text(encoding="utf-8"), end="")

    say("Of one raw file the catalog says that its last upload failed. A note in the plan tells reviewers.")
    say("Review: what it restores, how much goes where, what is noted. (`show --html` makes a page of it.)")
    run(folder, environment, "show", "plan.json", expected=0)

    say("Apply: every file is fetched, verified as read back, and only then given its name.")
    run(folder, environment, "apply", "plan.json", expected=0)

    say("Apply again: every file is verified on S3 and on disk, and skipped.")
    run(folder, environment, "apply", "plan.json", expected=0)

    say("A bit flips on disk. Status finds it and changes nothing; apply heals it in one rename.")
    flip_byte(output / "PRID001" / "20250115_hela.raw", 7_000_000)
    run(folder, environment, "status", "plan.json", expected=1)
    run(folder, environment, "apply", "plan.json", expected=0)

    say("Somebody overwrites an object on S3. Apply reports it, leaves the local file alone, and does all the rest.")
    with closing(world.server.client()) as client:
        client.put_object(Bucket="alphakraken-prid001", Key="20250116_yeast.d/SampleInfo.xml", Body=b"tampered")
    (output / "PRID002" / "20250117_plasma.wiff").unlink()
    reports = run(folder, environment, "apply", "plan.json", expected=1)

    say("The reports of this last run, one per destination.")
    for report in reports.splitlines():
        print(Path(report).read_text(encoding="utf-8"))


def main() -> None:
    """Run the demo in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="kraken-plan-demo-") as name:
        say("An S3 server starts, and three raw files of two projects are backed up to it.")
        with demo_world(Path(name)) as world:
            tell(world)


if __name__ == "__main__":
    main()
