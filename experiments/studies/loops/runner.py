"""One loop that several learners answer, each taught what came of its own answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from agents.supplied import Supplied
from experiments.studies.loops.learners import Learner
from experiments.studies.loops.world import Loop, Shape, reward
from policies.decide import draw

Floats = NDArray[np.float64]

WAIT = 200
"""The reward wait time, in decisions: a decision is learned when so many others were made."""

LATE = 0.05
"""Share of the rewards that come after it: 0 is learned in their place."""

BEST, UNIFORM, FIXED = "best", "uniform", "best fixed order"


class _Taught:
    """A learner, and its decisions whose time is not over."""

    def __init__(self, learner: Learner) -> None:
        self._learner = learner
        self._open: deque[tuple[Supplied, int, float, float]] = deque()

    def answer(self, supplied: Supplied) -> Floats:
        """Learn the decision whose time is over, then answer; (K,)."""
        if len(self._open) == WAIT:
            self._learner.learn(*self._open.popleft())
        return self._learner.probabilities(supplied)

    def decided(self, supplied: Supplied, drawn: int, propensity: float, reward: float) -> None:
        """Keep a decision, with the reward that is known when its time is over."""
        self._open.append((supplied, drawn, propensity, reward))


def run(shape: Shape, learners: Mapping[str, Learner], count: int, seed: int) -> dict[str, Floats]:
    """Let each learner answer the same requests.

    The requests, the numbers that draws are made with, and who is late are the same for all.

    Args:
        shape: of the loop.
        learners: untaught, by name.
        count: n, decisions.
        seed: of the loop and of all luck.

    Returns:
        (n,) true expected reward of each answer by name, and of `BEST`, `UNIFORM` and `FIXED`.
    """
    loop = Loop(shape, np.random.default_rng([seed, 1]))
    luck = np.random.default_rng([seed, 2]).random((count, 4))  # (n, 4)
    taught = {name: _Taught(learner) for name, learner in learners.items()}
    earned = {name: np.zeros(count) for name in (*learners, UNIFORM, FIXED, BEST)}
    for t, request in enumerate(islice(loop.requests(), count)):
        chance, read, worth, late = luck[t].tolist()
        mean = request.mean  # (K,)
        for name, side in taught.items():
            answer = side.answer(request.supplied)  # (K,)
            drawn = draw(answer, chance)
            value = 0.0 if late < LATE else reward(float(mean[drawn]), read, worth)
            side.decided(request.supplied, drawn, float(answer[drawn]), value)
            earned[name][t] = answer @ mean
        earned[UNIFORM][t], earned[FIXED][t] = mean.mean(), mean[request.fixed]
        earned[BEST][t] = mean.max()
    return earned


def gained(earned: Mapping[str, Floats], name: str, count: int) -> float:
    """Return the share of what can be gained over a uniform choice, in percent.

    Args:
        earned: what `run` returned.
        name: of the learner.
        count: of the first decisions, those made while learning included.

    Example:
        >>> earned = {"best": np.ones(2), "uniform": np.zeros(2), "some": np.array([0.0, 0.5])}
        >>> gained(earned, "some", 2)
        25.0
    """
    least, most, own = (float(earned[each][:count].sum()) for each in (UNIFORM, BEST, name))
    return 100.0 * (own - least) / (most - least)
