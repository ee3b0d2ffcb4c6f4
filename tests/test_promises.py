"""The page of promises names tests that exist, one for each promise, and all of the list."""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "promises.md").read_text(encoding="utf-8")
REFERENCE = re.compile(r"`([a-z_/]+\.py)::(\w+)`")


@lru_cache
def found_in(name: str) -> frozenset[str]:
    path = TESTS / name
    if not path.is_file():
        return frozenset()
    body = ast.parse(path.read_text(encoding="utf-8")).body
    functions = (each for each in body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(each.name for each in functions if each.name.startswith("test_"))


def rows(first: str) -> list[str]:
    """The lines of a table whose first cell is such a one."""
    return re.findall(rf"^\| {first} \|.*$", PAGE, re.MULTILINE)


def test_every_test_that_is_named_exists() -> None:
    named = REFERENCE.findall(PAGE)
    assert len(named) > 80
    assert [f"{file}::{name}" for file, name in named if name not in found_in(file)] == []


def test_every_promise_has_a_test() -> None:
    promises = rows(r"P\d+")
    assert [line.split()[1] for line in promises] == [f"P{n}" for n in range(1, 13)]
    assert all(REFERENCE.search(line) for line in promises)


def test_the_whole_list_is_there() -> None:
    assert [int(line.split()[1]) for line in rows(r"\d+")] == list(range(1, 65))


def test_every_test_of_faults_is_on_the_page() -> None:
    named = {file for file, _ in REFERENCE.findall(PAGE)}
    assert {f"faults/{path.name}" for path in (TESTS / "faults").glob("test_*.py")} <= named
