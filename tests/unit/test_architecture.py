"""The rooms keep to themselves and stay small: read from the text of every module."""

import ast
import functools
import re
import subprocess
import sys
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
        ("applier.approvals", {"schemas"}),
        ("applier.finding", {"schemas"}),
        ("applier.disk", {"schemas", "applier.target"}),
        ("applier.reports", {"schemas", "applier.disk"}),
        (
            "applier.verify",
            {"schemas", "applier.target", "applier.s3", "applier.disk", "applier.reports", "applier.restore"},
        ),
        (
            "applier.restore",
            {"schemas", "applier.target", "applier.finding", "applier.s3", "applier.disk", "applier.reports"},
        ),
        ("applier.checkup", {"schemas", "applier.finding", "applier.s3", "applier.disk", "applier.restore"}),
        (
            "applier.look",
            {"schemas", "applier.target", "applier.finding", "applier.s3", "applier.disk", "applier.restore"},
        ),
    ],
)
def test_imports_should_run_one_way(room: str, others: set[str]) -> None:
    assert imported_rooms(room) <= others


def test_nobody_should_import_the_command_line() -> None:
    assert {module for module in importers_of("kraken_plan") if room_of(module) != "kraken_plan"} == set()


def test_the_command_group_should_load_commands_by_name_only() -> None:
    entrance = {"kraken_plan.entry_point", "kraken_plan.command_group", "kraken_plan.console", "kraken_plan.logs"}
    entrance |= {
        "kraken_plan.log_format",
        "kraken_plan.options.completion",
        "kraken_plan.options.option_types",
        "kraken_plan.signals",
        "kraken_plan.variables",
        "schemas.errors",
        "schemas.text",
        "schemas.version",
    }
    for module in ("kraken_plan.entry_point", "kraken_plan.command_group", "kraken_plan.console", "kraken_plan.logs"):
        assert {name for name in IMPORTS[module] if name in MODULES} <= entrance


def test_views_should_only_render() -> None:
    """All but the terminal: they neither print nor open files, and know nothing of click."""
    views = {module for module in MODULES if module.startswith("kraken_plan.views.")} - {"kraken_plan.views.terminal"}
    assert views
    assert not views & importers_of("click", "sys", "os", "pathlib", "logging")
    assert not {name for view in views for name in IMPORTS[view] if name.startswith("kraken_plan.commands")}


