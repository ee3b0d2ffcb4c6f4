"""Whom the company may still talk to: consent that is given, and customers who have not gone."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.spec import Channel, Workspace
from agents.tabular.columns import microseconds
from simulators.market.market import Market
from simulators.world import World

Flags = NDArray[np.bool_]


class Reach(NamedTuple):
    """Which channels are open to each of C customers at an instant.

    Args:
        open: (C, H) whether the customer lets the company use a channel of the agent.
        there: (C,) who has not gone.
    """

    open: Flags
    there: Flags

    @property
    def reachable(self) -> Flags:
        """Who can be reached by any channel; (C,)."""
        return np.asarray(self.open.any(axis=1) & self.there)


def reach(world: World, at: datetime) -> Reach:
    """Look up consent and opt-out of every customer.

    Args:
        world: as it stands.
        at: an instant that has been lived through (UTC).

    Example:
        >>> from simulators.examples import example_revision
        >>> from simulators.worlds import create_world
        >>> world = create_world("telecom", example_revision(), customers=200)
        >>> found = reach(world, world.start)
        >>> found.open.shape, bool(found.reachable.mean() > 0.8)
        ((200, 3), True)
    """
    workspace = world.revision.workspace
    used = {action.channel for action in world.revision.actions if not action.is_none}
    channels = [workspace.channels[name] for name in sorted(used & workspace.channels.keys())]
    truths = _truths(world, at, _fields(workspace, channels))
    everybody = np.ones(world.customers, dtype=np.bool_)
    opted_out = truths[workspace.opt_out] if workspace.opt_out else ~everybody
    columns = [_open(channel, truths, everybody) & ~opted_out for channel in channels]
    there = everybody
    if isinstance(world, Market):
        there = world.standing.left > microseconds(at)
    return Reach(np.stack(columns, axis=1), there)


def _fields(workspace: Workspace, channels: list[Channel]) -> set[str]:
    named = {workspace.opt_out, *(c.consent for c in channels), *(c.opt_out for c in channels)}
    return {name for name in named if name is not None}


def _open(channel: Channel, truths: dict[str, Flags], everybody: Flags) -> Flags:
    given = truths[channel.consent] if channel.consent else everybody
    return given & ~truths[channel.opt_out] if channel.opt_out else given


def _truths(world: World, at: datetime, names: set[str]) -> dict[str, Flags]:
    """Return which boolean fields are known to be true; (C,) each."""
    if isinstance(world, Market):
        columns = world.columns(np.arange(world.customers), at)
        return {name: columns[name].data.astype(np.bool_) & columns[name].known for name in names}
    rows = [world.features(customer, at) for customer in range(world.customers)]
    return {name: np.array([row.get(name) is True for row in rows]) for name in names}
