"""The second opinion: both sets of rules lived through in a simulated market."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.errors import UnknownNameError
from agents.groups import Group
from agents.revision import Revision
from experiments.intervals.base import normal_quantile
from policies.registry import create_policy
from simulators.market.market import Market
from simulators.offline.yardstick import Paired, value_of
from simulators.rollout import rollout
from simulators.sizing import world_size
from simulators.truth import realised_value
from simulators.world import World
from simulators.worlds import create_world

_ROUNDS = 6


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a change of rules does in a simulated market, histories and all.

    Args:
        world: its name.
        customers, rounds, seed: its size, and what it was drawn from.
        value: change in currency per decision, the same customers with the same luck under both.
        stderr: over customers such as these; how far the market is from the real one it cannot say.
        low, high: bounds at the level that was asked for.
        before, after: value per decision under each set of rules.
    """

    world: str
    customers: int
    rounds: int
    seed: int
    value: float
    stderr: float
    low: float
    high: float
    before: float
    after: float


_TRIED = 2


def check_world(world: str, *revisions: Revision, seed: int = 1) -> None:
    """Refuse a world that could give no opinion, before the work that goes before it.

    Args:
        world: a name or a file of a world.
        revisions: of the agent, that are to live in it; none looks for the world alone.
        seed: of the market.

    Raises:
        UnknownNameError: there is no such world.
        StateError, DocumentError: the file cannot be read, or is no world's document.
        ValueError: a world that does not fit the workspace.
    """
    try:
        size = world_size(world, customers=_TRIED, seed=seed, rounds=_ROUNDS)
    except UnknownNameError as error:
        raise UnknownNameError(f"--simulate: {error}") from None
    for revision in revisions:
        create_world(world, revision, **size)


def second_opinion(
    world: str,
    before: Revision,
    after: Revision,
    *,
    customers: int = 2_000,
    rounds: int = _ROUNDS,
    seed: int = 1,
    level: float = 0.95,
) -> Opinion:
    """Let the agent's own learner live through a market under both sets of rules.

    It begins untaught both times, and meets the same customers with the same luck.

    Args:
        world: a name or a file of a world.
        before: the agent under the rules in force.
        after: the agent under the changed ones.
        customers: how many.
        rounds: decisions about each.
        seed: of the market.
        level: nominal coverage of the interval, in (0, 1).
    """
    size = world_size(world, customers=customers, seed=seed, rounds=rounds)
    values = [_lived(create_world(world, each, **size), each) for each in (after, before)]
    found = Paired.of(*values)
    mean, error = found.mean / rounds, found.standard_error / rounds
    reach = normal_quantile(level) * error
    return Opinion(
        world, customers, rounds, seed, mean, error, mean - reach, mean + reach,
        float(values[1].mean()) / rounds, float(values[0].mean()) / rounds,
    )  # fmt: skip


def _lived(world: World, revision: Revision) -> NDArray[np.float64]:
    """Return what each customer is worth over all rounds, free of the luck of draws; (C,)."""
    policy = create_policy(revision)
    if isinstance(world, Market):
        return value_of(world, policy)
    run = rollout(world, policy, group=Group.TREATMENT)
    values = realised_value(run.expected, run.distributions)  # (N,)
    totals = np.bincount(run.customers, weights=values, minlength=world.customers)
    return np.asarray(totals, dtype=np.float64)
