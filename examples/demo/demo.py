"""`make demo`: kraken-plan's main job on an embedded S3 server and an exported catalog, told step by step.

Everything lies in one temporary folder and is gone at the end. With the name of a folder as argument, as by
`make demo KEEP=1`, the world of the story is made there, and kept with its server until Ctrl-C.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from sample_data import demo_raw_files
from temporary_process import installed_program
from world import CATALOG, SITE_YAML, World, demo_world, keep, new_folder

BOLD, PLAIN = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")


def say(text: str) -> None:
    """Print a line of the story."""
    print(f"{BOLD}# {text}{PLAIN}", flush=True)


def show(lines: Iterable[str], pattern: str = "") -> None:
    """Print the lines in which a pattern is found, and how many others there are."""
    lines = list(lines)
    shown = [line for line in lines if re.search(pattern, line)]
    left_out = len(lines) - len(shown)
    more = "1 more line" if left_out == 1 else f"{left_out} more lines"
    print("\n".join([*shown, *([f"  … ({more})"] if left_out else [])]), flush=True)


def run(world: World, *arguments: str, expected: int = 0, pattern: str = "") -> list[str]:
    """Run kraken-plan as a user would, show what it says, and return the lines of its stdout.

    Args:
        world: where it runs, and what it sees in its environment.
        arguments: the command line.
        expected: the exit code that belongs to the story.
        pattern: what the lines have that are shown.
    """
    print(f"{BOLD}$ kraken-plan {' '.join(arguments)}{PLAIN}", flush=True)
    done = subprocess.run(
        [installed_program("kraken-plan"), *arguments],
        cwd=world.folder,
        env=dict(world.environment),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    printed = done.stdout.splitlines()
    show([line for line in [*printed, *done.stderr.splitlines()] if line], pattern)
    if done.returncode != expected:
        sys.exit(f"the demo expected exit code {expected}, found {done.returncode}:\n{done.stdout}{done.stderr}")
    return printed


def flip_byte(path: Path, offset: int) -> None:
    """Damage a file as a failing disk would."""
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 1]))


def tell(world: World) -> None:
    """Tell the story: compile, review, apply, apply again, heal, overwritten object, report."""
    ids = [sample.raw_file_id for sample in demo_raw_files()]

    say("An S3 server has three raw files of two projects. Compile resolves them out of the catalog into a plan.")
    run(world, "compile", *ids, "--catalog", CATALOG, "--config", SITE_YAML, "-o", "plan.json")

    say("A plan says of every file what is fetched, what it must be, and where it goes. One of them:")
    plan = json.loads((world.folder / "plan.json").read_bytes())
    print(json.dumps(plan["raw_files"][ids[0]]["files"][0], indent=2))

    say("Review it: what it restores, how much goes where, what the catalog warns of. (`show --html` makes a page.)")
    run(world, "show", "plan.json", pattern="^(Digest|Restores|State|to restore)")

    say("Apply it: every file is fetched, verified as read back, and only then given its name.")
    run(world, "apply", "plan.json", pattern="entries:|verified|_batch_")

    say("Apply it again: every file is verified on S3 and on disk, and skipped.")
    run(world, "apply", "plan.json", pattern="  verified")

    say("A bit flips on disk. Status finds it and changes nothing; apply heals it in one rename.")
    flip_byte(world.output / "PRID001" / "20250115_hela.raw", 7_000_000)
    run(world, "status", "plan.json", expected=1, pattern="^To do| wrong ")
    run(world, "apply", "plan.json", pattern="healed")

    say("Somebody overwrites an object on S3. Apply reports it, keeps the local file, and does all the rest.")
    with closing(world.server.client()) as client:
        client.put_object(Bucket="alphakraken-prid001", Key="20250116_yeast.d/SampleInfo.xml", Body=b"tampered")
    (world.output / "PRID002" / "20250117_plasma.wiff").unlink()
    reports = run(world, "apply", "plan.json", expected=1, pattern="entries:|  1 x |_batch_")

    say("A report has a line for every file. Of the last one of PRID001:")
    show(Path(reports[0]).read_text(encoding="utf-8").splitlines(), "^(Status|Total files|Failed files):|FAILURE -")


def main() -> None:
    """Tell the story in a temporary folder, or in the one that the command line names, which is kept."""
    if len(sys.argv) > 1:
        with demo_world(new_folder(sys.argv[1])) as world:
            tell(world)
            keep(world)
        return
    with tempfile.TemporaryDirectory(prefix="kraken-plan-demo-") as name, demo_world(Path(name)) as world:
        tell(world)


if __name__ == "__main__":
    main()
