"""A made-up loop with known truth: each request brings other articles of a catalogue.

The expected reward of an article is `0.6 sigmoid(b + T[segment, topic] + D[daypart, topic]
+ F[device, format] + v[article])`: tastes, which features tell, and a merit of its own, which only
its id tells. It is read with the probability that the sigmoid gives; a reader's reward is even in
[0.2, 1], what it says for how long, and 0 otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.supplied import Supplied, supply

Floats = NDArray[np.float64]

SEGMENTS, DAYPARTS, DEVICES, TOPICS, FORMATS = 8, 4, 3, 10, 4
WORTH = (0.2, 1.0)
"""Least and most reward of who reads."""

_INTERCEPT = -2.5
_SPREADS = {"segment": 1.0, "daypart": 0.5, "device": 0.5, "merit": 0.5}  # standard deviations
_FIRST_MOVE = 0.5  # of the time between two moves


@dataclass(frozen=True, slots=True)
class Shape:
    """What a loop is like.

    Args:
        actions: K, that come with a request.
        catalogue: M, that they are taken from, by chance; at least K.
        moves: decisions after which all tastes are others; the first time after half of them;
            0 for never.
        newcomers: decisions after which one article of the catalogue gives way to a new one;
            0 for never.
    """

    actions: int
    catalogue: int = 100
    moves: int = 0
    newcomers: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """One request, with what nobody is told.

    Args:
        supplied: its actions, as a learner sees them.
        mean: (K,) expected rewards.
        fixed: position of the article that earns most over all customers.
    """

    supplied: Supplied
    mean: Floats
    fixed: int


class Loop:
    """Requests, one after another; the same seed brings the same.

    Args:
        shape: of the loop.
        rng: where all of it comes from.

    Example:
        >>> request = next(Loop(Shape(5), np.random.default_rng(1)).requests())
        >>> len(request.supplied.ids), request.mean.shape
        (5, (5,))
    """

    def __init__(self, shape: Shape, rng: np.random.Generator) -> None:
        self._shape, self._rng = shape, rng
        self._topic = rng.integers(TOPICS, size=shape.catalogue)  # (M,)
        self._format = rng.integers(FORMATS, size=shape.catalogue)  # (M,)
        self._merit = rng.normal(0.0, _SPREADS["merit"], shape.catalogue)  # (M,)
        self._ids = list(range(shape.catalogue))
        self._move()

    def _move(self) -> None:
        spread, rng = _SPREADS, self._rng
        self._by_segment = rng.normal(0.0, spread["segment"], (SEGMENTS, TOPICS))
        self._by_daypart = rng.normal(0.0, spread["daypart"], (DAYPARTS, TOPICS))
        self._by_device = rng.normal(0.0, spread["device"], (DEVICES, FORMATS))
        self._weigh()

    def _weigh(self) -> None:
        """Work out what each article earns in each situation, and on average of all."""
        logits = (
            _INTERCEPT
            + self._by_segment[:, None, None, self._topic]
            + self._by_daypart[None, :, None, self._topic]
            + self._by_device[None, None, :, self._format]
            + self._merit
        )
        self._mean = 0.5 * sum(WORTH) / (1.0 + np.exp(-logits))  # (segment, daypart, device, M)
        self._liked = self._mean.mean(axis=(0, 1, 2))  # (M,)

    def _renew(self) -> None:
        place = int(self._rng.integers(self._shape.catalogue))
        self._ids[place] = max(self._ids) + 1
        self._topic[place] = self._rng.integers(TOPICS)
        self._format[place] = self._rng.integers(FORMATS)
        self._merit[place] = self._rng.normal(0.0, _SPREADS["merit"])
        self._weigh()

    def requests(self) -> Iterator[Request]:
        """Yield requests without end."""
        shape, number = self._shape, 0
        while True:
            if shape.moves and number % shape.moves == int(_FIRST_MOVE * shape.moves):
                self._move()
            if shape.newcomers and number and number % shape.newcomers == 0:
                self._renew()
            yield self._request()
            number += 1

    def _request(self) -> Request:
        rng = self._rng
        shown = rng.choice(self._shape.catalogue, self._shape.actions, replace=False)  # (K,)
        who = (
            int(rng.integers(SEGMENTS)), int(rng.integers(DAYPARTS)), int(rng.integers(DEVICES))
        )  # fmt: skip
        segment, daypart, device = who
        moment: list[object] = [
            {"user": {"segment": f"s{segment}", "device": f"d{device}"}},
            {"moment": {"daypart": f"p{daypart}"}},
        ]
        supplied = supply(moment, self._features(shown.tolist()))
        return Request(supplied, self._mean[who][shown], int(self._liked[shown].argmax()))

    def _features(self, shown: Sequence[int]) -> Mapping[str, Sequence[object]]:
        return {
            f"article-{self._ids[place]}": [
                {"topic": f"t{self._topic[place]}", "format": f"f{self._format[place]}"}
            ]
            for place in shown
        }


def reward(mean: float, read: float, worth: float) -> float:
    """Return what came of one decision.

    Args:
        mean: expected reward.
        read: in [0, 1), whether it is read.
        worth: in [0, 1), how long.

    Example:
        >>> reward(0.3, 0.4, 0.0), reward(0.3, 0.6, 0.0)
        (0.2, 0.0)
    """
    low, high = WORTH
    chance = 2.0 * mean / (low + high)
    return low + (high - low) * worth if read < chance else 0.0
