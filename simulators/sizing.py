"""How large a world is to be, in the words of the command line: days, or rounds."""

from __future__ import annotations

import math
from datetime import timedelta

from agents.units import parse_duration
from simulators.market.market import Market
from simulators.world import WEEK, WorldOptions
from simulators.worlds import world_class


def world_size(
    world: str,
    *,
    customers: int,
    seed: int,
    rounds: int | None = None,
    days: int | None = None,
    every: str | None = None,
) -> WorldOptions:
    """Return the options of a world.

    Args:
        world: its name or file, by which its usual pace and length are found.
        customers: how many.
        seed: fixes the customers and their luck.
        rounds: decisions per customer; as long as the world usually lasts if neither it nor `days`
            is given.
        days: how long it lasts, in place of `rounds`; every round that begins within counts.
        every: time between two decisions about a customer, such as `7d`; the world's own if None.

    Raises:
        UnknownNameError: there is no such world.
        ValueError: both `rounds` and `days`, or `every` is no time.

    Example:
        >>> world_size("telecom", customers=10, seed=1, days=90)["rounds"]
        13
        >>> world_size("telecom", customers=10, seed=1, days=90, every="1d")["rounds"]
        90
    """
    if rounds is not None and days is not None:
        raise ValueError(f"expected rounds or days, got both, {rounds} and {days}")
    usual = world_class(world)
    pace = usual.spec.every if issubclass(usual, Market) else WEEK
    if every is not None:
        pace = parse_duration(every)
    if days is not None:
        rounds = math.ceil(timedelta(days=days) / pace)
    found: WorldOptions = {"customers": customers, "seed": seed, "every": pace}
    return found if rounds is None else {**found, "rounds": rounds}
