"""Why a decision came out as it did: what each action was worth, and what speaks for the drawn one.

Three numbers tell what an action is worth. `expected` is the policy's own, by which it says what is
best and what was explored. `mean` integrates over what it does not know of its weights, and `low`
to `high` holds the reward's expectation with 90%: both only for a learner that is linear in its
columns (`policies.models.belief.Linear`), by the beliefs that it compares actions with. What such a
learner takes to be common to all actions counts there at its mean, as nothing that is unknown.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.context import Context
from agents.decisions import Decision
from agents.groups import Group
from agents.mask import Mask
from agents.revision import Revision
from policies.base import Policy
from policies.decide import explore
from policies.explaining.contributions import Contribution, contributions
from policies.explaining.flips import Change, best_action, changes
from policies.models.belief import Linear, Worth, worth


@dataclass(frozen=True, slots=True)
class Option:
    """One allowed action; None for what the policy does not know.

    Args:
        action: its id.
        probability: with which it was, or would be, drawn.
        expected: the policy's own expected reward, in currency.
        mean: expectation of the reward over all that is believed of the weights.
        low, high: 5% and 95% quantiles of the expected reward, as a belief, without a factor of
            exploration.
    """

    action: str
    probability: float
    expected: float | None
    mean: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Insight:
    """An explanation of one decision.

    Args:
        action: id of the drawn action.
        best: id of the allowed action of the largest expected reward; None if the policy knows
            no expected rewards.
        explored: whether an allowed action that the policy takes for better was passed over: of a
            larger expected reward or, where it has none, of a larger probability before the floor.
        runner_up: id of the best of the others, None if there is none or none is known.
        gap: expected reward of the drawn action less the runner-up's; negative if it explored.
        options: the allowed actions, likeliest first.
        contributions: the lead of the drawn action over the runner-up by source, weightiest
            first; in currency they add up to the lead at the mean weights. Empty if the policy is
            not linear, or without a runner-up.
        changes: for each customer field that can make another action the best, the smallest
            change that does; smallest first.
        incumbent: what decided in the place of the learner, which only learns; None if the
            learner decides. What is `expected`, `best` and explored is by the learner.
    """

    action: str
    best: str | None
    explored: bool
    runner_up: str | None
    gap: float | None
    options: tuple[Option, ...]
    contributions: tuple[Contribution, ...] = ()
    changes: tuple[Change, ...] = ()
    incumbent: str | None = None

    def to_record(self) -> dict[str, Any]:
        """Return plain values for JSON; instants as text."""
        record: dict[str, Any] = _plain(asdict(self))
        return record


def explain_decision(revision: Revision, policy: Policy, decision: Decision) -> Insight:
    """Explain a decision with the policy that made it, in the state in which it made it.

    A customer of the control group has one option, and nothing about the customer changes that.

    Args:
        revision: the decision's.
        policy: the agent's learner; also for a decision of the random group, which it did not make.
        decision: whose probabilities are told as they were logged.
    """
    drawn = decision.distribution, decision.action
    treated = decision.group is not Group.CONTROL
    by = _incumbent(revision) if decision.group is Group.TREATMENT else None
    return _insight(
        revision, policy, decision.context, decision.mask, drawn, movable=treated, incumbent=by
    )


def explain_choice(revision: Revision, policy: Policy, context: Context, mask: Mask) -> Insight:
    """Explain what a policy would do, as if the action that it takes for the best were drawn.

    Without expected rewards that is the likeliest one. The probabilities have the agent's floor.
    """
    answer = policy.distribution(context, mask)
    probabilities = explore(revision, answer.probabilities, mask.allowed)  # (A,)
    best = best_action(policy, context, mask)
    action = int(probabilities.argmax()) if best is None else best
    by = _incumbent(revision)
    return _insight(
        revision, policy, context, mask, (probabilities, action), movable=True, incumbent=by
    )


def _incumbent(revision: Revision) -> str | None:
    """Name what decides while the agent's learner only learns."""
    found = revision.agent.policy.incumbent
    return None if found is None else found.learner


def _insight(
    revision: Revision,
    policy: Policy,
    context: Context,
    mask: Mask,
    drawn: tuple[NDArray[np.float64], int],
    *,
    movable: bool,
    incumbent: str | None,
) -> Insight:
    (probabilities, action), ids = drawn, revision.action_ids
    answer = policy.distribution(context, mask)
    expected = answer.expected  # (A,)
    likes = answer.probabilities if np.isnan(expected[action]) else expected  # (A,)
    linear = policy if isinstance(policy, Linear) else None
    best = best_action(policy, context, mask)
    others = mask.indices[mask.indices != action]  # (E-1,)
    second = None if best is None or not others.size else int(others[expected[others].argmax()])
    reasons: tuple[Contribution, ...] = ()
    if linear is not None and second is not None:
        reasons = contributions(revision, linear, context, action, second)
    return Insight(
        action=ids[action],
        best=None if best is None else ids[best],
        explored=bool((likes[mask.indices] > likes[action]).any()),
        runner_up=None if second is None else ids[second],
        gap=None if second is None else float(expected[action] - expected[second]),
        options=_options(revision, linear, context, mask, probabilities, expected),
        contributions=reasons,
        changes=changes(revision, policy, context, mask) if movable else (),
        incumbent=incumbent,
    )


def _options(
    revision: Revision,
    linear: Linear | None,
    context: Context,
    mask: Mask,
    probabilities: NDArray[np.float64],
    expected: NDArray[np.float64],
) -> tuple[Option, ...]:
    allowed = mask.indices  # (E,)
    unknown = np.full(len(allowed), np.nan)  # (E,)
    found = Worth(unknown, unknown, unknown)
    if linear is not None:
        values = np.array([outcome.worth for outcome in revision.agent.outcomes.values()])  # (O,)
        costs = np.array([revision.actions[a].cost for a in allowed.tolist()])  # (E,)
        found = worth(linear.beliefs(context).of(allowed), values, costs)
    columns = (expected[allowed], found.mean, found.low, found.high)
    rows = zip(*(map(_known, column.tolist()) for column in columns), strict=True)
    options = [
        Option(revision.action_ids[a], float(probabilities[a]), *row)
        for a, row in zip(allowed.tolist(), rows, strict=True)
    ]
    return tuple(sorted(options, key=lambda option: -option.probability))


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, tuple) else value
