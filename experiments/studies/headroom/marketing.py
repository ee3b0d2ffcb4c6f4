"""Marketing worlds: sparse, delayed, masked, drifting, with 24 or 120 actions beside `none`.

Offers times channels times send windows. Clicks are worth little, purchases much, and unsubscribes
harm; 1.8 in 100 contacts lead to a purchase. The logits are those of `truth`, over the whole truth
about each customer, of which learners miss 8 in 100 fields; all weights move at half time. In the
misspecified world the truth also has signs of products, absolute values and a factor that nobody
observes, and actions differ more among themselves.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from agents.spec import Agent, Channel, LocalSpan, Offer, Outcome, Variant, Workspace
from experiments.studies.headroom.customers import customer_fields, draw_customers
from experiments.studies.headroom.task import Task
from experiments.studies.headroom.truth import Spread, draw_logits, set_rates

SHAPES = {24: (4, 3, 2), 120: (10, 4, 3)}  # offers, channels, windows
DECISIONS = {24: 20_000, 120: 12_000}
_BATCH = 250

_VALUES = {"click": 1.0, "purchase": 30.0, "unsubscribe": -40.0}  # currency
_RATES = (0.06, 0.018, 0.008)  # means over the allowed contacts
_COSTS = (0.02, 0.05, 0.1, 0.2)  # currency, by channel
_OPT_OUT, _NO_OFFER, _NO_ACTION = 0.15, 0.15, 0.1  # probabilities of being barred
_BEGINS, _ENDS = 0.3, 0.6  # share of the decisions after which offers appear, and retire

_IDLE = (-5.0, -0.4, -9.0)  # eta of `none` beside that of the average contact
_PLAIN = Spread(common=(0.0, 0.5), level=(0.45, 0.9), own=(0.15, 0.1), kept=0.8)
_OWN_WILD = (0.3, 0.4)


def _wild(z: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Add what no learner here can express: (N, F) to (N, F+5)."""
    signs = np.sign(z[:, :2] * z[:, 2:4])  # (N, 2)
    sizes = (np.abs(z[:, 3:5]) - np.sqrt(2.0 / np.pi)) / np.sqrt(1.0 - 2.0 / np.pi)  # (N, 2)
    return np.hstack([z, signs, sizes, rng.normal(size=(len(z), 1))])


def _draw_allowed(n: int, levels: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw the masks, (N, A): opt-outs, guardrails, and the first and last days of offers."""
    offer, channel, _ = levels[1:].T  # (A-1,)
    opted_out = rng.random((n, channel.max() + 1)) < _OPT_OUT
    offers = offer.max() + 1
    barred = rng.random((n, offers)) < _NO_OFFER
    some = max(1, offers // 4)
    barred[: int(_BEGINS * n), :some] = True
    barred[int(_ENDS * n) :, offers - some :] = True
    allowed = np.ones((n, len(levels)), dtype=np.bool_)
    allowed[:, 1:] = ~opted_out[:, channel] & ~barred[:, offer]
    allowed[:, 1:] &= rng.random((n, len(levels) - 1)) >= _NO_ACTION
    return allowed


def _documents(shape: tuple[int, int, int]) -> tuple[Workspace, Agent]:
    """Write the workspace and the agent whose actions these are."""
    windows = {f"window_{i}": _span(8 + 4 * i) for i in range(shape[2])}
    channels = {
        f"channel_{i}": Channel(cost=cost, windows=windows)
        for i, cost in enumerate(_COSTS[: shape[1]])
    }
    offer = Offer(kind="promotion", variants={"plain": Variant()}, channels=tuple(channels))
    workspace = Workspace(
        workspace="study", currency="EUR", zone="UTC", customer=customer_fields(), channels=channels
    )
    outcomes = {
        name: Outcome.model_validate({"value": value, "window": "7d"})
        for name, value in _VALUES.items()
    }
    offers = {f"offer_{i}": offer for i in range(shape[0])}
    return workspace, Agent(agent="marketing", outcomes=outcomes, offers=offers)


def _span(hour: int) -> LocalSpan:
    return LocalSpan.model_validate({"from": f"{hour:02}:00", "to": f"{hour + 4:02}:00"})


def marketing(
    actions: int, decisions: int | None = None, seed: int = 0, *, misspecified: bool = False
) -> Task:
    """Make a marketing world.

    Args:
        actions: 24 or 120, beside `none`.
        decisions: N; 20,000 at 24 actions and 12,000 at 120 if not said. Offers come and go, and
            weights move, after shares of N.
        seed: of everything random.
        misspecified: whether the truth leaves the family of the learners' models.
    """
    shape, n = SHAPES[actions], decisions or DECISIONS[actions]
    rng = np.random.default_rng([seed, actions, misspecified])
    grid = list(product(*(range(count) for count in shape)))
    levels = np.array([(-1, -1, -1), *grid])  # (A, 3)
    customers = draw_customers(n, rng)
    z = _wild(customers.truth, rng) if misspecified else customers.truth  # (N, F)
    allowed = _draw_allowed(n, levels, rng)
    spread = replace(_PLAIN, own=_OWN_WILD) if misspecified else _PLAIN
    eta = draw_logits(z, levels, len(_VALUES), spread, rng)  # (N, A, O)
    eta[:, 0] += _IDLE
    contacts = allowed & (np.arange(len(levels)) > 0)  # (N, A)
    chance = set_rates(eta, contacts, _RATES)  # (N, A, O)
    workspace, agent = _documents(shape)
    return Task(
        name=f"mkt{actions}" + ("x" if misspecified else ""),
        workspace=workspace,
        agent=agent,
        features=customers.features,
        x=customers.x,
        levels=levels,
        allowed=allowed,
        chance=chance,
        happened=rng.random((n, 1, len(_VALUES))) < chance,
        values=np.array(list(_VALUES.values())),
        costs=np.array([0.0, *(_COSTS[channel] for _, channel, _ in grid)]),
        draws=rng.random(n),
        batch=_BATCH,
    )
