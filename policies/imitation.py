"""Imitation: what the learner of a loop is taught while it is an apprentice.

It is to come to choose what the incumbent shows, so that it can take over without a loss. What the
incumbent would show is known of every request, whatever came of it, so nothing depends on chance:
two lessons are told, with propensity 1. Of what the incumbent would show, that it was worth 1; of
the other allowed action that the learner now thinks best of, that it was worth 0. The first alone
would not tell actions apart: all that they have in common would come to be worth 1. Of all other
actions it could be told 0 too; the one that comes closest to being chosen is the one that matters,
and one costs a fiftieth of fifty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from agents.mask import Mask
from policies.base import Lesson, Policy

_OTHERWISE = "apprentice: what the incumbent shows"


def imitate(learner: Policy, incumbent: Policy, lesson: Lesson) -> None:
    """Teach a learner one decision: what its incumbent would show, and what it would not.

    Args:
        learner: is taught, if there is a choice and the lesson is about what came of it.
        incumbent: decides.
        lesson: of a decision among supplied actions; what it says the action was worth is no
            matter.
    """
    allowed = lesson.mask.indices.tolist()
    if len(allowed) < 2 or not lesson.labels:
        return
    shown = int(incumbent.distribution(lesson.context, lesson.mask).probabilities.argmax())
    reasons: list[str | None] = list(lesson.mask.reasons)
    reasons[shown] = _OTHERWISE
    answer = learner.distribution(lesson.context, Mask(tuple(reasons)))
    others = [position for position in allowed if position != shown]
    rival = others[int(np.argmax(answer.probabilities[others]))]
    learner.update(_told(lesson, ((shown, 1.0), (rival, 0.0))))


def _told(lesson: Lesson, worths: Sequence[tuple[int, float]]) -> list[Lesson]:
    """Return the lesson once for each action and what it is said to be worth."""
    return [
        replace(
            lesson,
            action=action,
            propensity=1.0,
            labels=tuple(label._replace(value=worth) for label in lesson.labels),
        )
        for action, worth in worths
    ]
