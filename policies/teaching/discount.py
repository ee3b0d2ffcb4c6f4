"""Learners that can let what they have learned count less, as a warm start may ask for."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from agents.revision import Revision
from policies.base import Policy


@runtime_checkable
class Discounting(Protocol):
    """A learner that can let what it has learned count less."""

    def discount(self, share: float) -> None:
        """Keep this share of the evidence, in (0, 1]: a power prior."""


def check_share(revision: Revision, learner: Policy) -> None:
    """Refuse a share of another agent's evidence that a learner cannot take.

    Raises:
        ValueError: it can take all of it only.
    """
    warm = revision.agent.policy.warm_start
    if warm is not None and warm.share < 1.0 and not isinstance(learner, Discounting):
        raise ValueError(
            f"policy.warm_start.share: expected 1, since {learner.name} cannot let evidence count"
            f" for less; got {warm.share:g}"
        )
