"""A bandit task of which everything is known: what a learner sees, and what would have happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from agents.context import Context, FeatureValue
from agents.mask import Mask
from agents.revision import Revision
from agents.spec import Agent, PolicySpec, Workspace

_START = datetime(2026, 3, 2, 12, tzinfo=UTC)
STEP = timedelta(minutes=1)
"""From one decision to the next."""
_BARRED = "study: barred"


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """N decisions in order, with every action's true chances and potential outcomes.

    Arrays are for studies of learners; `revision`, `context` and `mask` say the same to a policy.
    Actions are in the revision's order, `none` first.

    Args:
        name: of the world.
        workspace, agent: whose actions and outcomes the arrays are about.
        features: (N,) what is known of each customer, fields that are missing left out.
        x: (N, D) the same as numbers, without the intercept: standard scores, 1 for the value of a
            category, 1 or -1 for a boolean; 0 where missing, and for each field a last column that
            is 1 where it is missing.
        levels: (A, 3) positions of offer, channel and window; -1 where an action has none.
        allowed: (N, A) boolean.
        chance: (N, A, O) probability of each outcome after each action.
        happened: (N, A, O) boolean, whether the outcome would follow; drawn with one random number
            for all actions of a decision, so that two policies meet the same luck.
        values: (O,) currency.
        costs: (A,) currency.
        draws: (N,) in [0, 1), the random numbers by which actions are drawn.
        batch: decisions learned at a time: those of [t - 2 batch, t - batch) before the decision
            at t, a multiple of it; 0 means each before the next.
    """

    name: str
    workspace: Workspace
    agent: Agent
    features: tuple[Mapping[str, FeatureValue], ...]
    x: NDArray[np.float64]
    levels: NDArray[np.intp]
    allowed: NDArray[np.bool_]
    chance: NDArray[np.float64]
    happened: NDArray[np.bool_]
    values: NDArray[np.float64]
    costs: NDArray[np.float64]
    draws: NDArray[np.float64]
    batch: int

    def __len__(self) -> int:
        return len(self.allowed)

    def expected(self) -> NDArray[np.float64]:
        """Return the true expected reward of each action, (N, A) currency."""
        return np.asarray(self.chance @ self.values - self.costs, dtype=np.float64)

    def revision(
        self, learner: str, settings: Mapping[str, float] | None = None, floor: float = 0.02
    ) -> Revision:
        """Compile the agent with a learner, its settings and a floor."""
        policy = PolicySpec(learner=learner, settings=dict(settings or {}), floor=floor)
        return Revision(self.workspace, self.agent.model_copy(update={"policy": policy}))

    def context(self, t: int) -> Context:
        """Return what is known at decision t."""
        return Context(f"customer-{t}", _START + t * STEP, self.features[t])

    def mask(self, t: int) -> Mask:
        """Return which actions are barred at decision t."""
        return Mask(tuple(None if free else _BARRED for free in self.allowed[t].tolist()))


def headroom(task: Task, distributions: NDArray[np.float64]) -> float:
    """Return 100 (policy - uniform) / (oracle - uniform), in true expected rewards.

    The reward of a decision is the mean over the policy's distribution, not that of the action
    drawn, which leaves out the luck of the draw.

    Args:
        task: N decisions.
        distributions: (n, A) of the first n decisions, floor included, 0 where barred.
    """
    n = len(distributions)
    expected, allowed = task.expected()[:n], task.allowed[:n]  # (n, A)
    uniform = float((expected * allowed).sum(axis=1) @ (1.0 / allowed.sum(axis=1)))
    best = float(np.where(allowed, expected, -np.inf).max(axis=1).sum())
    return 100.0 * (float((distributions * expected).sum()) - uniform) / (best - uniform)
