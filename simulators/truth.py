"""Known truth: what policies are worth in a world, to measure an experiment's answer against."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.groups import Group
from policies.uniform import Uniform
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
    """Return what each customer is worth if nobody ever contacts them; exact.

    Without contacts a customer's probabilities depend on the past only through the outcomes that
    happen once. With p_t of such an outcome in round t while it has not happened, its expected
    count is sum_t p_t prod_(s<t) (1 - p_s). The world begins anew.

    Args:
        world: bound to the revision whose outcome values count.
        customers: positions; None means all.

    Raises:
        ValueError: customers that `World.positions` refuses.
    """
    world.reset()
    chosen = world.positions(customers)  # N of them
    values = np.array([_untouched(world, customer) for customer in chosen])  # (N,)
    return KnownValue(np.array(chosen, dtype=np.int64), values, 0.0)


def _untouched(world: World, customer: int) -> float:
    once = np.array([outcome in world.once for outcome in world.outcomes])  # (O,)
    waiting = np.ones(len(once))  # P(not yet happened), (O,)
    value = 0.0
    for i in range(world.rounds):
        rates = world.outcome_probabilities(customer, world.opportunity(customer, i))[0]  # (O,)
        value += float((waiting * rates) @ world.values)
        waiting = np.where(once, waiting * (1.0 - rates), 1.0)  # (O,)
    return value


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
        run = rollout(
            world, Uniform(), group=Group.RANDOM, learn=False,
            secret=f"uniform-{i}".encode(), customers=chosen,
        )  # fmt: skip
        values = realised_value(run.expected, run.distributions)  # (R,)
        totals = np.bincount(run.customers, weights=values, minlength=world.customers)
        plays[i] = totals[chosen]
    error = math.nan
    if repeats > 1:
        error = math.sqrt(plays.var(axis=0, ddof=1).sum() / repeats) / len(chosen)
    return KnownValue(np.array(chosen, dtype=np.int64), plays.mean(axis=0), error)


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
