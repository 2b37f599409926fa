"""The examples in docstrings show what the code does."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WITH_EXAMPLES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for room in ("schemas", "planner", "applier", "kraken_plan")
    for path in sorted((ROOT / room).rglob("*.py"))
    if ">>>" in path.read_text(encoding="utf-8")
]


def test_some_examples_should_have_been_found() -> None:
    assert "schemas.text" in WITH_EXAMPLES


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples_should_come_to_what_is_written_there(module: str) -> None:
    done = doctest.testmod(importlib.import_module(module))

    assert done.attempted > 0
    assert done.failed == 0
