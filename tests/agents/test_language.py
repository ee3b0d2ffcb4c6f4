from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from agents import spec
from agents.catalog import example_folder
from agents.load import LoadedWorkspace, compile_agent, load_workspace
from agents.reference.examples import EXAMPLES
from agents.reference.language import reference, rows
from agents.reference.schema import build

DOCUMENTS = [
    thing
    for thing in vars(spec).values()
    if isinstance(thing, type)
    and issubclass(thing, spec.Document)
    and thing not in (spec.Document, spec.Rule)
]
RULES = {
    get_args(member.model_fields["rule"].annotation)[0]: member
    for member in get_args(get_args(spec.GuardrailSpec)[0])
}


def page() -> str:
    return (Path(__file__).parents[2] / "docs" / "language.md").read_text(encoding="utf-8")


def test_the_committed_page_is_what_the_documents_say() -> None:
    made = reference()
    assert page() == made, "run: python -m agents.reference.language > docs/language.md"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.__name__)
def test_every_field_of_every_document_has_a_row(document: type[BaseModel]) -> None:
    if document in RULES.values():
        (name,) = get_args(document.model_fields["rule"].annotation)
        heading = f"### {name}\n"
    else:
        names = {"Workspace": "workspace.yaml", "Agent": "agents/NAME.yaml"}
        heading = f"## {names.get(document.__name__, document.__name__)}\n"
    section = page().split(heading)[1].split("\n## ")[0].split("\n### ")[0]
    for name, field in document.model_fields.items():
        word = field.alias or name
        if document in RULES.values() and word in ("rule", "on", "except"):
            continue
        assert f"| `{word}` |" in section, f"{document.__name__}.{word}"


def test_every_row_says_what_it_means() -> None:
    for schema in build().values():
        for part in [schema, *schema["$defs"].values()]:
            for word, _, _, meaning in rows(part):
                assert meaning, f"{part['title']}.{word} has no meaning"


@pytest.mark.parametrize("rule", RULES)
def test_the_example_of_every_rule_loads_and_shows_that_rule(
    telecom: LoadedWorkspace, rule: str
) -> None:
    workspace, text = telecom.workspace, telecom.texts["retention"]
    if rule == "action_suppression":  # it is for agents with supplied actions only
        with example_folder("personalizer") as folder:
            loaded = load_workspace(folder)
        workspace, text = loaded.workspace, loaded.texts["drinks"]
    head, rest = text.split("guardrails:\n")
    tail = rest[rest.index("\npolicy:") :]
    revision = compile_agent(f"{head}guardrails:\n{EXAMPLES[rule]}{tail}", "f", workspace)
    assert {spec.rule for spec in revision.agent.guardrails.values()} == {rule}
    assert f"### {rule}\n" in page()
    assert EXAMPLES[rule] in page()


def test_no_example_is_left_over() -> None:
    assert set(EXAMPLES) == set(RULES)
