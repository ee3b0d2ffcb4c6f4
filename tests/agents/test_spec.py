from __future__ import annotations

from collections.abc import Callable
from datetime import time

import pytest
from pydantic import BaseModel, ValidationError

from agents import spec
from agents.revision import Revision

DOCUMENTS = [
    thing
    for thing in vars(spec).values()
    if isinstance(thing, type)
    and issubclass(thing, BaseModel)
    and thing.__module__.startswith("agents.spec.")
]


def test_negative_values_and_unquoted_times_are_accepted(build: Callable[..., Revision]) -> None:
    channels = {"channels": "{email: {quiet_hours: {from: 21:00, to: 08:00}}, sms: {}}"}
    revision = build(channels, outcomes="{left: {value: -80, window: 2w}}")
    assert revision.agent.outcomes["left"].value == -80
    quiet = revision.workspace.channels["email"].quiet_hours
    assert quiet is not None
    assert (quiet.from_, quiet.to) == (time(21), time(8))


def test_what_is_left_out_has_its_stated_default(build: Callable[..., Revision]) -> None:
    agent = build().agent
    assert (agent.holdout.control, agent.holdout.random, agent.holdout.salt) == (0.1, 0.1, "1")
    assert (agent.policy.learner, agent.policy.floor) == ("hybrid_thompson", 0.02)
    assert (agent.always_act, agent.audience, agent.guardrails) == (False, None, {})
    assert agent.outcomes["bought"].count == "once"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_document_is_frozen_strict_and_refuses_what_it_does_not_know(
    document: type[BaseModel],
) -> None:
    config = document.model_config
    assert config.get("frozen")
    assert config.get("strict")
    assert config.get("extra") == "forbid"
    assert config.get("allow_inf_nan") is False


def test_the_documents_are_all_there() -> None:
    assert len(DOCUMENTS) >= 30
    assert {spec.Workspace, spec.Agent, spec.Step, spec.SequenceSpec} <= set(DOCUMENTS)


def test_documents_cannot_be_changed(build: Callable[..., Revision]) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        build().agent.__setattr__("agent", "other")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_a_number_that_is_not_finite_is_refused_in_json_too(number: str) -> None:
    with pytest.raises(ValidationError, match="finite number"):
        spec.Outcome.model_validate_json(f'{{"value": {number}, "window": "7d"}}')
