"""Where an episode takes place: which market, which agent, and when customers are met."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from agents.revision import Revision
from simulators.market.chance import Ints
from simulators.market.market import Market
from simulators.observations import learnable
from simulators.world import WEEK, World
from simulators.worlds import WORLDS, create_world

_ROUNDS = 6  # of a world that says nothing of it
_HOURS = 24
_TRIED = 50  # customers of whom it is seen whether the world fits


@dataclass(frozen=True, slots=True)
class Setting:
    """A market and the agent that acts in it.

    Args:
        world: its name.
        revision: of the agent.
        rounds: decisions about each customer.
        every: time between two of them.
        hour: of the day (UTC) at which everybody is met, on the first day of each round; None:
            each customer at a time of their own.
    """

    world: str
    revision: Revision
    rounds: int
    every: timedelta
    hour: int | None

    def create(self, customers: int, seed: int) -> World:
        """Draw the customers of an episode."""
        return WORLDS[self.world](
            self.revision, customers=customers, rounds=self.rounds, seed=seed, every=self.every
        )

    def meeting(self, world: World, customer: int, round_index: int) -> datetime:
        """Return when a customer is met in a round (UTC)."""
        if self.hour is None:
            return world.opportunity(customer, round_index)
        return world.start + round_index * world.every + timedelta(hours=self.hour)

    def groups(self, market: Market) -> list[Ints]:
        """Return who is met together, in every round, in the order of time; (n,) customers each."""
        if self.hour is not None:
            return [np.arange(market.customers)]
        return [rows for _, rows in market.meetings(0)]


def setting(
    world: str,
    revision: Revision | None = None,
    *,
    rounds: int | None = None,
    every: timedelta | None = None,
    hour: int | None = None,
) -> Setting:
    """Return a setting; what is not given is as the world has it.

    Args:
        world: a name of `WORLDS`.
        revision: None takes the agent that the world was made for.
        rounds: as of `Setting`.
        every: likewise.
        hour: likewise.

    Raises:
        UnknownNameError: there is no such world.
        ValueError: an hour that no day has, a world that does not fit the agent, or a workspace
            that hides every field, so that there is nothing to observe.

    Example:
        >>> found = setting("telecom", hour=9)
        >>> found.revision.agent.agent, found.rounds, found.every.days
        ('retention', 13, 7)
    """
    if hour is not None and not 0 <= hour < _HOURS:
        raise ValueError(f"hour: expected 0 to {_HOURS - 1}, or None, got {hour}")
    kind = WORLDS.get(world)
    usual = (_ROUNDS, WEEK)
    if kind is not None and issubclass(kind, Market):
        usual = kind.spec.rounds, kind.spec.every
    revision = revision or (World if kind is None else kind).usual_revision()
    learnable(revision)
    create_world(world, revision, customers=_TRIED, rounds=1)
    return Setting(
        world, revision, usual[0] if rounds is None else rounds,
        usual[1] if every is None else every, hour,
    )  # fmt: skip
