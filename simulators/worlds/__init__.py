"""Worlds: one simulated market a file.

A new world is one module here and one line in `WORLDS`.
"""

from __future__ import annotations

from typing import Unpack

from agents.errors import ContextError, UnknownNameError, did_you_mean
from agents.memory import Memory
from agents.revision import Revision
from simulators.world import World, WorldOptions
from simulators.worlds.anything import Generic
from simulators.worlds.retention import Retention

__all__ = ["WORLDS", "create_world", "default_world"]

_TRIED = 50  # customers; a field that does not fit shows in nearly all of them
_INSTEAD = "the world 'generic' fits any workspace"

WORLDS: dict[str, type[World]] = {world.name: world for world in (Retention, Generic)}


def default_world(revision: Revision) -> str:
    """Name the world to take for an agent if none is named.

    It is the first of `WORLDS` that suits it: one that knows its trade, else `generic`.

    Args:
        revision: the agent that is to act.

    Example:
        >>> from simulators.examples import example_revision
        >>> default_world(example_revision())
        'retention'
    """
    return next(name for name, world in WORLDS.items() if world.suits(revision))


def create_world(name: str, revision: Revision, **options: Unpack[WorldOptions]) -> World:
    """Build a world by name, bound to a revision of an agent.

    Args:
        name: a name of `WORLDS`.
        revision: the agent that acts in it.
        options: see `WorldOptions`.

    Raises:
        UnknownNameError: there is no such world.
        ValueError: an option outside its range, or a world that does not fit the workspace.
    """
    if name not in WORLDS:
        raise UnknownNameError(f"there is no world {name!r}; {did_you_mean(name, WORLDS)}")
    world = WORLDS[name](revision, **options)
    _require_fit(world)
    return world


def _require_fit(world: World) -> None:
    """Refuse a market in which nothing could be earned, or whose customers have other fields."""
    agent, known = world.revision.agent, ", ".join(world.outcomes)
    if world.reports.keys().isdisjoint(world.outcomes):
        raise ValueError(
            f"the world {world.name!r} does not fit agent {agent.agent!r}: expected one of its"
            f" outcomes {known}, got {', '.join(world.reports)}; {_INSTEAD}"
        )
    for customer in range(min(world.customers, _TRIED)):
        try:
            world.context(customer, world.start, Memory())
        except ContextError as error:
            raise ValueError(
                f"the world {world.name!r} does not fit the workspace: {error}; {_INSTEAD}"
            ) from error
