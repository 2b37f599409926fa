"""`make demo`: kraken-plan's main job on an embedded S3 server and an exported catalog, told step by step.

Everything lies in one temporary folder and is gone at the end.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import closing
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
from temporary_process import installed_program

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


def back_up_all(server: EmbeddedS3, folder: Path, output: Path) -> None:
    """Do what AlphaKraken has done before a restore is wanted: upload, catalogue; and write the site YAML."""
    with closing(server.client()) as client:
        documents = []
        for number, sample in enumerate(demo_raw_files()):
            bucket, source = f"alphakraken-{sample.project_id.lower()}", folder / "instrument" / str(number)
            create_versioned_bucket(client, bucket)
            write_sample(sample, source)
            back_up(client, sample, bucket=bucket, source_folder=source)
            documents.append(raw_file_document(sample, bucket=bucket, source_folder=source, number=number))
    write_export(folder / "raw_file.jsonl", documents)
    write_site_yaml(
        folder / "alphakraken.demo.yaml",
        output_location=output,
        region=server.region,
        endpoint_url=server.endpoint_url,
    )


def flip_byte(path: Path, offset: int) -> None:
    """Damage a file as a failing disk would."""
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 1]))


def tell(server: EmbeddedS3, folder: Path) -> None:
    """Tell the story: compile, review, apply, apply again, heal, tampered object, reports."""
    output = folder / "output"
    output.mkdir()
    back_up_all(server, folder, output)
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", **server.environment}
    ids = [sample.raw_file_id for sample in demo_raw_files()]
    catalog = ("--catalog", "raw_file.jsonl", "--config", "alphakraken.demo.yaml")

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
    with closing(server.client()) as client:
        client.put_object(Bucket="alphakraken-prid001", Key="20250116_yeast.d/SampleInfo.xml", Body=b"tampered")
    (output / "PRID002" / "20250117_plasma.wiff").unlink()
    reports = run(folder, environment, "apply", "plan.json", expected=1)

    say("The reports of this last run, one per destination.")
    for report in reports.splitlines():
        print(Path(report).read_text(encoding="utf-8"))


def main() -> None:
    """Run the demo in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="kraken-plan-demo-") as name:
        folder = Path(name)
        (folder / "s3").mkdir()
        say("An S3 server starts, and three raw files of two projects are backed up to it.")
        with embedded_s3(folder / "s3") as server:
            tell(server, folder)


if __name__ == "__main__":
    main()
