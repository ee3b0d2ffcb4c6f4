"""Wrappers for reinforcement learning libraries that take a vector for an observation."""

from __future__ import annotations

import gymnasium
import numpy as np
from numpy.typing import NDArray

from simulators.env import CustomerEnv, Observation
from simulators.observations import Layout


class FlattenMarket(gymnasium.ObservationWrapper[NDArray[np.float32], np.int64, Observation]):
    """Shows a `CustomerEnv`'s observation as one vector, the same as `PopulationEnv` does.

    Unlike Gymnasium's `FlattenObservation` it scales numbers, and does not spread counts out.
    It has the method `action_masks` that sb3-contrib's MaskablePPO asks for, so that no
    `ActionMasker` is needed around it.

    Args:
        env: a `CustomerEnv`, wrapped or not.

    Raises:
        ValueError: another environment.

    Example:
        >>> env = FlattenMarket(gymnasium.make("nextbest/Telecom-v0"))
        >>> observation, info = env.reset(seed=1)
        >>> observation.dtype.name, observation.shape == env.observation_space.shape
        ('float32', True)
        >>> env.action_masks().shape
        (25,)
    """

    def __init__(self, env: gymnasium.Env[Observation, np.int64]) -> None:
        super().__init__(env)
        if not isinstance(env.unwrapped, CustomerEnv):
            raise ValueError(f"expected a CustomerEnv, got {type(env.unwrapped).__name__}")
        self._customer = env.unwrapped
        self.layout: Layout = self._customer.layout
        self.observation_space = self.layout.space

    def observation(self, observation: Observation) -> NDArray[np.float32]:
        """Return an observation as a vector, (D,)."""
        return self.layout.vector(observation)

    def action_masks(self) -> NDArray[np.bool_]:
        """Return which actions are allowed now, (A,)."""
        return self._customer.action_masks()