@pytest.mark.parametrize(
    ("packages", "module"),
    [
        (("pymongo", "bson"), "planner.mongo_catalog"),
        (("yaml",), "schemas.site.yaml_nodes"),
        (("boto3", "s3transfer"), "applier.s3.aws_chain"),
        (("obstore",), "applier.s3.obstore_store"),
        (("tenacity",), "applier.s3.fetcher"),
        (("tqdm",), "kraken_plan.screen.progress"),
        (("jinja2",), "kraken_plan.views.pages.page"),
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


def test_botocore_should_be_known_to_the_aws_chain_and_to_what_signs() -> None:
    names = ("aws_chain", "credentials", "credential_failures", "credential_process", "signed_http")
    assert importers_of("botocore") == {f"applier.s3.{name}" for name in names}


def test_urllib3_should_be_known_to_what_sends_requests() -> None:
    http = {"applier.s3.signed_http", "applier.s3.http_faults", "applier.s3.timed_connections"}
    assert importers_of("urllib3") == http


def test_nothing_but_thaw_should_be_able_to_ask_s3_to_do_anything() -> None:
    asking = {module for module, path in MODULES.items() if '"POST"' in path.read_text(encoding="utf-8")}
    webhooks = "kraken_plan.finish.notify"  # not S3
    assert asking == {"applier.s3.archive", "applier.restore.thaw", webhooks}
    assert not [name for name in IMPORTS[webhooks] if name.startswith("applier")]
    importers = {module for module, names in IMPORTS.items() if "applier.s3.archive.Archives" in names}
    assert importers == {"applier.restore.thaw", "kraken_plan.commands.thaw"}
    assert {
        module for module in MODULES if re.search(r'"(PUT|DELETE|PATCH)"', MODULES[module].read_text("utf-8"))
    } == set()


@pytest.mark.parametrize(
    "module", ["applier.s3.outage", "applier.s3.bandwidth", "applier.s3.fetcher", "applier.restore.session"]
)
def test_no_vendor_should_be_loaded_before_s3_is_asked(module: str) -> None:
    vendors = "{'boto3', 'botocore', 'urllib3', 'obstore', 'tenacity'}"
    program = f"import sys, {module}; print(sorted({vendors} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"


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


def test_no_module_should_have_more_than_300_lines() -> None:
    lines = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in MODULES.items()}

    assert {module for module, count in lines.items() if count > 300} == set()


def attributes_of(a_class: ast.ClassDef) -> set[str]:
    """What an instance holds: the annotated fields of a dataclass, and all that its methods assign to `self`."""
    fields = {
        node.target.id
        for node in a_class.body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and "ClassVar" not in ast.unparse(node.annotation)
    }
    assigned = {
        node.attr
        for node in ast.walk(a_class)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }
    return fields | assigned


def test_attributes_should_be_counted_however_they_come_about() -> None:
    text = """
class Example:
    field: int
    shared: ClassVar[int] = 1
    def __init__(self) -> None:
        self.first, self._second = 1, 2
        self.first += 1
    def later(self) -> None:
        self.third: int = 3
        other.fourth = self.first
"""
    (example,) = ast.parse(text).body
    assert isinstance(example, ast.ClassDef)
    assert attributes_of(example) == {"field", "first", "_second", "third"}


def test_no_class_in_applier_should_have_more_than_7_attributes() -> None:
    attributes = {
        f"{module}.{node.name}": attributes_of(node)
        for module, path in MODULES.items()
        if module.startswith("applier.")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    }

    assert {name for name, found in attributes.items() if len(found) > 7} == set()


def folder_of(module: str) -> str:
    return module.rpartition(".")[0]


def test_no_folder_should_have_more_than_20_modules() -> None:
    modules = [folder_of(module) for module in MODULES if not module.endswith(".__init__")]

    assert {folder: modules.count(folder) for folder in modules if modules.count(folder) > 20} == {}


@functools.cache
def imported_modules(module: str) -> frozenset[str]:
    """Return those of our modules that a module imports, less the packages that it lies in."""
    names = {name if name in MODULES else f"{name}.__init__" for name in IMPORTS[module]}
    packages = {f"{'.'.join(module.split('.')[:depth])}.__init__" for depth in range(1, module.count(".") + 1)}
    return frozenset(names & MODULES.keys() - packages)


def find_circle(imported: dict[str, frozenset[str]]) -> set[str]:
    """Return the modules on a circle of imports and those that lead to one; none where there is no circle."""
    left = dict(imported)
    while grounded := {module for module, names in left.items() if not names & left.keys()}:
        left = {module: names for module, names in left.items() if module not in grounded}
    return set(left)


def test_a_circle_should_be_found() -> None:
    a, b, c = frozenset("a"), frozenset("b"), frozenset("c")

    assert find_circle({"a": b, "b": c, "c": a, "d": frozenset()}) == {"a", "b", "c"}
    assert find_circle({"a": b | c, "b": c, "c": frozenset()}) == set()


def test_modules_should_not_import_each_other_in_a_circle() -> None:
    assert find_circle({module: imported_modules(module) for module in MODULES}) == set()


@functools.cache
def floor_of(module: str) -> int:
    """Return on which floor of its folder a module is: one above the highest of those in it that it imports."""
    below = [floor_of(name) for name in imported_modules(module) if folder_of(name) == folder_of(module)]
    return 1 + max(below, default=0)


@pytest.mark.parametrize("room", sorted({folder_of(module) for module in MODULES if module.startswith("applier.")}))
def test_rooms_of_applier_should_have_no_more_than_6_floors(room: str) -> None:
    floors = {module: floor_of(module) for module in MODULES if folder_of(module) == room}

    assert {module: floor for module, floor in floors.items() if floor > 6} == {}
