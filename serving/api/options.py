"""What a caller may ask for beside the decision: ranked alternatives, and why it was made."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from pydantic import BaseModel, Field

from agents.decisions import Decision
from agents.errors import SnapshotError
from agents.groups import Group
from agents.revision import Revision
from policies.base import Policy
from policies.explaining.insight import explain_decision
from policies.registry import create_policy
from serving.api.answers import EXPLORED, ActionAnswer, DecisionAnswer, action_answer
from serving.deciding.active import ActiveAgents

Shown = bool | int | float | str | list[str] | None


class AlternativeAnswer(ActionAnswer):
    """An action that could have been drawn."""

    propensity: float = Field(description="the probability with which it could be drawn")
    expected: float | None = Field(description="expected reward in currency, null if unknown")


class OptionAnswer(BaseModel):
    """One allowed action; null for what the policy does not know. Amounts are in currency."""

    action: str
    probability: float
    expected: float | None
    mean: float | None = Field(description="expectation over all that is believed of the weights")
    low: float | None = Field(description="5% quantile of the expected reward, as a belief")
    high: float | None = Field(description="95% quantile")


class ContributionAnswer(BaseModel):
    """What one source adds to the lead of the drawn action over the runner-up."""

    kind: str
    source: str
    value: Shown
    worth: float = Field(description="in currency")
    eta: dict[str, float] = Field(description="by outcome, in logits for a logistic learner")


class ChangeAnswer(BaseModel):
    """A change of one field of the customer after which another action is the best."""

    field: str
    before: Shown
    after: Shown
    size: float = Field(description="share of the field's range")
    action: str


class InsightAnswer(BaseModel):
    """Why the decision came out as it did."""

    action: str
    best: str | None = Field(description="of the largest expected reward, null if none is known")
    explored: bool = Field(description=EXPLORED)
    runner_up: str | None
    gap: float | None
    options: list[OptionAnswer]
    contributions: list[ContributionAnswer]
    changes: list[ChangeAnswer]
    incumbent: str | None = Field(description="what decided while the agent's learner only learns")


class DecisionWithOptions(DecisionAnswer):
    """A decision as its caller needs it, with what else was asked for."""

    alternatives: list[AlternativeAnswer] | None = Field(
        description="what could have been drawn, likeliest first; null if not asked for"
    )
    insight: InsightAnswer | None = Field(
        description="null if not asked for, or if the snapshot that decided is there no more"
    )


def alternatives(decision: Decision, revision: Revision, top: int) -> list[dict[str, Any]]:
    """Rank the actions that could have been drawn, likeliest first, as JSON values.

    Args:
        decision: as it was logged; of equally likely actions the first in its order comes first.
        revision: by which it was made.
        top: how many at most.
    """
    chances, expected = decision.distribution.tolist(), decision.expected.tolist()
    order = sorted(decision.mask.indices.tolist(), key=lambda index: -chances[index])
    return [
        _alternative(decision, revision, index)
        | {
            "propensity": chances[index],
            "expected": None if math.isnan(expected[index]) else expected[index],
        }
        for index in order[:top]
    ]


def _alternative(decision: Decision, revision: Revision, index: int) -> dict[str, Any]:
    action, context = revision.actions[index], decision.context
    content = None if action.is_none else revision.content(action, context)
    return action_answer(action, revision.send_at(action, context), content)


async def insight_of(
    agents: ActiveAgents, decision: Decision, revision: Revision
) -> dict[str, Any] | None:
    """Explain a decision by the policy that made it, beside the event loop.

    Returns:
        The record of an insight; None if the snapshot that decided is not there any more.
    """
    return await asyncio.to_thread(_explain, agents, decision, revision)


def _explain(agents: ActiveAgents, decision: Decision, revision: Revision) -> dict[str, Any] | None:
    policy = _policy_of(agents, decision, revision)
    return None if policy is None else explain_decision(revision, policy, decision).to_record()


def _policy_of(agents: ActiveAgents, decision: Decision, revision: Revision) -> Policy | None:
    """Return the policy of a decision; for one that no policy made, what the agent has now."""
    lineup, treated = agents.by_name.get(decision.agent), decision.group is Group.TREATMENT
    for active in () if lineup is None else lineup.all:
        same = active.snapshot == decision.snapshot or not treated
        if active.revision.id == revision.id and same:
            return active.policy
    if not decision.snapshot:
        return create_policy(revision)
    try:
        return agents.snapshots.load(decision.agent, decision.snapshot, revision)
    except SnapshotError:
        return None
