"""Worlds: one simulated market a file.

A new world is one module here and one line in `WORLDS`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

from agents.errors import ContextError, UnknownNameError, did_you_mean
from agents.memory import Memory
from agents.revision import Revision
from simulators.world import World, WorldOptions
from simulators.worlds.airline import Airline
from simulators.worlds.anything import Generic
from simulators.worlds.bank import Bank
from simulators.worlds.confounded import Confounded
from simulators.worlds.from_file import is_file_name, world_from_file
from simulators.worlds.health_insurer import HealthInsurer
from simulators.worlds.heavy_drift import HeavyDrift
from simulators.worlds.many_actions import ManyActions
from simulators.worlds.merchant_payments import MerchantPayments
from simulators.worlds.misspecified import Misspecified
from simulators.worlds.replenishment import Replenishment
from simulators.worlds.retailer import Retailer
from simulators.worlds.retention import Retention
from simulators.worlds.streaming import Streaming
from simulators.worlds.telecom import Telecom
from simulators.worlds.tiny_data import TinyData
from simulators.worlds.zero_uplift import ZeroUplift

__all__ = ["WORLDS", "create_world", "default_world", "world_class"]

_TRIED = 50  # customers; a field that does not fit shows in nearly all of them
_INSTEAD = "the world 'generic' fits any workspace"

WORLDS: dict[str, type[World]] = {
    "retention": Retention,
    "telecom": Telecom,
    "streaming": Streaming,
    "retailer": Retailer,
    "health_insurer": HealthInsurer,
    "bank": Bank,
    "merchant_payments": MerchantPayments,
    "airline": Airline,
    "replenishment": Replenishment,
    "generic": Generic,
    "zero_uplift": ZeroUplift,
    "misspecified": Misspecified,
    "heavy_drift": HeavyDrift,
    "confounded": Confounded,
    "tiny_data": TinyData,
    "many_actions": ManyActions,
}
"""Trades, the one that fits any agent, and those that were made to be failed in; read later."""


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


def world_class(name: str) -> type[World]:
    """Return the class of a world by a name of `WORLDS`, or by the path of its YAML.

    Raises:
        UnknownNameError: there is no such world.
        StateError, DocumentError: the file cannot be read, or is no world's document.
    """
    if is_file_name(name):
        return world_from_file(Path(name))
    if name not in WORLDS:
        raise UnknownNameError(f"there is no world {name!r}; {did_you_mean(name, WORLDS)}")
    return WORLDS[name]


def create_world(name: str, revision: Revision, **options: Unpack[WorldOptions]) -> World:
    """Build a world by name, bound to a revision of an agent.

    Args:
        name: a name of `WORLDS`, or the path of a world's YAML.
        revision: the agent that acts in it.
        options: see `WorldOptions`.

    Raises:
        UnknownNameError: there is no such world.
        StateError, DocumentError: the file cannot be read, or is no world's document.
        ValueError: an option outside its range, or a world that does not fit the workspace.
    """
    world = world_class(name)(revision, **options)
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
