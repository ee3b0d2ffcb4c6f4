"""The example that simulations run on when nothing else is said."""

from __future__ import annotations

from functools import cache

from agents.catalog import example_folder
from agents.load import load_workspace
from agents.revision import Revision


@cache
def example_revision() -> Revision:
    """Return the agent `retention` of the packaged telecom workspace.

    Example:
        >>> example_revision().agent.agent
        'retention'
    """
    with example_folder("telecom") as folder:
        return load_workspace(folder).revisions["retention"]
