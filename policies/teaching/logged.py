"""A decision as the log has it, and as a lesson in the terms of a revision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from agents.decisions import Decision
from agents.mask import Mask
from agents.revision import Revision
from policies.base import Lesson


@dataclass(frozen=True, slots=True)
class Logged:
    """A decision as the log has it.

    Args:
        position: its place in the log; by it the decision can be recalled.
        decision: what was decided.
        windows: the window of each outcome of the revision that decided.
        weight: how often it counts, for a log of which only a part was kept: one in ten, 10.
    """

    position: int
    decision: Decision
    windows: Mapping[str, timedelta]
    weight: float = 1.0

    @property
    def at(self) -> datetime:
        """Its instant (UTC)."""
        return self.decision.at

    @property
    def teaches(self) -> bool:
        """Whether the learner learns from it."""
        return self.decision.group.teaches


def windows_of(revision: Revision) -> dict[str, timedelta]:
    """Return the window of each outcome."""
    return {name: outcome.window for name, outcome in revision.agent.outcomes.items()}


def lesson_of(decision: Decision, revision: Revision) -> Lesson | None:
    """Return the first lesson of a decision, without labels, in the positions of a revision.

    Actions that are gone are left out; if the drawn action is gone there is nothing to learn.
    """
    context, mask, action = decision.context, decision.mask, decision.action
    if decision.actions != revision.action_ids:
        if decision.action_id not in revision.action_ids:
            return None
        reasons = dict(zip(decision.actions, mask.reasons, strict=True))
        mask = Mask(tuple(reasons.get(name, "not offered then") for name in revision.action_ids))
        action = revision.index(decision.action_id)
    schema = revision.workspace.customer
    if not context.features.keys() <= schema.keys():
        known = {name: value for name, value in context.features.items() if name in schema}
        context = replace(context, features=known)
    return Lesson(context, mask, action, decision.propensity, first=True)
