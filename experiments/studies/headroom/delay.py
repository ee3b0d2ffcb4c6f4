"""The delay world: what is learned late, and how much of the headroom that costs.

Twelve actions, 2-3 conversions in 100 decisions, delays exponential with a mean of 2,000 decisions
and a window of 8,000; at half time three actions are added and the weights move. Decisions come a
minute apart, so that the teacher that serves in production can teach here, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from agents.spec import Agent, Channel, Offer, Outcome, Variant, Workspace
from experiments.studies.headroom.customers import customer_fields, draw_customers
from experiments.studies.headroom.task import STEP, Task
from experiments.studies.headroom.truth import Spread, draw_logits, set_rates

_DECISIONS, _MEAN, _WINDOW = 24_000, 2_000.0, 8_000  # decisions
_SHAPE = (4, 3)  # offers, channels; the last offer is added at half time
_RATE = 0.025
# As strong as lets a learner with tau 0.6 and alpha 0.5, without optimism, reach 78 undelayed.
_SPREAD = Spread(common=(0.0, 0.5), level=(0.8, 1.6), own=(0.2, 0.1), kept=0.8)
_OUTCOME = "purchase"


@dataclass(frozen=True, slots=True, eq=False)
class DelayWorld:
    """A task, and when its outcomes are heard.

    Args:
        task: outcomes that come after the window do not happen.
        heard: (N,) the decision before which an outcome of decision t would be heard.
        window: decisions after which an outcome no longer counts.
    """

    task: Task
    heard: NDArray[np.intp]
    window: int


def delay_world(decisions: int = _DECISIONS, seed: int = 0) -> DelayWorld:
    """Make the world; the delay and the window shrink with the number of decisions."""
    scale = decisions / _DECISIONS
    rng = np.random.default_rng([seed, *_SHAPE])
    grid = list(product(*(range(count) for count in _SHAPE)))
    levels = np.array([(-1, -1, -1), *((*pair, -1) for pair in grid)])  # (A, 3)
    customers = draw_customers(decisions, rng)
    allowed = np.ones((decisions, len(levels)), dtype=np.bool_)
    allowed[:, 0] = False
    allowed[: decisions // 2, levels[:, 0] == _SHAPE[0] - 1] = False
    eta = draw_logits(customers.truth, levels, 1, _SPREAD, rng)
    chance = set_rates(eta, allowed, (_RATE,))  # (N, A, 1)
    window, late = round(_WINDOW * scale), np.exp(-_WINDOW / _MEAN)
    # Only what comes in time counts, so delays are exponential given that they are in the window.
    delays = -_MEAN * scale * np.log1p(-(1.0 - late) * rng.random(decisions))  # (N,)
    workspace, agent = _documents(window)
    task = Task(
        name="delay",
        workspace=workspace,
        agent=agent,
        features=customers.features,
        x=customers.x,
        levels=levels,
        allowed=allowed,
        chance=chance,
        happened=rng.random((decisions, 1, 1)) < chance,
        values=np.ones(1),
        costs=np.zeros(len(levels)),
        draws=rng.random(decisions),
        batch=0,
    )
    return DelayWorld(task, np.arange(decisions) + np.ceil(delays).astype(np.intp), window)


def _documents(window: int) -> tuple[Workspace, Agent]:
    channels = {f"channel_{i}": Channel() for i in range(_SHAPE[1])}
    offer = Offer(kind="promotion", variants={"plain": Variant()}, channels=tuple(channels))
    workspace = Workspace(
        workspace="study", currency="EUR", zone="UTC", customer=customer_fields(), channels=channels
    )
    outcome = Outcome(value=1.0, window=window * STEP)
    offers = {f"offer_{i}": offer for i in range(_SHAPE[0])}
    return workspace, Agent(agent="delay", outcomes={_OUTCOME: outcome}, offers=offers)
