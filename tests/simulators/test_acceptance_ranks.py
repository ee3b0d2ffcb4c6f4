"""In every market, who knows the truth earns most, and who learns earns more than chance.

Seeds are fixed; tolerances are in standard errors of pairs.
"""

from __future__ import annotations

import pytest

from simulators.compare.arms import arm, with_learner, without_floor
from simulators.compare.kpis import paired
from simulators.compare.life import Life, live, live_best
from simulators.market.market import Market
from simulators.worlds import WORLDS, create_world

MARKETS = sorted(name for name, world in WORLDS.items() if issubclass(world, Market))
HOSTILE = {"zero_uplift", "tiny_data", "confounded", "many_actions"}


def lives(name: str, customers: int = 1_000, rounds: int = 5) -> tuple[Life, Life, Life]:
    """Let the oracle, the agent and the uniform policy live with the same customers."""
    own = arm(WORLDS[name].usual_revision())
    arms = without_floor(own), own, with_learner(own, "uniform")
    best, learned, uniform = (
        create_world(name, each.revision, customers=customers, rounds=rounds, seed=4)
        for each in arms
    )
    return (
        live_best(best, look_ahead=False),
        live(learned, arms[1], checked=False),
        live(uniform, arms[2], checked=False),
    )


@pytest.mark.parametrize("name", MARKETS)
def test_the_oracle_earns_no_less_than_who_learns_and_who_learns_no_less_than_chance(
    name: str,
) -> None:
    """By more than 1 standard error of the pairs; in hostile worlds, not less by more than 2."""
    best, learned, uniform = (life.value.sum(axis=0) for life in lives(name))
    least = -2.0 if name in HOSTILE else 1.0
    for better, worse in ((best, learned), (learned, uniform)):
        found = paired(better, worse)
        assert found.difference > least * found.difference_error
