"""The rooms keep to themselves: read from the imports of every module, wherever in it they stand."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("kraken_plan", "planner", "applier", "schemas")
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for room in ROOMS
    for path in sorted((ROOT / room).rglob("*.py"))
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
    """The package; of applier, which has rooms of its own, the one below it."""
    package, _, below = module.partition(".")
    return f"applier.{below.partition('.')[0]}" if package == "applier" else package


def imported_rooms(room: str) -> set[str]:
    return {
        room_of(name)
        for module, names in IMPORTS.items()
        if room_of(module) == room
        for name in names
        if name in MODULES or f"{name}.__init__" in MODULES
    } - {room, "applier."}


def test_every_room_should_have_been_read() -> None:
    assert {module.partition(".")[0] for module in MODULES} == set(ROOMS)
    assert importers_of("schemas") > {"planner.build_plan", "kraken_plan.command_group"}


@pytest.mark.parametrize(
    ("room", "others"),
    [
        ("schemas", set()),
        ("planner", {"schemas"}),
        ("applier.s3", {"schemas"}),
        ("applier.target", {"schemas"}),
        ("applier.disk", {"schemas", "applier.target"}),
        ("applier.reports", {"schemas", "applier.disk"}),
        ("applier.restore", {"schemas", "applier.target", "applier.s3", "applier.disk", "applier.reports"}),
    ],
)
def test_imports_should_run_one_way(room: str, others: set[str]) -> None:
    assert imported_rooms(room) <= others


def test_nobody_should_import_the_command_line() -> None:
    assert {module for module in importers_of("kraken_plan") if room_of(module) != "kraken_plan"} == set()


def test_the_front_door_should_load_commands_by_name_only() -> None:
    names = {name for name in IMPORTS["kraken_plan.command_group"] if name.partition(".")[0] in ROOMS}
    assert {".".join(name.split(".")[:2]) for name in names} <= {"schemas.errors", "schemas.text", "schemas.version"}


@pytest.mark.parametrize(
    ("packages", "module"),
    [
        (("pymongo", "bson"), "planner.mongo_catalog"),
        (("yaml",), "schemas.site_config"),
        (("boto3", "s3transfer", "urllib3"), "applier.s3.boto_store"),
        (("obstore",), "applier.s3.obstore_store"),
        (("tenacity",), "applier.s3.fetcher"),
        (("tqdm",), "kraken_plan.progress"),
        (("jinja2",), "kraken_plan.views.page"),
        (("orjson",), "schemas.plan_text"),
        (("jsonschema", "jsonschema_rs"), "schemas.plan_schema"),
    ],
)
def test_each_vendor_should_have_its_one_module(packages: tuple[str, ...], module: str) -> None:
    assert importers_of(*packages) == {module}


def test_click_should_be_imported_by_the_command_line_only() -> None:
    assert {room_of(module) for module in importers_of("click", "tqdm", "jinja2")} == {"kraken_plan"}


def test_the_contract_should_need_no_vendor_but_validators_and_the_readers_of_json_and_yaml() -> None:
    vendors = ("click", "boto3", "botocore", "pymongo", "bson", "obstore", "tqdm", "tenacity")
    assert {module for module in importers_of(*vendors) if room_of(module) == "schemas"} == set()


def test_botocore_should_be_known_to_those_that_read_the_aws_chain_and_talk_to_s3() -> None:
    assert importers_of("botocore") == {"applier.s3.boto_store", "applier.s3.chain_endpoint"}


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
