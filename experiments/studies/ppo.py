"""Reinforcement learning beside bandits: sb3-contrib's MaskablePPO trains on a market, unchanged.

    pip install nextbest[rl]
    python -m experiments.studies.ppo --steps 50000

It plans ahead over a customer's weeks, which a bandit does not, and pays for it in data: both are
given the same number of decisions to learn from, and are then judged, without learning any more, on
the same new customers with the same luck. Figures are true expected values over nothing done.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils import seeding
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from agents.errors import StateError
from agents.groups import Group
from policies.base import Policy
from policies.registry import create_policy
from policies.uniform import Uniform
from simulators.compare.arms import arm, without_floor
from simulators.compare.kpis import PER, paired
from simulators.examples import example_revision
from simulators.market.market import Market
from simulators.offline.oracle import Oracle
from simulators.offline.play import play
from simulators.worlds.telecom import Telecom
from simulators.wrappers import FlattenMarket

Floats = NDArray[np.float64]

ENVIRONMENT = "nextbest/Telecom-v0"

_TRAINED, _JUDGED = 1, 2  # seeds


def environment(customers: int) -> FlattenMarket:
    """Make the market's environment; customers are met at their own hours, as everywhere else."""
    return FlattenMarket(gymnasium.make(ENVIRONMENT, hour=None, customers=customers))


def train(steps: int) -> Any:
    """Train a stock MaskablePPO for a number of decisions.

    Args:
        steps: decisions, at least one rollout of 2,048.

    Raises:
        StateError: sb3-contrib is not installed.
    """
    try:
        masked = import_module("sb3_contrib").MaskablePPO
        vectors = import_module("stable_baselines3.common.vec_env")
    except ModuleNotFoundError as error:
        raise StateError(f"expected sb3-contrib; pip install nextbest[rl] ({error})") from error
    # Rewards are brought to one scale, as for any market whose values are tens of euros.
    customers = vectors.VecNormalize(
        vectors.DummyVecEnv([lambda: environment(1_000)]), norm_obs=False
    )
    return masked("MlpPolicy", customers, seed=_TRAINED, device="cpu").learn(steps)


def judge(model: Any, customers: int) -> Floats:
    """Return what each new customer is truly worth under a trained agent; (customers,) currency."""
    env = environment(customers)
    worth = np.zeros(customers)
    observation, info = env.reset(seed=_JUDGED)
    for customer in range(customers):
        over = False
        while not over:
            action, _ = model.predict(
                observation, action_masks=env.action_masks(), deterministic=True
            )
            worth[customer] += info["expected_rewards"][int(action)]
            observation, _, over, _, info = env.step(action)
        if customer + 1 < customers:
            observation, info = env.reset()
    return worth


def beside(steps: int, customers: int) -> dict[str, Floats]:
    """Return the same of others: nothing done, random, the default learner, the oracle."""
    agent = arm(example_revision())
    learner, seed = create_policy(agent.revision), _market_seed()
    rounds = Telecom.spec.rounds
    school = Telecom(agent.revision, customers=max(steps // rounds, 1), seed=_TRAINED)
    play(school, learner, truth=False)
    new = Telecom(agent.revision, customers=customers, seed=seed)
    knowing = Telecom(without_floor(agent).revision, customers=customers, seed=seed)
    return {
        "none": _worth(new, Uniform(), Group.CONTROL),
        "random": _worth(new, Uniform()),
        "hybrid_thompson": _worth(new, learner),
        "oracle": _worth(knowing, Oracle(knowing)),
    }


def _worth(market: Market, policy: Policy, group: Group | None = None) -> Floats:
    played = play(market, policy, group=group, learn=False)
    return played.per_customer(played.decided.taken)


def _market_seed() -> int:
    """Return the seed of the market that the environment draws for its own seed."""
    return int(seeding.np_random(_JUDGED)[0].integers(2**32))


def study_table(found: dict[str, Floats], steps: int) -> Table:
    """Lay out what each is worth over nothing done, with paired standard errors.

    Args:
        found: (C,) currency each, by name; one of them `none`.
        steps: decisions that were learned from.
    """
    title = f"{ENVIRONMENT}: {len(found['none']):,} new customers after {steps:,} decisions"
    table = Table("", "EUR per 1,000 over none", "headroom", title=title, title_justify="left")
    whole = float((found["oracle"] - found["none"]).mean())
    for name, worth in found.items():
        figure = paired(worth, found["none"])
        gain, error = PER * figure.difference, PER * figure.difference_error
        table.add_row(name, f"{gain:,.0f} ± {error:,.0f}", f"{figure.difference / whole:.1%}")
    return table


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=50_000)
    parser.add_argument("--customers", type=int, default=2_000)
    given = parser.parse_args()
    model = train(given.steps)
    found = beside(given.steps, given.customers) | {"ppo": judge(model, given.customers)}
    Console(highlight=False).print(study_table(found, given.steps))


if __name__ == "__main__":
    main()
