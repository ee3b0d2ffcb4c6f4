"""Worlds: one simulated market a file.

A new world is one module here and one line in `WORLDS`.
"""

from __future__ import annotations

from typing import Unpack

from agents.errors import UnknownNameError, did_you_mean
from agents.revision import Revision
from simulators.world import World, WorldOptions
from simulators.worlds.retention import Retention

__all__ = ["WORLDS", "create_world"]

WORLDS: dict[str, type[World]] = {world.name: world for world in (Retention,)}


def create_world(name: str, revision: Revision, **options: Unpack[WorldOptions]) -> World:
    """Build a world by name, bound to a revision of an agent.

    Args:
        name: a name of `WORLDS`.
        revision: the agent that acts in it.
        options: see `WorldOptions`.

    Raises:
        UnknownNameError: there is no such world.
        ValueError: an option outside its range.
    """
    if name not in WORLDS:
        raise UnknownNameError(f"there is no world {name!r}; {did_you_mean(name, WORLDS)}")
    return WORLDS[name](revision, **options)
