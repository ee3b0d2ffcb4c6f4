"""Arbitration: which agent speaks when several want the same customer.

Each agent that wants the customer bids what its own decision is worth. The bids are weighed by what
the workspace says, and the greatest is drawn, but for a small share that is spread evenly, so that
every agent keeps a probability that is known and logged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.context import Context
from agents.expressions import Language
from agents.spec import Workspace
from policies.decide import draw, uniform_draw


@dataclass(frozen=True, slots=True)
class Bid:
    """What one agent's own decision for a customer is worth.

    Args:
        agent: name of the agent; each bids once.
        value: expected reward of its decision in currency; NaN if its policy knows none, which
            counts as 0, as much as silence.
    """

    agent: str
    value: float


@dataclass(frozen=True, slots=True)
class Scored:
    """A bid and everything that was made of it.

    Args:
        agent: name of the agent.
        value: currency; the bid, 0 if it was unknown.
        context_weight: product of the context weights that apply to the customer.
        lever: the weight set by people.
        score: product of what is switched on; the greatest wins.
        probability: with which the agent was drawn.
    """

    agent: str
    value: float
    context_weight: float
    lever: float
    score: float
    probability: float


@dataclass(frozen=True, slots=True)
class Arbitrated:
    """Who speaks, and why.

    Args:
        chosen: the agent that was drawn.
        bids: all of them, in the order in which they came.
        explored: whether another agent than that with the greatest score was drawn.
        cost: currency, 0 or more; by how much the greatest value exceeds the value of the agent
            with the greatest score: what weights and levers cost in expected value.
    """

    chosen: str
    bids: tuple[Scored, ...]
    explored: bool
    cost: float


class Arbiter:
    """Arbitrates for one workspace, with its conditions compiled once.

    Args:
        workspace: whose `arbitration` says what counts.

    Raises:
        ValueError: a condition does not compile against the customer schema.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._language = Language(workspace.customer)
        self._weights = [
            (self._language.compile(weight.when), weight)
            for weight in workspace.arbitration.context.values()
        ]

    def context_weights(self, context: Context) -> dict[str, float]:
        """Return, by agent, the product of the weights whose condition is exactly true.

        A condition that is false or unknown does not count; agents without any are left out.
        """
        if not self._weights:
            return {}
        bound, products = self._language.bind(context.features, context.at), dict[str, float]()
        for condition, weight in self._weights:
            if condition.refusal(bound) is None:
                for agent in weight.agents:
                    products[agent] = products.get(agent, 1.0) * weight.weight
        return products

    def arbitrate(
        self, bids: Sequence[Bid], context: Context, *, decision_id: str, secret: bytes
    ) -> Arbitrated:
        """Choose who speaks to a customer; see `arbitrate`."""
        weights = self.context_weights(context)
        return arbitrate(self._workspace, bids, weights, decision_id=decision_id, secret=secret)


def arbitrate(
    workspace: Workspace,
    bids: Sequence[Bid],
    weights: Mapping[str, float],
    *,
    decision_id: str,
    secret: bytes,
) -> Arbitrated:
    """Choose who speaks: the greatest score, or evenly anyone with the share `explore`.

    The score is value x context weight x lever, with 1 for the value where it is switched off. Of
    n bids, each has the probability explore / n, and the first with the greatest score 1 - explore
    more; that very vector is drawn from with HMAC(secret, "arbitrate" NUL decision_id), so the
    draw is independent of the one that chose the agent's action.

    Args:
        workspace: whose `arbitration` says what counts.
        bids: at least one, each of another agent.
        weights: context weight by agent; 1 if not said.
        decision_id: unique; with the secret it fixes the draw.
        secret: the server's key, without which nobody can foresee a draw.

    Raises:
        ValueError: no bids, two of one agent, or an infinite value.

    Example:
        >>> workspace = Workspace.model_validate_json('''{"workspace": "w", "currency": "EUR",
        ...     "zone": "UTC", "customer": {"age": {"type": "integer"}}, "channels": {"sms": {}},
        ...     "arbitration": {"levers": {"care": 3}, "explore": 0}}''')
        >>> bids = [Bid("sales", 5.0), Bid("care", 2.0)]
        >>> found = arbitrate(workspace, bids, {}, decision_id="d1", secret=b"key")
        >>> found.chosen, found.cost
        ('care', 3.0)
    """
    _check(bids)
    rules = workspace.arbitration
    values = [0.0 if math.isnan(bid.value) else bid.value for bid in bids]
    context = [weights.get(bid.agent, 1.0) for bid in bids]
    levers = [rules.levers.get(bid.agent, 1.0) for bid in bids]
    scores = [
        (value if rules.value else 1.0) * weight * lever
        for value, weight, lever in zip(values, context, levers, strict=True)
    ]
    best = scores.index(max(scores))
    distribution = _distribution(len(bids), best, rules.explore)  # (n,)
    drawn = draw(distribution, uniform_draw(secret, f"arbitrate\0{decision_id}"))
    agents = [bid.agent for bid in bids]
    columns = (agents, values, context, levers, scores, distribution.tolist())
    return Arbitrated(
        chosen=agents[drawn],
        bids=tuple(Scored(*row) for row in zip(*columns, strict=True)),
        explored=drawn != best,
        cost=max(values) - values[best],
    )


def _distribution(count: int, best: int, explore: float) -> NDArray[np.float64]:
    probabilities = np.full(count, explore / count)  # (n,)
    probabilities[best] += 1.0 - explore
    return probabilities


def _check(bids: Sequence[Bid]) -> None:
    agents = [bid.agent for bid in bids]
    if not agents or len(set(agents)) < len(agents):
        raise ValueError(f"expected at least one bid, each of another agent, got {agents}")
    for bid in bids:
        if math.isinf(bid.value):
            raise ValueError(f"bid of {bid.agent!r}: expected a finite value, got {bid.value}")
