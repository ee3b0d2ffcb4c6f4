"""Runs of one learner through one task, whose answers are kept whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from agents.revision import Revision
from experiments.studies.headroom.peers import Peer
from experiments.studies.headroom.task import Task
from policies.base import Label, Lesson
from policies.decide import draw
from policies.floor import mix_floor
from policies.registry import create_policy

FLOOR = 0.02
"""Mixed into the answers of our own learners; Vowpal Wabbit keeps one itself."""


def blocks(task: Task, decisions: int) -> Iterator[tuple[slice, slice]]:
    """Yield the decisions that are made next, and those that are learned before them."""
    size, lag = (task.batch, 2) if task.batch else (1, 1)
    for start in range(0, decisions, size):
        first = max(start - lag * size, 0)
        learned = max(start - (lag - 1) * size, 0)
        yield slice(start, min(start + size, decisions)), slice(first, learned)


def lesson(task: Task, revision: Revision, t: int, action: int, propensity: float) -> Lesson:
    """Return all that decision t teaches once its outcomes are known."""
    happened = task.happened[t, action].tolist()  # (O,)
    labels = (Label(*pair) for pair in zip(revision.agent.outcomes, happened, strict=True))
    return Lesson(task.context(t), task.mask(t), action, propensity, tuple(labels), first=True)


def run_policy(
    task: Task,
    learner: str,
    settings: Mapping[str, float] | None = None,
    *,
    floor: float = FLOOR,
    decisions: int | None = None,
) -> NDArray[np.float64]:
    """Run a learner of the registry, just as a server would ask and teach it.

    Returns:
        (n, A) the distributions that actions were drawn from.
    """
    revision = task.revision(learner, settings, floor)
    policy = create_policy(revision)
    n = decisions or len(task)
    answers = np.zeros((n, len(revision.actions)))  # (n, A)
    lessons: list[Lesson] = []
    for ahead, behind in blocks(task, n):
        policy.update(lessons[behind])
        for t in range(ahead.start, ahead.stop):
            mask = task.mask(t)
            answer = policy.distribution(task.context(t), mask)
            answers[t] = mix_floor(answer.probabilities, mask.allowed, floor)
            action = draw(answers[t], float(task.draws[t]))
            lessons.append(lesson(task, revision, t, action, float(answers[t, action])))
    return answers


def run_peer(task: Task, peer: Peer, decisions: int | None = None) -> NDArray[np.float64]:
    """Run a peer on the same decisions; its answers are certain.

    Returns:
        (n, A) 1 for the action taken.
    """
    n = decisions or len(task)
    x = np.hstack([np.ones((n, 1)), task.x[:n]])  # (n, 1+D)
    rewards = task.happened[:n] @ task.values - task.costs  # (n, A)
    rewards = rewards / np.abs(task.values).max()
    actions = np.zeros(n, dtype=np.intp)
    for ahead, behind in blocks(task, n):
        if behind.stop > behind.start:
            taken = actions[behind]
            peer.learn(x[behind], taken, rewards[np.arange(behind.start, behind.stop), taken])
        scores = np.where(task.allowed[ahead], peer.scores(x[ahead]), -np.inf)
        actions[ahead] = scores.argmax(axis=1)
    return np.eye(task.allowed.shape[1])[actions]
