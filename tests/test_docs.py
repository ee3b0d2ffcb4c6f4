"""The pages in docs/ name everything that the code has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest

from agents import spec
from agents.loading.rule_references import IMPLIED
from experiments.estimators import ESTIMATORS
from policies.registry import POLICIES
from serving.app import make_app
from serving.settings import Settings
from simulators.worlds import WORLDS

DOCS = Path(__file__).parent.parent / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def test_every_guardrail_is_on_the_tour() -> None:
    union = get_args(spec.GuardrailSpec)[0]
    for member in get_args(union):
        (rule,) = get_args(member.model_fields["rule"].annotation)
        assert f"| `{rule}` |" in page("workspace.md")


@pytest.mark.parametrize("name", IMPLIED)
def test_every_guardrail_that_is_always_there_is_on_the_tour(name: str) -> None:
    if name != "holdout":  # a taken name, and no guardrail
        assert f"`{name}`" in page("workspace.md").split("## Guardrails")[1]


@pytest.mark.parametrize(
    ("name", "registry"),
    [("policies.md", POLICIES), ("evaluation.md", ESTIMATORS), ("simulation.md", WORLDS)],
)
def test_every_registered_part_is_described(name: str, registry: dict[str, Any]) -> None:
    for part in registry:
        assert f"`{part}`" in page(name), f"docs/{name} does not name {part}"


def test_every_route_is_described() -> None:
    app = make_app(Settings(Path("workspace"), Path("data")))
    for path, methods in app.openapi()["paths"].items():
        for method in methods:
            assert f"`{method.upper()} {path}`" in page("serving.md")


def test_links_lead_somewhere() -> None:
    root = DOCS.parent
    for file in (root / "README.md", *DOCS.glob("*.md")):
        for link in re.findall(r"\]\((?!http)([^)#]+)", file.read_text(encoding="utf-8")):
            assert (file.parent / link).exists(), f"{file.name} links to {link}"
