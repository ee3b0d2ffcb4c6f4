from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents.errors import StateError
from simulators.env import CustomerEnv
from simulators.players import Player, greedy, oracle, random_player
from simulators.vector import PopulationEnv

CUSTOMERS = 3_000


def earned(player: Player, **options: Any) -> float:
    """Return what a player earns per customer."""
    env = PopulationEnv(CUSTOMERS, rounds=4, hour=12, truth=True, **options)
    observations, infos = env.reset(seed=1)
    total = 0.0
    for _ in range(4):
        observations, rewards, *_, infos = env.step(player(observations, infos))
        total += float(rewards.mean())
    return total


def test_the_oracle_earns_most() -> None:
    by_oracle, by_greedy = earned(oracle), earned(greedy)
    by_chance = earned(random_player(seed=1))
    assert by_oracle > by_greedy > by_chance


def test_chance_takes_every_allowed_action_equally_often() -> None:
    mask = np.tile(np.array([1, 0, 1, 1, 0], dtype=np.int8), (CUSTOMERS, 1))
    counts = np.bincount(random_player(seed=2)(None, {"action_mask": mask}), minlength=5)
    assert counts[[1, 4]].tolist() == [0, 0]
    assert np.abs(counts[[0, 2, 3]] - 1_000).max() < 4.0 * np.sqrt(CUSTOMERS * 2 / 9)


def test_a_seed_fixes_the_choices() -> None:
    info = {"action_mask": np.ones((50, 25), dtype=np.int8)}
    first, second = (random_player(seed=3)(None, info) for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(random_player(seed=4)(None, info), first)


@pytest.mark.parametrize("player", [random_player(seed=1), greedy, oracle])
def test_players_play_for_one_customer_too(player: Player) -> None:
    env = CustomerEnv("telecom", rounds=3)
    observation, info = env.reset(seed=1)
    for _ in range(3):
        action = player(observation, info)
        assert env.action_space.contains(action)
        observation, _, _, _, info = env.step(np.int64(action))


@pytest.mark.parametrize("player", [greedy, oracle])
def test_who_needs_the_truth_says_so(player: Player) -> None:
    env = PopulationEnv(3, hour=12)
    with pytest.raises(StateError, match="make the environment with truth=True"):
        player(*env.reset(seed=1))
