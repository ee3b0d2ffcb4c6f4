"""The one way from a mask to a decision: distribution, floor, draw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from agents.context import Context
from agents.decisions import Decision, Reason
from agents.groups import Group
from agents.keyed import keyed
from agents.mask import Mask
from agents.revision import Revision
from agents.units import unit_interval
from policies.base import Distribution, Policy
from policies.floor import mix_factored_floor, mix_floor
from policies.jit import compiled

CONTROL = "holdout: the customer is in the control group"
"""The reason for which everything but `none` is barred for the control group."""


def uniform_draw(secret: bytes, decision_id: str) -> float:
    """Return the decision's random number u in [0, 1): HMAC-SHA256(secret, decision_id).

    Nobody without the secret can foresee a draw; with it, every draw can be repeated.
    """
    return unit_interval(keyed(secret)(decision_id.encode()))


def draw(distribution: NDArray[np.float64], u: float) -> int:
    """Draw a position by inverting the cumulative distribution at u.

    Args:
        distribution: (A,) sums to 1 within rounding.
        u: in [0, 1).

    Returns:
        A position whose probability is above 0.

    Example:
        >>> draw(np.array([0.0, 0.25, 0.75]), 0.2), draw(np.array([0.0, 0.25, 0.75]), 0.9)
        (1, 2)
    """
    return int(_position(distribution, u))


@compiled
def _position(distribution: NDArray[np.float64], u: float) -> int:
    """Find the first position by which more than u of the sum has gone by."""
    total, last = 0.0, 0
    for i in range(distribution.size):
        total += distribution[i]
        if distribution[i] != 0.0:
            last = i
    gone = 0.0
    for i in range(last):
        gone += distribution[i]
        if gone > u * total:
            return i
    return last


def hold_out(mask: Mask) -> Mask:
    """Bar everything but `none`, for a customer of the control group."""
    return Mask((None, *(reason or CONTROL for reason in mask.reasons[1:])))


def _unknown(mask: Mask) -> Distribution:
    """Answer for a group that no policy decides for: the floor makes it even."""
    size = len(mask.reasons)
    return Distribution(np.zeros(size), np.full(size, np.nan))


def explore(
    revision: Revision,
    probabilities: NDArray[np.float64],
    allowed: NDArray[np.bool_],
    treated: bool = True,
) -> NDArray[np.float64]:
    """Mix the agent's floor into a policy's probabilities; (A,).

    Other groups than treatment choose evenly among the allowed.
    """
    spec = revision.agent.policy
    if not treated:
        return mix_floor(probabilities, allowed, 1.0)
    if spec.floor_over == "offers":
        return mix_factored_floor(probabilities, allowed, spec.deciding_floor, revision.factors)
    return mix_floor(probabilities, allowed, spec.deciding_floor)


def decide(
    revision: Revision,
    policy: Policy,
    context: Context,
    *,
    decision_id: str,
    secret: bytes,
    snapshot: str = "",
) -> Decision:
    """Decide for one customer at one moment, inside the guardrails.

    Args:
        revision: the active revision of the agent.
        policy: learner of the treatment group, built for this revision.
        context: features, and contacts as the ledger has them in the same transaction.
        decision_id: unique; it fixes the draw together with `secret`.
        secret: the server's key, without which nobody can foresee a draw.
        snapshot: id of the policy's snapshot, for the log.
    """
    mask = revision.mask(context)
    group = revision.group(context)
    if group is Group.CONTROL:
        mask = hold_out(mask)
    return choose(
        revision, policy, context, mask, group,
        decision_id=decision_id, secret=secret, snapshot=snapshot,
    )  # fmt: skip


def choose(
    revision: Revision,
    policy: Policy,
    context: Context,
    mask: Mask,
    group: Group,
    *,
    decision_id: str,
    secret: bytes,
    snapshot: str,
) -> Decision:
    """Draw one action from the distribution under a given mask and group."""
    treated = group is Group.TREATMENT
    answer = policy.distribution(context, mask) if treated else _unknown(mask)
    distribution = explore(revision, answer.probabilities, mask.allowed, treated)  # (A,)
    position, explored = _drawn(
        distribution, answer.probabilities, answer.expected, mask.allowed,
        uniform_draw(secret, decision_id),
    )  # fmt: skip
    action = revision.actions[position]
    return Decision(
        decision_id=decision_id,
        at=context.at,
        agent=revision.agent.agent,
        revision=revision.id,
        policy=policy.name if treated else "uniform",
        snapshot=snapshot if treated else "",
        group=group,
        reason=_reason(mask, group),
        context=context,
        actions=revision.action_ids,
        mask=mask,
        distribution=distribution,
        expected=answer.expected,
        action=position,
        floor=revision.agent.policy.deciding_floor if treated else 1.0,
        explored=explored,
        send_at=revision.send_at(action, context),
    )


def _reason(mask: Mask, group: Group) -> Reason:
    if group is Group.CONTROL:
        return Reason.CONTROL
    if mask.all_barred:
        return Reason.ALL_BARRED
    return Reason.RANDOM if group is Group.RANDOM else Reason.POLICY


@compiled
def _drawn(
    distribution: NDArray[np.float64],
    chances: NDArray[np.float64],
    expected: NDArray[np.float64],
    allowed: NDArray[np.bool_],
    u: float,
) -> tuple[int, bool]:
    """Draw a position, and say whether an allowed one that the policy likes better was passed over.

    It likes best what it expects most of; without expectations, what it gives the largest chance,
    before the floor.
    """
    position, above = _position(distribution, u), False
    blind = np.isnan(expected[position])
    for i in range(expected.size):
        better = chances[i] > chances[position] if blind else expected[i] > expected[position]
        above = above or (allowed[i] and better)
    return position, above


def replay(decision: Decision, revision: Revision, policy: Policy, secret: bytes) -> Decision:
    """Recompute a logged decision from its revision, policy state, context and mask.

    The answer has the same distribution and the same draw if the log is true and the policy is
    the one whose snapshot the decision names.
    """
    revision = revision.offering(decision.actions)
    again = choose(
        revision, policy, decision.context, decision.mask, decision.group,
        decision_id=decision.decision_id, secret=secret, snapshot=decision.snapshot,
    )  # fmt: skip
    return replace(again, at=decision.at)
