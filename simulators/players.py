"""Players: who acts in an environment without learning, for one customer or for many at once.

A player is a plain callable of (observation, info) that returns an action, or (N,) of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.observations import require_truth

Infos = Mapping[str, Any]
Actions = NDArray[np.int64]
Player = Callable[[object, Infos], Actions]


def random_player(seed: int) -> Player:
    """Return one who takes any allowed action, all with the same probability.

    Args:
        seed: fixes the choices, in the order in which they are asked for.

    Example:
        >>> play = random_player(seed=1)
        >>> play(None, {"action_mask": np.array([[1, 0, 0], [0, 0, 1]])}).tolist()
        [0, 2]
    """
    generator = np.random.default_rng(seed)

    def play(_observation: object, info: Infos) -> Actions:
        allowed = _allowed(info)
        return _best(generator.random(allowed.shape), allowed)

    return play


def greedy(_observation: object, info: Infos) -> Actions:
    """Take the action of the greatest true expected reward, barred or not.

    What is barred becomes `none`, so it shows what guardrails cost one who does not know them.

    Raises:
        StateError: the environment does not show the truth.
    """
    return _best(require_truth(info), np.ones(1, dtype=np.bool_))


def oracle(_observation: object, info: Infos) -> Actions:
    """Take the allowed action of the greatest true expected reward at this moment.

    It does not look ahead: of what a message costs later, such as fatigue, it knows nothing.

    Raises:
        StateError: the environment does not show the truth.

    Example:
        >>> info = {"action_mask": np.array([1, 1, 0]), "expected_rewards": np.array([0, 2, 5])}
        >>> int(oracle(None, info)), int(greedy(None, info))
        (1, 2)
    """
    return _best(require_truth(info), _allowed(info))


def _allowed(info: Infos) -> NDArray[np.bool_]:
    return np.asarray(info["action_mask"], dtype=np.bool_)


def _best(values: NDArray[np.float64], allowed: NDArray[np.bool_]) -> Actions:
    return np.asarray(np.argmax(np.where(allowed, values, -np.inf), axis=-1), dtype=np.int64)
