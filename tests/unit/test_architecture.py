"""The rooms keep to themselves: read from the imports of every module, wherever in it they stand."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("schemas", "pages", "planner", "applier")
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in [ROOT / "kraken_plan.py", *(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))]
}


def imports_of(path: Path) -> set[str]:
    """Every module that a file imports, in full; of `from a import b` also `a.b`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


IMPORTS = {module: imports_of(path) for module, path in MODULES.items()}


def importers_of(*packages: str) -> set[str]:
    return {module for module, names in IMPORTS.items() for name in names if name.partition(".")[0] in packages}


def room_of(module: str) -> str:
    return module.partition(".")[0]


def test_every_room_should_have_been_read() -> None:
    assert {room_of(module) for module in MODULES} == {"kraken_plan", *ROOMS}
    assert importers_of("schemas") > {"planner.build_plan", "kraken_plan"}


@pytest.mark.parametrize(
    ("room", "others"),
    [
        ("schemas", {"pages", "planner", "applier"}),
        ("pages", {"planner", "applier"}),
        ("planner", {"applier"}),
        ("applier", {"planner"}),
    ],
)
def test_imports_should_run_one_way(room: str, others: set[str]) -> None:
    assert {module for module in importers_of(*others) if room_of(module) == room} == set()


def test_nobody_should_import_the_front_door() -> None:
    assert importers_of("kraken_plan") == set()


def test_the_front_door_should_load_commands_by_name_only() -> None:
    names = {name for name in IMPORTS["kraken_plan"] if room_of(name) in ROOMS}
    assert {".".join(name.split(".")[:2]) for name in names} <= {"schemas.errors", "schemas.text", "schemas.version"}


@pytest.mark.parametrize(
    ("packages", "module"),
    [
        (("pymongo", "bson"), "planner.mongo_catalog"),
        (("yaml",), "schemas.site_config"),
        (("boto3", "botocore", "s3transfer", "urllib3"), "applier.boto_store"),
        (("obstore",), "applier.obstore_store"),
        (("tenacity",), "applier.fetch"),
        (("tqdm",), "applier.progress_bar"),
        (("jinja2",), "pages.page"),
        (("orjson",), "schemas.plan_text"),
        (("jsonschema", "jsonschema_rs"), "schemas.plan_schema"),
    ],
)
def test_each_vendor_should_have_its_one_module(packages: tuple[str, ...], module: str) -> None:
    assert importers_of(*packages) == {module}


def test_click_should_be_imported_by_commands_only_and_by_what_they_print_with() -> None:
    assert {
        module
        for module in importers_of("click")
        if module not in {"kraken_plan", "pages.terminal", "applier.write_reports"}
        and not module.endswith(("_command", "_commands", "_options"))
    } == set()


def test_the_contract_should_need_no_vendor_but_validators_and_the_readers_of_json_and_yaml() -> None:
    vendors = ("click", "boto3", "botocore", "pymongo", "bson", "obstore", "tqdm", "tenacity")
    assert {module for module in importers_of(*vendors) if room_of(module) == "schemas"} == set()


@pytest.mark.parametrize("name", ["utils", "helpers", "common", "misc"])
def test_no_module_should_have_a_name_that_says_nothing(name: str) -> None:
    assert not [module for module in MODULES if module.endswith(f".{name}")]


def test_nothing_should_be_printed_outside_the_commands() -> None:
    printing = {
        module
        for module, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert printing == set()
