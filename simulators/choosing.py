"""Which agent a command speaks of: by name from a workspace folder, or the one of a world."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from agents.errors import UnknownNameError, did_you_mean
from agents.load import load_workspace
from agents.revision import Revision
from simulators.worlds import world_class

WORKSPACE = Path("workspace")
"""The folder that is meant if none is named."""


def choose_agents(workspace: Path | None, world: str | None = None) -> Mapping[str, Revision]:
    """Return the agents that are meant, by name.

    Args:
        workspace: folder; None means `workspace`, or, where there is none, what the world was
            made for.
        world: a world's name or file, None if not said.

    Raises:
        UnknownNameError: there is no such world.
        DocumentError: there is no such workspace, or it is wrong.
    """
    if workspace is None and not WORKSPACE.is_dir() and world is not None:
        revision = world_class(world).usual_revision()
        return {revision.agent.agent: revision}
    return load_workspace(workspace or WORKSPACE).revisions


def named(revisions: Mapping[str, Revision], name: str | None) -> Revision:
    """Return the agent of a name, or the only one there is.

    Raises:
        UnknownNameError: there is no such agent, or there are several and none is named.
    """
    if name is None and len(revisions) > 1:
        raise UnknownNameError(f"expected --agent, one of: {', '.join(sorted(revisions))}")
    name = next(iter(revisions)) if name is None else name
    if name not in revisions:
        raise UnknownNameError(f"there is no agent {name!r}; {did_you_mean(name, revisions)}")
    return revisions[name]
