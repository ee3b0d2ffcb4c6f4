"""A betting confidence sequence: values against which no gambler would have grown rich."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import optimize, special

from experiments.intervals.base import Bounds, Sample, check_level
from experiments.intervals.grouped import Floats, all_groups

_STAKES = 0.5 ** np.arange(1.0, 13.0)  # (K,) shares of the greatest bet that cannot ruin


class _Game(NamedTuple):
    """Totals of amounts by customer, none below `floor` a decision, with an unknown mean."""

    totals: Floats  # (M,) those that are not 0
    sizes: Floats  # (M,) their decisions
    idle: Floats  # (S,) how many customers of s decisions have a total of 0
    floor: float
    largest: float  # decisions of the busiest customer

    @classmethod
    def of(cls, totals: Floats, sizes: Floats, floor: float) -> _Game:
        some = totals != 0.0
        idle = np.bincount(sizes[~some].astype(np.intp)).astype(np.float64)
        return cls(totals[some], sizes[some], idle, floor, float(sizes.max()))

    def wealth(self, mean: float) -> Floats:
        """Return the log of each stake's wealth after betting that the mean is greater; (K,).

        A stake f wins f (total - size x mean) / (largest (mean - floor)) of what it has.
        """
        scale = self.largest * (mean - self.floor)
        won = (self.totals - self.sizes * mean) / scale  # (M,)
        lost = np.arange(len(self.idle)) * mean / scale  # (S,)
        idle = np.log1p(-np.outer(_STAKES, lost)) @ self.idle
        return np.array([np.log1p(stake * won).sum() for stake in _STAKES]) + idle


@dataclass(frozen=True)
class Betting:
    """All values m for which bets that the truth is greater, or less, won less than 2 / alpha.

    At the true value each bet on a customer's total is fair, so wealth that starts at 1 ever
    exceeds 2 / alpha with probability alpha / 2 at most (Ville): the interval holds at all looks
    at once, at any number of decisions. Stakes are twelve fixed shares of the greatest bet that
    cannot ruin, held side by side; so the order of decisions does not matter.

    Against a small value one bets on weight x reward, which has a floor but needs no greatest
    weight. Against a great one, half is bet on weight x reward with the greatest weight as its
    limit, half on weight x (highest reward - reward). The lower bound is of use, as for a gate;
    the upper one is far away until there are very many decisions.

    It is about the mean of weight x reward, whatever the estimator; where that leaves out the
    estimate, it is extended to it.

    Source: Waudby-Smith and Ramdas, JRSS B 2024 (hedged capital); Karampatziakis, Mineiro and
        Ramdas, Off-policy Confidence Sequences, ICML 2021; Waudby-Smith et al., 2022.
    """

    name: str = "betting"
    assumption: str = "a known greatest weight and range of rewards; the value does not drift"
    anytime: bool = True
    needs_rows: bool = True

    def bounds(self, sample: Sample, level: float) -> Bounds:
        """Return the values that are not refused, joined with the estimate."""
        check_level(level)
        groups = all_groups(sample, self.name)
        low, high = sample.reward_range
        limit, rich = sample.weight_limit, math.log(2.0 / (1.0 - level))
        gains, sizes, weights = groups.gains, groups.sizes, groups.weights
        above = _games(gains, weights, sizes, low, limit)
        below = _games(-gains, weights, sizes, -high, limit)
        least = _least(above, rich, low, high)
        return Bounds(least, -_least(below, rich, -high, -low)).union(
            Bounds(sample.value, sample.value)
        )


def _games(
    gains: Floats, weights: Floats, sizes: Floats, low: float, limit: float
) -> tuple[tuple[_Game, float], ...]:
    """Return the games on E[w r] for rewards of at least `low`, each with how it shifts means."""
    plain = (_Game.of(gains, sizes, limit * min(low, 0.0)), 0.0)
    if low == 0.0:
        return (plain,)
    return plain, (_Game.of(gains - low * weights, sizes, 0.0), low)


def _least(games: Sequence[tuple[_Game, float]], rich: float, low: float, high: float) -> float:
    """Return the least mean in [low, high] against which betting was no success."""

    def excess(mean: float) -> float:
        wealth = np.concatenate([game.wealth(mean - shift) for game, shift in games])
        return float(special.logsumexp(wealth)) - math.log(len(wealth)) - rich

    width = high - low
    edge, end = low + 1e-9 * width, high - 1e-9 * width
    if width <= 0.0 or excess(edge) <= 0.0:
        return low
    if excess(end) >= 0.0:
        return high
    return float(optimize.brentq(excess, edge, end, xtol=1e-7 * width))
