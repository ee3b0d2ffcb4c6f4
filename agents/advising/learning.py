"""Advice on what a learner begins with and learns for."""

from __future__ import annotations

from collections.abc import Iterator

from agents.advising.documents import Advice, Place
from agents.load import LoadedWorkspace


def untaught(loaded: LoadedWorkspace, name: str) -> Iterator[Advice]:
    """Yield a warm start from a learner of another kind, and outcomes that are worth nothing.

    Args:
        loaded: the workspace.
        name: of the agent.
    """
    agent, source = loaded.revisions[name].agent, loaded.sources[name]
    warm, learner = agent.policy.warm_start, agent.policy.learner
    other = None if warm is None else loaded.revisions[warm.agent].agent.policy.learner
    if warm is not None and other != learner:
        yield Advice(
            Place(source, ("policy", "warm_start", "agent")),
            f"the learner of {warm.agent} is {other}, so {learner} begins untaught",
            Place(loaded.sources[warm.agent], ("policy",)),
        )
    if all(outcome.value == 0 for outcome in agent.outcomes.values()):
        words = "no outcome is worth anything, so there is nothing to learn for"
        yield Advice(Place(source, ("outcomes",)), words)
