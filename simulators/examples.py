"""The example that simulations run on when nothing else is said."""

from __future__ import annotations

from functools import cache

from agents.catalog import example_folder
from agents.load import load_workspace
from agents.revision import Revision


@cache
def example_revision(example: str = "telecom", agent: str = "retention") -> Revision:
    """Return an agent of a packaged workspace; such as `World.made_for` names.

    Args:
        example: name of the workspace.
        agent: one of its agents.

    Example:
        >>> example_revision().agent.agent
        'retention'
    """
    with example_folder(example) as folder:
        return load_workspace(folder).revisions[agent]
