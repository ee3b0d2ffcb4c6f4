"""What could be earned: between doing nothing and the oracle, under the same guardrails."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.groups import Group
from agents.revision import Revision
from policies.base import Policy
from policies.uniform import Uniform
from simulators.market.market import Market
from simulators.offline.oracle import Oracle
from simulators.offline.play import play
from simulators.offline.record import Played

Floats = NDArray[np.float64]
Priced = dict[float, Floats]

_SHARES = (0.2, 0.4, 0.6, 0.8)  # of the gains, at which prices are tried first
_REFINED = 2  # times that the two neighbours' middles are tried


@dataclass(frozen=True, slots=True)
class Paired:
    """The mean of a difference over customers, and its standard error.

    The customers are met twice with the same luck, so most of what chance does cancels; the error
    is that of the mean over customers such as these.

    Args:
        mean: currency per customer.
        standard_error: of the mean; NaN for a single customer.
    """

    mean: float
    standard_error: float

    @classmethod
    def of(cls, first: Floats, second: Floats) -> Paired:
        """Compare values of the same customers, (C,) each: the first less the second.

        Example:
            >>> Paired.of(np.array([3.0, 5.0]), np.array([1.0, 3.0]))
            Paired(mean=2.0, standard_error=0.0)
        """
        gaps = first - second
        count = len(gaps)
        error = float(gaps.std(ddof=1)) / math.sqrt(count) if count > 1 else math.nan
        return cls(float(gaps.mean()), error)


@dataclass(frozen=True, slots=True)
class Yardstick:
    """What the customers of a market are worth if nobody is contacted, and at best.

    Args:
        none: (C,) currency, nobody is ever contacted.
        oracle: (C,) the oracle at its best price of contact.
        price: that price; 0 where looking ahead pays nothing.
        myopic: (C,) the oracle without a price.
    """

    none: Floats
    oracle: Floats
    price: float
    myopic: Floats

    def incremental(self, values: Floats) -> Paired:
        """Compare what customers are worth under a policy with doing nothing; (C,)."""
        return Paired.of(values, self.none)

    def regret(self, values: Floats) -> Paired:
        """Return what a policy leaves to the oracle; (C,)."""
        return Paired.of(self.oracle, values)

    def headroom(self, values: Floats) -> float:
        """Return the share of what there is to gain that a policy gains: 1 for the oracle.

        NaN where the oracle gains nothing.
        """
        gain = float((self.oracle - self.none).sum())
        return float((values - self.none).sum()) / gain if gain > 0.0 else math.nan


def true_values(played: Played) -> Floats:
    """Return what each customer is worth, free of the luck of draws and of the last outcomes.

    Of each decision the expected reward of its distribution counts, sum_a p_a r_a, on the path
    that was lived through; (C,) currency.
    """
    return played.per_customer(played.decided.mean)


def value_of(
    market: Market, policy: Policy, *, learn: bool = True, secret: bytes = b"truth"
) -> Floats:
    """Return what each customer is worth under a policy that decides for all of them; (C,).

    Args:
        market: bound to the revision whose guardrails hold; it begins anew.
        policy: taught in place if `learn`.
        learn: whether it learns, each night.
        secret: fixes the draws; the luck of the customers is the market's.
    """
    run = play(market, policy, group=Group.TREATMENT, learn=learn, secret=secret)
    return true_values(run)


def yardstick(market: Market, *, look_ahead: bool = True) -> Yardstick:
    """Measure what there is to gain in a market, within the guardrails and budgets of its agent.

    The oracle sees every customer's true state and follows no exploration floor. It is greedy, so
    what a message costs later it knows by a price of contact only, which is found by line search
    on the very value that it earns: it is never worth less than without a price.

    Args:
        market: bound to the agent; another one of the same customers and luck is played.
        look_ahead: whether to search for a price; else it is 0.

    Example:
        >>> from simulators.examples import example_revision
        >>> from simulators.worlds.telecom import Telecom
        >>> found = yardstick(Telecom(example_revision(), customers=200, rounds=3))
        >>> float(found.oracle.sum()) >= float(found.myopic.sum()) > float(found.none.sum())
        True
    """
    bare = again(market, without_floor(market.revision))
    none = true_values(play(bare, Uniform(), group=Group.CONTROL, learn=False))
    worth = priced(bare) if look_ahead else {0.0: value_of(bare, Oracle(bare), learn=False)}
    price = best_of(worth)
    return Yardstick(none, worth[price], price, worth[0.0])


def priced(market: Market) -> Priced:
    """Search the price of contact at which the oracle earns most, from 0 on.

    Args:
        market: bound to a revision without an exploration floor; it begins anew.

    Returns:
        What each customer is worth, (C,), by every price that was tried, 0 among them.
    """
    first = play(market, Oracle(market), group=Group.TREATMENT, learn=False)
    tried = {0.0: true_values(first)}
    gains = first.decided.best - first.decided.none
    if not (gains > 0.0).any():
        return tried
    prices: list[float] = np.quantile(gains[gains > 0.0], _SHARES).tolist()
    for _ in range(1 + _REFINED):
        for price in prices:
            if price not in tried:
                tried[price] = value_of(market, Oracle(market, price), learn=False)
        best, known = best_of(tried), sorted(tried)
        place = known.index(best)
        near = known[max(place - 1, 0) : place + 2]
        prices = [(best + other) / 2.0 for other in near if other != best]
    return tried


def best_of(tried: Priced) -> float:
    """Return the price that earns most."""
    return max(tried, key=lambda price: float(tried[price].sum()))


def again(market: Market, revision: Revision) -> Market:
    """Make the same customers with the same luck for another revision of the agent."""
    return type(market)(
        revision, customers=market.customers, rounds=market.rounds, seed=market.seed,
        every=market.every, start=market.start,
    )  # fmt: skip


def without_floor(revision: Revision) -> Revision:
    """Take an agent's exploration floor away, for one who has nothing to learn."""
    policy = revision.agent.policy.model_copy(update={"floor": 0.0})
    agent = revision.agent.model_copy(update={"policy": policy})
    return Revision(revision.workspace, agent)
