"""`kraken-plan diff`, as a reviewer runs it, by itself and through git."""

import json
import os
import pty
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cli import PROGRAM, Cli
from needs import need
from plan_samples import MD5, OTHER_MD5, make_plan, plan_bytes, planned_file, planned_raw_file

from schemas.plan import Plan, UnresolvedFile
from schemas.plan_file import read_plan

OLD = make_plan(
    planned_raw_file("a.d", planned_file("a.d/x", size=3000), planned_file("a.d/y", size=7)),
    planned_raw_file("b.raw"),
    planned_raw_file("m.d", planned_file("m.d/1"), planned_file("m.d/2")),
)
NEW = make_plan(
    planned_raw_file("n\x1b[31mew.d", planned_file("n.d/1", size=1), planned_file("n.d/2", size=1024**3)),
    replace(OLD.raw_files[2], destination_base="/out/PRID009"),
    planned_raw_file(
        "a.d",
        UnresolvedFile(relative_path="a.d/y", error="no etag", s3_key="a.d/y", expected_size=7),
        planned_file("a.d/x", etag=OTHER_MD5, size=4000),
        planned_file("a.d/z", size=5),
    ),
)


def digest(plan: Plan) -> str | None:
    return read_plan(plan_bytes(plan), "plan").plan_digest


SHOWN = f"""\
--- old.json  {digest(OLD)}
+++ new.json  {digest(NEW)}
~ a.d
  ~ a.d/x
      expected_etag: {MD5} -> {OTHER_MD5}
      expected_size: 3,000 -> 4,000
  ~ a.d/y
      expected_etag: {MD5} -> null
      chunk_size_mb: 5 -> null
      absolute_dest_path: /out/PRID001/a.d/y -> null
      error appeared: no etag
  + a.d/z (5 bytes)
- b.raw: 1 file, 3 B, at /out/PRID001
~ m.d
    destination_base: /out/PRID001 -> /out/PRID009
  2 files with nothing else changed
+ n\\x1b[31mew.d: 2 files, 1.0 GiB, at /out/PRID001

added: 1 raw file, 3 files, 1,073,741,830 bytes (1.0 GiB)
removed: 1 raw file, 1 file, 3 bytes (3 B)
changed: 2 raw files, 4 files, 4,006 bytes (3.9 KiB)
"""


@pytest.fixture
def plans(run_cli: Cli) -> tuple[Path, Path]:
    for name, plan in (("old.json", OLD), ("new.json", NEW)):
        (run_cli.folder / name).write_bytes(plan_bytes(plan))
    return run_cli.folder / "old.json", run_cli.folder / "new.json"


@pytest.mark.usefixtures("plans")
def test_diff_should_say_what_changed_and_how_much(run_cli: Cli) -> None:
    done = run_cli("diff", "old.json", "new.json")
    assert (done.exit_code, done.stdout, done.stderr) == (1, SHOWN, "")
    assert "\n  + n.d/2 (1,073,741,824 bytes)\n" in run_cli("diff", "old.json", "new.json", "--files").stdout


@pytest.mark.usefixtures("plans")
def test_diff_should_say_nothing_where_plans_ask_for_the_same(run_cli: Cli) -> None:
    other = replace(NEW, raw_files=NEW.raw_files[::-1], created_at="2020-01-01T00:00:00Z")
    (run_cli.folder / "other.json").write_bytes(plan_bytes(other))
    done = run_cli("diff", "new.json", "other.json")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")
    same = run_cli("diff", "new.json", "-", "--json", stdin=plan_bytes(other).decode())
    assert same.exit_code == 0
    assert json.loads(same.stdout)["same"] is True


@pytest.mark.usefixtures("plans")
def test_json_should_hold_all_that_differs(run_cli: Cli) -> None:
    done = run_cli("diff", "old.json", "new.json", "--json")
    assert done.exit_code == 1
    document = json.loads(done.stdout)
    assert (document["same"], document["old"]) == (False, {"name": "old.json", "plan_digest": digest(OLD)})
    assert document["totals"]["changed"] == {"raw_files": 2, "files": 4, "size_bytes": 4006}
    kinds = {raw_file["raw_file_id"]: raw_file["kind"] for raw_file in document["raw_files"]}
    assert kinds == {"a.d": "changed", "b.raw": "removed", "m.d": "changed", "n\x1b[31mew.d": "added"}
    (moved,) = (raw_file for raw_file in document["raw_files"] if raw_file["raw_file_id"] == "m.d")
    assert [file["changes"][0]["new"] for file in moved["files"]] == ["/out/PRID009/m.d/1", "/out/PRID009/m.d/2"]
    assert done.stdout.isascii()


