"""Where actions must be known beforehand: agents that have them from each request are refused."""

from __future__ import annotations

from agents.errors import ContextError
from agents.revision import Revision


def require_declared(revision: Revision, what: str) -> None:
    """Refuse an agent whose actions come with each request.

    Args:
        revision: of the agent.
        what: what is without actions, as in "a table of customers".

    Raises:
        ContextError: the agent declares no offers; with the way to ask it.
    """
    agent = revision.agent
    if agent.supplied is not None:
        raise ContextError(
            f"agent {agent.agent!r} has its actions from each request, and {what} has none;"
            f" ask POST /loops/{agent.agent}/personalizer/v1.0/rank"
        )
