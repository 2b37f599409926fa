"""What starting costs: help and refusals load no vendor that only a run needs."""

import subprocess
import sys

import pytest
from cli import Cli
from plan_samples import make_plan, plan_bytes

from kraken_plan.command_group import COMMANDS

VENDORS = ("boto3", "botocore", "s3transfer", "obstore", "pymongo", "bson", "tqdm", "jinja2", "tenacity")
READERS = ("yaml", "jsonschema_rs", "jsonschema")  # of what is refused
# Runs the program as its console script does, and says at the end which vendors it has loaded.
_RUN = f"""
import os, sys
import kraken_plan

def leave(exit_code, leave=os._exit):
    sys.stderr.write("LOADED " + repr([name for name in {(*VENDORS, *READERS)} if name in sys.modules]) + "\\n")
    sys.stderr.flush()
    leave(exit_code)

os._exit = leave
kraken_plan.main()
"""


def vendors_loaded_by(run_cli: Cli, *arguments: str) -> tuple[int, list[str]]:
    """The exit code of a run, and the vendors that were loaded when it ended."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        cwd=run_cli.folder,
        env=dict(run_cli.environment),
        check=False,
    )
    (said,) = (line for line in done.stderr.splitlines() if line.startswith("LOADED "))
    return done.returncode, [name for name in (*VENDORS, *READERS) if repr(name) in said]


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_should_load_no_vendor_but_click(run_cli: Cli, arguments: list[str]) -> None:
    exit_code, loaded = vendors_loaded_by(run_cli, *arguments)
    assert exit_code == 0
    assert set(loaded) <= ({"yaml"} if arguments[0] in {"compile", "restore"} else set())


@pytest.mark.parametrize("command", ["apply", "status", "verify", "thaw", "show", "validate", "select", "split"])
@pytest.mark.parametrize("fault", ["JSON", "digest", "schema"])
def test_a_refused_plan_should_load_no_vendor(run_cli: Cli, command: str, fault: str) -> None:
    content = plan_bytes(make_plan())
    spoiled = {
        "JSON": content[:-10],
        "digest": content.replace(b"sample", b"other1"),
        "schema": content.replace(b'"output_location"', b'"output_place"'),
    }
    (run_cli.folder / "plan.json").write_bytes(spoiled[fault])
    options = {"select": ["--include", "*"], "split": ["-n", "2"]}

    exit_code, loaded = vendors_loaded_by(run_cli, command, "plan.json", *options.get(command, []))

    is_shown = (command, fault) == ("show", "digest")  # with a warning
    assert exit_code == (0 if is_shown else 2)
    assert not set(loaded) & set(VENDORS)


def test_verify_should_load_no_vendor_of_s3(run_cli: Cli) -> None:
    plan = make_plan()
    (run_cli.folder / "plan.json").write_bytes(plan_bytes(plan))

    exit_code, loaded = vendors_loaded_by(run_cli, "verify", "plan.json", "--output-root", str(run_cli.folder))

    assert exit_code == 1
    assert not set(loaded) & set(VENDORS)


def test_apply_should_load_the_s3_vendors_once_it_asks_s3(run_cli: Cli) -> None:
    """The control: this test would see them."""
    (run_cli.folder / "plan.json").write_bytes(plan_bytes(make_plan()))

    exit_code, loaded = vendors_loaded_by(run_cli, "apply", "plan.json", "--output-root", str(run_cli.folder / "none"))

    assert exit_code == 2
    assert {"botocore", "obstore"} <= set(loaded)
