"""Markets with known truth, and the logs that policies write in them, for the study of coverage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Kind = Literal["fixed", "adaptive", "repeated"]

ARMS, FEATURES, FLOOR = 10, 4, 0.1
WEIGHT_LIMIT = ARMS / FLOOR
SHARPNESS = {"soft": 2.0, "greedy": 30.0}
"""How much a target prefers what it takes for best: of its logits, in standard logits."""

_BASE, _SPREAD, _HABIT = -4.7, 0.35, 0.6
_BATCHES, _DRAWS = 25, 400  # of the learner: lessons, and posterior draws for its probabilities
_VISITS, _MOOD = 5, 1.0  # decisions of a customer who returns, and how much customers differ
_POPULATION = 400_000


@dataclass(frozen=True)
class Draws:
    """A log: N decisions in the order of time.

    Args:
        x: (N, D) features.
        action: (N,) what was drawn.
        distribution: (N, A) probabilities it was drawn with.
        reward: (N,) 1 for a conversion, else 0.
        customer: (N,) number of the customer.
    """

    x: Floats
    action: NDArray[np.intp]
    distribution: Floats
    reward: Floats
    customer: NDArray[np.intp]


@dataclass(frozen=True)
class World:
    """A market with ten actions and some two or three conversions in a hundred decisions.

    Args:
        slopes: (D, A) of the logits of conversion.
        levels: (A,) their intercepts.
        habit: (D, A) of the logits of the fixed logging policy.
        opinion: (D, A) what the targets take for the slopes; nearly right.
    """

    slopes: Floats
    levels: Floats
    habit: Floats
    opinion: Floats

    @classmethod
    def draw(cls, seed: int) -> World:
        """Make a market from a seed."""
        rng = np.random.default_rng([seed, 1])
        shape = (FEATURES, ARMS)
        slopes = rng.normal(0.0, _SPREAD, shape)
        opinion = slopes + rng.normal(0.0, 0.1, shape)
        levels = _BASE + rng.normal(0.0, 0.2, ARMS)
        return cls(slopes, levels, rng.normal(0.0, _HABIT, shape), opinion)

    def rates(self, x: Floats, mood: Floats) -> Floats:
        """Return the probability that each action converts; (N, A)."""
        return np.asarray(1.0 / (1.0 + np.exp(-(self.levels + x @ self.slopes + mood[:, None]))))

    def target(self, x: Floats, name: str) -> Floats:
        """Return the distributions of the soft or the nearly greedy target; (N, A)."""
        return _softmax(SHARPNESS[name] * (self.levels + x @ self.opinion)) * 0.98 + 0.02 / ARMS

    def truth(self, name: str, *, moody: bool) -> float:
        """Return what a target is worth, from a population of 400,000."""
        rng = np.random.default_rng(7)
        x = rng.normal(size=(_POPULATION, FEATURES))
        mood = _moods(_POPULATION, rng) if moody else np.zeros(_POPULATION)
        return float(np.einsum("na,na->n", self.target(x, name), self.rates(x, mood)).mean())

    def log(self, kind: Kind, n: int, rng: np.random.Generator) -> Draws:
        """Write a log of n decisions.

        Args:
            kind: by a fixed policy; by a learner, `adaptive`; or by a fixed policy among customers
                who come five times each, and differ in how easily they convert, `repeated`.
            n: decisions; a multiple of 25.
            rng: of all luck.
        """
        if kind == "repeated":
            count = n // _VISITS
            customer = rng.permutation(np.repeat(np.arange(count), _VISITS))
            x = rng.normal(size=(count, FEATURES))[customer]
            mood = _moods(count, rng)[customer]
        else:
            customer, mood = np.arange(n), np.zeros(n)
            x = rng.normal(size=(n, FEATURES))
        rates, luck = self.rates(x, mood), rng.random(n)
        if kind == "adaptive":
            action, p = _learned(x, rates, luck, rng)
        else:
            p = _softmax(x @ self.habit) * (1.0 - FLOOR) + FLOOR / ARMS
            action = _drawn(p, rng)
        reward = (luck < rates[np.arange(n), action]).astype(np.float64)
        return Draws(x, action, p, reward, customer)


def _learned(
    x: Floats, rates: Floats, luck: Floats, rng: np.random.Generator
) -> tuple[NDArray[np.intp], Floats]:
    """Draw by Beta-Bernoulli Thompson sampling in four segments, with a floor, taught in batches.

    Each probability is the share of posterior draws that an action wins, and is what the action is
    then drawn with; so it is exact, however few draws there are.
    """
    n = len(x)
    segment = (x[:, 0] > 0.0) + 2 * (x[:, 1] > 0.0)  # (n,)
    won, lost = np.full((4, ARMS), 1.0), np.full((4, ARMS), 30.0)
    action, p = np.empty(n, dtype=np.intp), np.empty((n, ARMS))
    for rows in np.array_split(np.arange(n), _BATCHES):
        best = rng.beta(won, lost, (_DRAWS, 4, ARMS)).argmax(axis=2)  # (draws, 4)
        shares = np.stack([np.bincount(best[:, s], minlength=ARMS) for s in range(4)]) / _DRAWS
        p[rows] = (shares * (1.0 - FLOOR) + FLOOR / ARMS)[segment[rows]]
        action[rows] = _drawn(p[rows], rng)
        good = luck[rows] < rates[rows, action[rows]]
        np.add.at(won, (segment[rows], action[rows]), good)
        np.add.at(lost, (segment[rows], action[rows]), ~good)
    return action, p


def _moods(n: int, rng: np.random.Generator) -> Floats:
    return np.asarray(_MOOD * rng.normal(size=n) - 0.5 * _MOOD**2)  # so that the mean rate stays


def _drawn(p: Floats, rng: np.random.Generator) -> NDArray[np.intp]:
    below = p.cumsum(axis=1) < rng.random((len(p), 1))  # (N, A)
    return np.asarray(np.minimum(below.sum(axis=1), ARMS - 1))


def _softmax(scores: Floats) -> Floats:
    raw = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(raw / raw.sum(axis=1, keepdims=True))
