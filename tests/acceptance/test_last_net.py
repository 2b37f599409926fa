"""What nobody has foreseen: one line, an exit code of its own, and a traceback only for those who ask for it.

The faults are modules of somebody else that stand in a vendor's place, and limits of the system.
"""

import importlib.util
import py_compile
import subprocess
from pathlib import Path

import pytest
from cli import PROGRAM, Cli
from plan_samples import make_plan, plan_bytes, planned_file, planned_raw_file

SAYING_NOTHING_OF_THE_KIND = "class Draft202012Validator:\n    def __init__(self, schema):\n        raise {}\n"


@pytest.fixture
def plan_path(run_cli: Cli) -> Path:
    path = run_cli.folder / "plan.json"
    path.write_bytes(plan_bytes(make_plan()))
    return path


def in_the_way(run_cli: Cli, name: str, content: str) -> dict[str, str]:
    """An environment in which another module stands in a module's place."""
    folder = run_cli.folder / "other"
    folder.mkdir()
    (folder / name).write_text(content, encoding="utf-8")
    return {"PYTHONPATH": str(folder)}


@pytest.mark.parametrize("error", ["KeyError('what')", "BaseException('a panic\\n\\x1b[31m')", "GeneratorExit()"])
def test_an_unforeseen_exception_should_be_one_line_and_exit_code_70(run_cli: Cli, plan_path: Path, error: str) -> None:
    environment = in_the_way(run_cli, "jsonschema_rs.py", SAYING_NOTHING_OF_THE_KIND.format(error))

    result = run_cli("validate", plan_path, environment=environment)

    assert result.exit_code == 70
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"kraken-plan: this is a bug: {error.partition('(')[0]}")
    assert " in schemas.plan_schema, line " in line
    assert "Please report it to " in line
    assert "\x1b" not in line


@pytest.mark.parametrize("way", ["before the command", "behind the command", "variable"])
def test_debug_should_show_the_traceback_of_a_bug(run_cli: Cli, plan_path: Path, way: str) -> None:
    environment = in_the_way(run_cli, "jsonschema_rs.py", SAYING_NOTHING_OF_THE_KIND.format("KeyError('what')"))
    if way == "variable":
        environment["KRAKEN_PLAN_DEBUG"] = "1"
    before = ["--debug"] if way == "before the command" else []
    behind = ["--debug"] if way == "behind the command" else []

    result = run_cli(*before, "validate", plan_path, *behind, environment=environment, allow_traceback=True)

    assert result.exit_code == 70
    assert result.stderr.startswith("kraken-plan: this is a bug: KeyError: 'what'")
    assert "Traceback (most recent call last):" in result.stderr
    assert "plan_schema.py" in result.stderr


def test_recursion_without_end_should_be_said_in_words(run_cli: Cli, plan_path: Path) -> None:
    environment = in_the_way(run_cli, "jinja2.py", "def again():\n    again()\nagain()\n")

    result = run_cli("show", plan_path, "--html", "page.html", environment=environment)

    assert result.exit_code == 70
    assert result.stderr == "kraken-plan: out of memory: something is nested too deeply to be read\n"


def test_too_little_memory_should_be_said_in_words(run_cli: Cli, plan_path: Path) -> None:
    files = (planned_file(f"many.d/{number}") for number in range(100_000))
    plan_path.write_bytes(plan_bytes(make_plan(planned_raw_file("many.d", *files))))

    result = run_cli("validate", plan_path, under=("prlimit", f"--as={80 * 1024 * 1024}"))

    assert result.exit_code == 70
    (line,) = result.stderr.splitlines()
    assert line.startswith("kraken-plan: out of memory: ")


def test_a_compiled_module_that_was_cut_should_be_called_a_damaged_installation(run_cli: Cli, plan_path: Path) -> None:
    # given: Python leaves it so where the disk gets full while it compiles
    environment = in_the_way(run_cli, "jinja2.py", "")
    compiled = run_cli.folder / "jinja2.pyc"
    py_compile.compile(str(run_cli.folder / "other" / "jinja2.py"), str(compiled), doraise=True)
    cached = Path(importlib.util.cache_from_source(str(run_cli.folder / "other" / "jinja2.py")))
    cached.parent.mkdir()
    cached.write_bytes(compiled.read_bytes()[:40])

    # when
    result = run_cli("show", plan_path, "--html", "page.html", environment=environment)

    # then
    assert result.exit_code == 70
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("kraken-plan: error: the installation is damaged (EOFError: marshal data too short), ")
    assert "install kraken-plan again" in line


def test_an_end_of_file_of_a_library_should_not_pass_for_an_interruption(run_cli: Cli, plan_path: Path) -> None:
    environment = in_the_way(run_cli, "jsonschema_rs.py", SAYING_NOTHING_OF_THE_KIND.format("EOFError('what')"))

    result = run_cli("validate", plan_path, environment=environment)

    assert result.exit_code == 70
    assert "kraken-plan: this is a bug: EOFError: what in " in result.stderr


def test_a_module_in_a_vendors_place_should_be_named(run_cli: Cli, plan_path: Path) -> None:
    environment = in_the_way(run_cli, "orjson.py", "")
    (run_cli.folder / "other" / "jsonschema_rs.py").write_text("from orjson import nothing\n", encoding="utf-8")

    result = run_cli("validate", plan_path, environment=environment)

    assert result.exit_code == 70
    (line,) = result.stderr.splitlines()
    assert f"(found {run_cli.folder}/other/orjson.py)" in line
    assert "PYTHONPATH" in line


def test_a_thread_that_dies_should_be_one_line_and_end_nothing(run_cli: Cli, plan_path: Path) -> None:
    # given a thread that dies while the program waits for its plan
    sitecustomize = "import threading\nthreading.Timer(1, lambda: {}['what']).start()\n"
    environment = dict(run_cli.environment) | in_the_way(run_cli, "sitecustomize.py", sitecustomize)
    delayed = ["/bin/sh", "-c", f'(sleep 3; cat "{plan_path}") | exec "$@"', "sh", str(PROGRAM), "validate", "-"]

    # when
    done = subprocess.run(
        delayed, capture_output=True, encoding="utf-8", env=environment, cwd=run_cli.folder, check=False
    )

    # then
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("kraken-plan: this is a bug: KeyError: 'what' (thread Thread-1")
    assert done.stdout.startswith("<stdin>: valid, ")


def test_an_interruption_while_the_program_is_loaded_should_be_quiet(run_cli: Cli, plan_path: Path) -> None:
    environment = in_the_way(run_cli, "click.py", "raise KeyboardInterrupt\n")

    result = run_cli("validate", plan_path, environment=environment)

    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "")


def test_the_validator_should_have_nothing_left_to_load_where_an_interruption_makes_it_panic(
    run_cli: Cli, plan_path: Path
) -> None:
    fake = "import sys\n\nassert 'decimal' in sys.modules\n\nclass Draft202012Validator:\n"
    fake += "    def __init__(self, schema):\n        pass\n    def is_valid(self, document):\n        return True\n"

    result = run_cli("validate", plan_path, environment=in_the_way(run_cli, "jsonschema_rs.py", fake))

    assert result.exit_code == 0, result.stderr
