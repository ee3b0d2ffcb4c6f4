"""What a module says it exports is what it has."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import TypeVar

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("agents", "policies", "simulators", "experiments", "serving")


def exporting() -> list[str]:
    """Names of the modules that declare `__all__`, found without importing any."""
    found = []
    for path in (p for room in ROOMS for p in sorted((ROOT / room).rglob("*.py"))):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            if any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets):
                parts = path.relative_to(ROOT).with_suffix("").parts
                found.append(".".join(parts).removesuffix(".__init__"))
    return found


@pytest.mark.parametrize("name", exporting())
def test_exports_are_the_public_members_once_each(name: str) -> None:
    module = importlib.import_module(name)
    exported: list[str] = module.__all__
    assert len(exported) == len(set(exported))  # ruff keeps them sorted, constants first
    assert [member for member in exported if not hasattr(module, member)] == []
    own = {
        member
        for member, value in vars(module).items()
        if not member.startswith("_")
        and getattr(value, "__module__", None) == name
        and not isinstance(value, TypeVar)
    }
    assert own <= set(exported)


def test_some_module_exports_something() -> None:
    assert "agents.guardrails" in exporting()
