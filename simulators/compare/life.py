"""One arm's life: what each customer was worth, round by round, and what was left of the base."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from agents.checker import check_log
from agents.groups import Group
from policies.base import Policy
from policies.registry import create_policy
from policies.uniform import Uniform
from simulators.compare.arms import Arm, documents
from simulators.compare.reach import reach
from simulators.market.market import Market
from simulators.offline.oracle import Oracle
from simulators.offline.play import play
from simulators.offline.yardstick import best_of, priced
from simulators.results import Rollout
from simulators.rollout import Progress, rollout
from simulators.world import World

Floats = NDArray[np.float64]

DAY = 90
"""When unsubscribes and the reachable base are looked at; at the end if that comes earlier."""

UNCHECKED = -1
"""Stands for breaches that were not looked for."""

_KEY = b"simulated customers"  # nobody real is behind these hashes


@dataclass(frozen=True)
class Life:
    """What C customers lived through in T rounds under one arm.

    Args:
        name: of the arm.
        days: (T,) when each round begins, days from the start.
        value: (T, C) currency, true expected reward of the actions taken.
        best: (T, C) the same of the best action that was allowed then.
        idle: (T, C) the same of `none`, then.
        uniform: (T, C) the same of an allowed action at random.
        contacts: (T, C) 1 where something was sent.
        withdrawn: (C,) channels that a customer closed until day 90.
        reachable: (C,) 1 for who could be reached by any channel on day 90.
        breaches: decisions against a guardrail, by `agents.checker`, or `UNCHECKED`.
    """

    name: str
    days: Floats
    value: Floats
    best: Floats
    idle: Floats
    uniform: Floats
    contacts: Floats
    withdrawn: Floats
    reachable: Floats
    breaches: int


def live(world: World, arm: Arm, *, checked: bool = True, progress: Progress | None = None) -> Life:
    """Let an arm decide for everybody and learn, from the beginning of a world to its end.

    Args:
        world: bound to the arm's revision.
        arm: decides.
        checked: whether its log is verified against its own documents; that needs one decision at
            a time, which learns at once. Without it a `Market` is played as arrays, many times as
            fast, and what a day teaches is learned at night.
        progress: called with the number of decisions made so far.
    """
    policy = create_policy(arm.revision)
    if isinstance(world, Market) and not checked:
        return life_of(world, arm.name, policy, None, progress)
    return _rolled(world, arm.name, policy, None, progress, checked=checked)


def live_untouched(world: World, *, progress: Progress | None = None) -> Life:
    """Let nobody ever be contacted."""
    if isinstance(world, Market):
        return life_of(world, "none", Uniform(), Group.CONTROL, progress)
    return _rolled(world, "none", Uniform(), Group.CONTROL, progress, checked=False)


def live_best(world: World, *, look_ahead: bool = True, progress: Progress | None = None) -> Life:
    """Let the action of the highest true expected reward be taken, within the guardrails.

    Args:
        world: bound to a revision without holdout and floor.
        look_ahead: whether the oracle learns first what price of a contact pays, in a `Market`.
        progress: called with the number of decisions made so far.
    """
    if isinstance(world, Market):
        price = best_of(priced(world)) if look_ahead else 0.0
        return life_of(world, "oracle", Oracle(world, price), None, progress)
    return _rolled(world, "oracle", Oracle(world), None, progress, checked=False)


def _rolled(
    world: World,
    name: str,
    policy: Policy,
    group: Group | None,
    progress: Progress | None,
    *,
    checked: bool,
) -> Life:
    """Live one decision at a time."""
    run = rollout(world, policy, group=group, progress=progress)
    rows = np.arange(len(run.decisions))
    allowed = np.stack([decision.mask.allowed for decision in run.decisions])  # (N, A)
    return _life(
        world, name, (run.rounds, run.customers), run.actions,
        taken=run.expected[rows, run.actions],
        best=np.where(allowed, run.expected, -np.inf).max(axis=1),
        none=run.expected[:, 0],
        uniform=run.expected.mean(axis=1, where=allowed),
        breaches=_breaches(run) if checked else UNCHECKED,
    )  # fmt: skip


def life_of(
    market: Market,
    name: str,
    policy: Policy,
    group: Group | None = None,
    progress: Progress | None = None,
) -> Life:
    """Let any policy live through a market as arrays; what a day teaches is learned at night.

    Args:
        market: bound to the revision that decides.
        name: of the life.
        policy: built for that revision.
        group: puts every customer in this group; None assigns by hash.
        progress: called with the number of decisions made so far.
    """
    made = play(
        market, policy, group=group, learn=not isinstance(policy, Oracle), progress=progress
    ).decided
    return _life(
        market, name, (made.round_index, made.customer), made.action,
        taken=made.taken, best=made.best, none=made.none, uniform=made.uniform,
        breaches=UNCHECKED,
    )  # fmt: skip


def _life(
    world: World,
    name: str,
    places: tuple[NDArray[np.integer], NDArray[np.integer]],
    actions: NDArray[np.integer],
    *,
    taken: Floats,
    best: Floats,
    none: Floats,
    uniform: Floats,
    breaches: int,
) -> Life:
    """Lay N decisions out by round and customer, and look at the base."""

    def laid(values: Floats) -> Floats:
        grid = np.zeros((world.rounds, world.customers))
        grid[places] = values
        return grid

    asked = min(world.start + timedelta(days=DAY), world.end)
    before, after = reach(world, world.start), reach(world, asked)
    return Life(
        name=name,
        days=np.arange(world.rounds, dtype=np.float64) * (world.every / timedelta(days=1)),
        value=laid(taken),
        best=laid(best),
        idle=laid(none),
        uniform=laid(uniform),
        contacts=laid((actions != 0).astype(np.float64)),
        withdrawn=(before.open & ~after.open).sum(axis=1).astype(np.float64),
        reachable=after.reachable.astype(np.float64),
        breaches=breaches,
    )


def _breaches(run: Rollout) -> int:
    with documents(run.revision) as folder:
        found = check_log(run.log(_KEY), folder)
    return len({breach.decision_id for breach in found})
