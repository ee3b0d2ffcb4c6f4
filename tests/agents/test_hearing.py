"""A rule over all agents that only some would hear is pointed out, with both places."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from agents.advising.advice import advise
from agents.load import load_workspace

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
WORKSPACE = """\
workspace: small
currency: EUR
zone: Europe/Berlin
customer: {age: {type: integer}}
channels: {email: {cost: 1}}
events: {declined: {counts_as: rejection}}
guardrails:
  rest: {rule: cooldown, pause: 9d, scope: SCOPE, after: AFTER}
"""
AGENT = """\
agent: NAME
outcomes:
  bought: {value: 10, window: 7d}
  WORD: {value: -5, window: 7d}
offers: {help: {kind: service, variants: {v: {text: Help}}, channels: [email]}}
"""


def advice(folder: Path, *, scope: str, after: str, words: tuple[str, str]) -> list[str]:
    (folder / "agents").mkdir()
    text = WORKSPACE.replace("SCOPE", scope).replace("AFTER", after)
    (folder / "workspace.yaml").write_text(text)
    for name, word in zip(("one", "two"), words, strict=True):
        agent = AGENT.replace("NAME", name).replace("WORD", word)
        (folder / "agents" / f"{name}.yaml").write_text(agent)
    return [str(found) for found in advise(load_workspace(folder), NOW)]


def test_what_only_one_agent_calls_a_rejection_is_named(tmp_path: Path) -> None:
    found = advice(tmp_path, scope="all", after="rejection", words=("complained", "complained"))
    assert found == []
    shop = tmp_path / "shop"
    shop.mkdir()
    found = advice(shop, scope="all", after="rejection", words=("complained", "returned"))
    assert len(found) == 2
    assert found[0].startswith("shop/workspace.yaml:8:3: at guardrails.rest: complained is a")
    assert "rejection for agent one only, and two will not pause for it" in found[0]
    assert found[0].endswith("as in after: [complained]; see shop/agents/one.yaml:4:3")


@pytest.mark.parametrize(
    ("scope", "after"), [("all", "[complained, returned]"), ("agent", "rejection")]
)
def test_listed_words_and_scopes_inside_an_agent_are_left_alone(
    tmp_path: Path, scope: str, after: str
) -> None:
    assert advice(tmp_path, scope=scope, after=after, words=("complained", "returned")) == []
