"""Known truth: what policies are worth in a world, to measure an experiment's answer against."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.groups import Group
from policies.uniform import Uniform
from simulators.market.market import Market
from simulators.offline.play import play
from simulators.offline.yardstick import true_values
from simulators.rollout import rollout
from simulators.world import World

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class KnownValue:
    """A policy's true value over all rounds, in currency.

    Args:
        customers: (N,) positions in the world.
        per_customer: (N,) value of each of them.
        standard_error: of the mean over these very customers: 0 if nothing had to be drawn, NaN
            if a path was drawn only once.
    """

    customers: NDArray[np.int64]
    per_customer: Floats
    standard_error: float

    @property
    def mean(self) -> float:
        """Mean over the customers."""
        return float(self.per_customer.mean())


def value_of_none(world: World, customers: Iterable[int] | None = None) -> KnownValue:
    """Return what each customer is worth if nobody ever contacts them; exact where it can be.

    In a memoryless world a customer's probabilities depend on the past only through the outcomes
    that happen once or after which a customer has gone. With p_t of such an outcome in round t
    while it has not happened, nothing of it has happened before with probability
    prod_(s<t) (1 - p_s), and they are independent of each other. So the value is

        sum_t alive_t sum_o waiting_(o,t) p_(o,t) value_o.

    In other worlds, silence is lived through once, and each round counts with its exact
    expectation on the path that was met. The world begins anew.

    Args:
        world: bound to the revision whose outcome values count.
        customers: positions; None means all.

    Raises:
        ValueError: customers that `World.positions` refuses.
    """
    world.reset()
    chosen = np.array(world.positions(customers), dtype=np.int64)  # N of them
    if not world.memoryless:
        run = rollout(world, Uniform(), group=Group.CONTROL, learn=False, customers=chosen)
        totals = np.bincount(run.customers, weights=run.expected[:, 0], minlength=world.customers)
        return KnownValue(chosen, totals[chosen].astype(np.float64), math.nan)
    once = np.array([outcome in world.once for outcome in world.outcomes])  # (O,)
    leaves = np.array([outcome in world.leaves for outcome in world.outcomes])  # (O,)
    alive, values = np.ones(chosen.size), np.zeros(chosen.size)  # (N,)
    waiting = np.ones((chosen.size, once.size))  # P(not yet happened | alive), (N, O)
    for i in range(world.rounds):
        rates = _untouched(world, chosen, i)  # (N, O)
        values += alive * ((waiting * rates) @ world.values)
        alive = alive * np.prod(1.0 - rates[:, leaves], axis=1)
        waiting = np.where(once & ~leaves, waiting * (1.0 - rates), 1.0)
    return KnownValue(chosen, values, 0.0)


def _untouched(world: World, chosen: NDArray[np.int64], round_index: int) -> Floats:
    """Return P(outcome) of one round of customers to whom nothing has happened yet, (N, O)."""
    if not isinstance(world, Market):
        pairs = ((c, world.opportunity(c, round_index)) for c in chosen.tolist())
        return np.stack([world.outcome_probabilities(*pair)[0] for pair in pairs])
    rates = np.empty((world.customers, len(world.outcomes)))
    for at, rows in world.meetings(round_index):
        rates[rows] = world.probabilities_of(rows, np.zeros_like(rows), at)
    return rates[chosen]


def value_of_uniform(
    world: World, customers: Iterable[int] | None = None, *, repeats: int = 2
) -> KnownValue:
    """Return what each customer is worth under a uniform choice among the allowed actions.

    The customers are met in the random group; each decision counts with its exact expectation,
    sum_a p_a r_a, so only the path (who was contacted, who renewed or unsubscribed) is drawn. The
    world begins anew.

    Args:
        world: bound to the revision whose guardrails and outcome values count.
        customers: positions; None means all.
        repeats: times that every path is drawn, at least 1; the error falls with its square root.

    Raises:
        ValueError: fewer than one repeat, or customers that `World.positions` refuses.
    """
    if repeats < 1:
        raise ValueError(f"repeats: expected at least 1, got {repeats}")
    chosen = world.positions(customers)  # N of them
    plays = np.empty((repeats, len(chosen)))  # (S, N)
    for i in range(repeats):
        plays[i] = _lived(world, chosen, f"uniform-{i}".encode())[chosen]
    error = math.nan
    if repeats > 1:
        error = math.sqrt(plays.var(axis=0, ddof=1).sum() / repeats) / len(chosen)
    return KnownValue(np.array(chosen, dtype=np.int64), plays.mean(axis=0), error)


def _lived(world: World, chosen: list[int], secret: bytes) -> Floats:
    """Return what customers were worth in the random group, (all of the world's,)."""
    if isinstance(world, Market):
        return true_values(play(
            world, Uniform(), group=Group.RANDOM, learn=False, secret=secret, customers=chosen
        ))  # fmt: skip
    run = rollout(
        world, Uniform(), group=Group.RANDOM, learn=False, secret=secret, customers=chosen
    )
    values = realised_value(run.expected, run.distributions)  # (R,)
    totals = np.bincount(run.customers, weights=values, minlength=world.customers)
    return np.asarray(totals, dtype=np.float64)


def realised_value(
    expected: Floats | Sequence[Floats], choices: Floats | NDArray[np.int64]
) -> Floats:
    """Return the true expected reward of each decision, free of the luck of its outcomes.

    Args:
        expected: (R, A) currency, the world's expected rewards at each decision.
        choices: (R,) positions of the actions taken, or (R, A) distributions over them.

    Returns:
        (R,) currency: r_a of the action taken, or sum_a p_a r_a.

    Raises:
        ValueError: the shapes do not fit.

    Example:
        >>> rewards = np.array([[0.0, 2.0], [1.0, 5.0]])
        >>> realised_value(rewards, np.array([1, 0])).tolist()
        [2.0, 1.0]
        >>> realised_value(rewards, np.array([[0.5, 0.5], [0.0, 1.0]])).tolist()
        [1.0, 5.0]
    """
    rewards = np.asarray(expected, dtype=np.float64)  # (R, A)
    if choices.shape == rewards.shape:
        return np.asarray((rewards * choices).sum(axis=1), dtype=np.float64)
    if choices.shape != rewards.shape[:1]:
        raise ValueError(
            f"choices: expected shape {rewards.shape[:1]} or {rewards.shape}, got {choices.shape}"
        )
    return np.asarray(rewards[np.arange(len(rewards)), choices.astype(np.intp)])