@pytest.mark.usefixtures("plans")
def test_diff_should_refuse_a_file_that_is_not_a_plan(run_cli: Cli) -> None:
    (run_cli.folder / "edited.json").write_bytes(plan_bytes(OLD).replace(b"eu-central-1", b"eu-west-1"))
    edited = run_cli("diff", "old.json", "edited.json")
    assert edited.exit_code == 1
    assert "edited.json: the plan was changed after it was compiled" in edited.stderr  # a warning: what was, is shown
    assert run_cli("diff", "old.json").exit_code == 2
    assert run_cli("diff", "none.json", "old.json").exit_code == 2
    assert "only one of the plans" in run_cli("diff", "-", "-").stderr


@pytest.mark.usefixtures("plans")
@pytest.mark.parametrize(
    ("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colours_should_be_for_terminals_that_want_them(
    run_cli: Cli, environment: dict[str, str], *, coloured: bool
) -> None:
    terminal, stdout = pty.openpty()
    settings = {"TERM": "xterm", "LINES": "100", **environment}
    subprocess.run(
        [PROGRAM, "diff", "old.json", "new.json"],
        stdout=stdout,
        cwd=run_cli.folder,
        env={**run_cli.environment, **settings},
        check=False,
        timeout=60,
    )
    os.close(stdout)
    shown = read_terminal(terminal)
    assert ("\x1b[32m+ " in shown) is coloured
    assert ("\x1b[" in shown) is coloured
    assert "+ n\\x1b[31mew.d" in shown


def read_terminal(terminal: int) -> str:
    """All that was written to a terminal whose other side is closed."""
    pieces = []
    try:
        while piece := os.read(terminal, 65536):
            pieces.append(piece)
    except OSError:  # how Linux says that nothing more can come
        pass
    finally:
        os.close(terminal)
    return b"".join(pieces).decode()


Git = Callable[..., str]


@pytest.fixture
def git(run_cli: Cli) -> Git:
    """Git in a repository that shows plans by our driver."""
    need(shutil.which("git"), "there is no git (Debian: apt-get install git)")
    name = ["-c", "user.name=x", "-c", "user.email=x@example.org"]

    def run(*arguments: str) -> str:
        command = ["git", *name, *arguments]
        done = subprocess.run(
            command,
            cwd=run_cli.folder,
            env=dict(run_cli.environment),
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    run("init", "-q")
    run("config", "diff.kraken-plan.command", f"{PROGRAM} diff --git")
    (run_cli.folder / ".gitattributes").write_text("plans/*.json diff=kraken-plan\n")
    (run_cli.folder / "plans").mkdir()
    return run


def test_git_should_show_what_changed_in_a_plan(run_cli: Cli, git: Git) -> None:
    # given a plan in git, and changed since
    plan = run_cli.folder / "plans" / "week.json"
    plan.write_bytes(plan_bytes(OLD))
    git("add", ".")
    git("commit", "-q", "-m", "plan")
    plan.write_bytes(plan_bytes(NEW))

    # when / then
    assert git("diff") == SHOWN.replace(" old.json", " plans/week.json").replace(" new.json", " plans/week.json")

    # and a plan that was only written anew, one that is new, one that is renamed, one that is torn
    plan.write_bytes(plan_bytes(replace(OLD, created_at="2020-01-01T00:00:00Z")))
    assert git("diff") == ""
    git("checkout", "-q", "plans/week.json")
    (run_cli.folder / "plans" / "new.json").write_bytes(plan_bytes(make_plan(planned_raw_file("x" * 3))))
    git("add", ".")
    assert git("diff", "--cached").startswith("--- plans/new.json  (no plan)\n+++ plans/new.json  sha256:")
    git("commit", "-q", "-m", "another")
    assert "\n+ xxx: 1 file, 3 B, at /out/PRID001\n" in git("show", "--ext-diff")
    git("mv", "plans/week.json", "plans/month.json")
    (run_cli.folder / "plans" / "month.json").write_bytes(plan_bytes(NEW))
    git("add", ".")
    assert "removed: 1 raw file" in git("diff", "--cached", "-M10%")
    (run_cli.folder / "plans" / "new.json").write_bytes(plan_bytes(OLD)[:-5])
    assert "plans/new.json: cannot be compared: " in git("diff")
    (run_cli.folder / "plans" / "new.json").unlink()
    assert "\n- xxx: 1 file" in git("diff")


def test_leaving_gits_pager_should_be_no_death_of_the_driver(run_cli: Cli) -> None:
    # given more to show than a buffer holds, and nobody who reads any more
    plan = make_plan(*(planned_raw_file(f"{number}.raw") for number in range(1000)))
    (run_cli.folder / "plan.json").write_bytes(plan_bytes(plan))
    reader, writer = os.pipe()
    os.close(reader)

    # when
    with os.fdopen(writer, "w") as closed:
        done = subprocess.run(
            [PROGRAM, "diff", "--git", "plan.json", "/dev/null", ".", ".", "plan.json", "0", "100644"],
            cwd=run_cli.folder,
            env=dict(run_cli.environment),
            stdout=closed,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            check=False,
            timeout=60,
        )

    # then
    assert (done.returncode, done.stderr) == (0, "")
