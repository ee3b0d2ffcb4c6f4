from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agents.catalog import example_names, write_example
from agents.commands import app
from agents.load import load_workspace
from agents.reference.schema import DRAFT, build, editor_comment, schema_texts
from agents.yamlsource import read_yaml

Draft202012Validator = import_module("jsonschema").Draft202012Validator  # has no types
ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "agents" / "examples").rglob("*.yaml"))


def kind_of(path: Path) -> str:
    return "workspace" if path.name == "workspace.yaml" else "agent"


def valid(kind: str, value: Any) -> bool:
    return bool(Draft202012Validator(build()[kind]).is_valid(value))


def values(path: Path) -> dict[str, Any]:
    return read_yaml(path.read_text(encoding="utf-8"), path.name).value


@pytest.fixture
def agent() -> dict[str, Any]:
    return values(ROOT / "agents" / "examples" / "telecom" / "agents" / "retention.yaml")


@pytest.mark.parametrize("kind", ["workspace", "agent"])
def test_the_committed_schema_is_what_the_documents_say(kind: str) -> None:
    committed = (ROOT / "agents" / "schema" / f"{kind}.json").read_text(encoding="utf-8")
    assert committed == schema_texts()[kind], "run: nextbest schema agents/schema"
    assert json.loads(committed)["$schema"] == DRAFT
    Draft202012Validator.check_schema(json.loads(committed))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_every_example_follows_its_schema(path: Path) -> None:
    errors = [
        f"{e.json_path}: {e.message}"
        for e in Draft202012Validator(build()[kind_of(path)]).iter_errors(values(path))
    ]
    assert errors == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("agnet",), "retention"),
        (("agent",), "Retention GmbH"),
        (("offers", "roaming_pass", "kind"), "servce"),
        (("offers", "roaming_pass", "kidn"), "service"),
        (("offers", "roaming_pass", "start"), "2026-3-1"),
        (("offers", "roaming_pass", "end"), "2026-13-01"),
        (("offers", "roaming_pass", "channels"), []),
        (("outcomes", "renewed", "window"), "7 days"),
        (("outcomes", "renewed", "window"), "0d"),
        (("outcomes", "renewed", "value"), "ten"),
        (("outcomes", "renewed", "value"), {"property": "amount"}),
        (("guardrails", "offer_pause", "rule"), "cool"),
        (("guardrails", "offer_pause", "pause"), 14),
        (("guardrails", "channel_limit", "per"), "fortnight"),
        (("guardrails", "channel_limit", "max"), -1),
        (("guardrails", "channel_limit", "mx"), 1),
        (("holdout", "control"), 1.5),
        (("policy", "floor"), "0.1"),
    ],
)
def test_what_editors_should_mark_is_marked(
    agent: dict[str, Any], path: tuple[str, ...], value: object
) -> None:
    assert valid("agent", agent)
    inner = agent
    for word in path[:-1]:
        inner = inner[word]
    inner[path[-1]] = value
    assert not valid("agent", agent)


def test_times_and_zones_have_a_form() -> None:
    text = (ROOT / "agents" / "examples" / "telecom" / "workspace.yaml").read_text("utf-8")
    for old, new in (("20:00", "24:00"), ("20:00", "8pm"), ("Europe/Berlin", "../etc/passwd")):
        assert old in text
        assert not valid("workspace", read_yaml(text.replace(old, new), "f").value)


def defaults(part: Any) -> Iterator[Any]:
    if isinstance(part, dict):
        if "default" in part:
            yield part["default"]
        for value in part.values():
            yield from defaults(value)
    elif isinstance(part, list):
        for value in part:
            yield from defaults(value)


def test_defaults_are_written_as_a_file_has_them() -> None:
    texts = {value for value in defaults(build()) if isinstance(value, str)}
    assert "3650d" in texts
    assert not any(text.startswith("P") for text in texts)


@pytest.mark.parametrize("name", example_names())
def test_the_files_of_a_new_workspace_name_their_schema(name: str, tmp_path: Path) -> None:
    written = write_example(name, tmp_path / "shop")
    assert tmp_path / "shop" / ".schema" / "agent.json" in written
    for path in (path for path in written if path.suffix == ".yaml"):
        first = path.read_text(encoding="utf-8").splitlines()[0]
        assert first == editor_comment(path, tmp_path / "shop")
        schema = (path.parent / first.split("=", 1)[1]).resolve()
        Draft202012Validator(json.loads(schema.read_text("utf-8"))).validate(values(path))
    assert load_workspace(tmp_path / "shop").revisions


def test_the_command_writes_both(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["schema", str(tmp_path / "new")], catch_exceptions=False)
    assert result.exit_code == 0
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "agent.json",
        "workspace.json",
    ]
