"""The example workspace, and a small one whose parts a test may replace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from agents.decisions import Decision, OutcomeEvent, Reason
from agents.groups import Group
from agents.load import LoadedWorkspace, compile_agent, load_workspace, parse_workspace
from agents.memory import Memory
from agents.revision import Revision
from agents.yamlsource import read_yaml

WORKSPACE = {
    "workspace": "small",
    "currency": "EUR",
    "zone": "Europe/Berlin",
    "customer": """
  age: {type: integer, min: 0, max: 120}
  bill: {type: number, max: 1000}
  plan: {type: category, values: [basic, plus]}
  complaint: {type: boolean}
  consent_email: {type: boolean, feature: false}
  time_zone: {type: zone, feature: false}""",
    "channels": """
  email: {cost: 0.25, consent: consent_email}
  sms: {cost: 0.5}""",
}
AGENT = {
    "agent": "helper",
    "outcomes": """
  bought: {value: 10, window: 7d}
  complained: {value: -4, window: 2d, count: each}""",
    "offers": """
  help:
    kind: service
    variants: {short: {text: Help}, long: {text: Here is help}}
    channels: [email, sms]
  sale:
    kind: promotion
    cost: 1
    variants: {plain: {text: Buy}}
    channels: [sms]""",
}
FEATURES = {
    "age": 30,
    "bill": 20.0,
    "plan": "basic",
    "complaint": False,
    "consent_email": True,
    "time_zone": "Europe/Berlin",
}


def _text(*parts: Mapping[str, str]) -> str:
    merged = {key: value for part in parts for key, value in part.items()}
    return "".join(f"{key}: {value}\n" for key, value in merged.items())


@pytest.fixture(scope="session")
def telecom() -> LoadedWorkspace:
    """The example workspace that comes with the project."""
    root = Path(__file__).parents[2]
    return load_workspace(root / "agents" / "examples" / "telecom")


@pytest.fixture(scope="session")
def workspace_text() -> str:
    """The YAML of the small workspace."""
    return _text(WORKSPACE)


@pytest.fixture(scope="session")
def agent_text() -> str:
    """The YAML of the small workspace's agent; its actions are listed in test_actions."""
    return _text(AGENT)


@pytest.fixture(scope="session")
def build() -> Callable[..., Revision]:
    """A function that compiles the small agent, with top-level keys replaced by YAML text.

    `build(always_act="true", workspace={"currency": "USD"})` replaces one key in each document.
    """

    def compile_small(workspace: Mapping[str, str] | None = None, **agent: str) -> Revision:
        parsed = parse_workspace(read_yaml(_text(WORKSPACE, workspace or {}), "workspace.yaml"))
        return compile_agent(_text(AGENT, agent), "agent.yaml", parsed)

    return compile_small


@pytest.fixture
def features() -> dict[str, object]:
    """A customer whom no rule of the small workspace bars."""
    return dict(FEATURES)


@pytest.fixture(scope="session")
def noon() -> datetime:
    """A Wednesday noon in winter, UTC."""
    return datetime(2026, 1, 14, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def send() -> Callable[..., str]:
    """A function that decides for an action, whatever the mask says, and keeps the decision.

    `send(memory, revision, "help/short@sms", at)` returns the decision's id.
    """
    numbers = count(1)

    def decide(
        memory: Memory, revision: Revision, action_id: str, at: datetime, customer: str = "ann"
    ) -> str:
        context = memory.recall(revision, customer, at, FEATURES)
        index, empty = revision.index(action_id), np.zeros(len(revision.actions))
        decision = Decision(
            decision_id=f"d{next(numbers)}", at=at, agent=revision.agent.agent,
            revision=revision.id, policy="test", snapshot="", group=Group.TREATMENT,
            reason=Reason.POLICY, context=context, actions=revision.action_ids,
            mask=revision.mask(context), distribution=empty, expected=empty, action=index,
            floor=0.0, explored=False, send_at=revision.send_at(revision.actions[index], context),
        )  # fmt: skip
        memory.keep(decision, revision)
        return decision.decision_id

    return decide


@pytest.fixture(scope="session")
def hear() -> Callable[..., None]:
    """A function that reports an event: `hear(memory, "bought", at, decision_id)`."""
    numbers = count(1)

    def report(
        memory: Memory, word: str, at: datetime, decision_id: str = "", customer: str = "ann"
    ) -> None:
        event = OutcomeEvent(f"e{next(numbers)}", decision_id, word, at, customer=customer)
        memory.hear(event)

    return report


@pytest.fixture(scope="session")
def barred() -> Callable[..., dict[str, str]]:
    """A function that names the actions barred now, with the reasons, from a memory."""

    def ask(
        memory: Memory, revision: Revision, at: datetime, customer: str = "ann", **known: object
    ) -> dict[str, str]:
        context = memory.recall(revision, customer, at, {**FEATURES, **known})
        pairs = zip(revision.action_ids, revision.mask(context).reasons, strict=True)
        return {name: reason for name, reason in pairs if reason is not None}

    return ask
