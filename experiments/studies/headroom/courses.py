"""Courses: in which order, and when, a learner is taught what it hears late."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from agents.decisions import Decision
from agents.groups import Group
from agents.revision import Revision
from experiments.studies.headroom.delay import DelayWorld
from experiments.studies.headroom.runner import FLOOR
from policies.base import Label, Lesson
from policies.decide import choose
from policies.registry import create_policy
from policies.teaching.logged import Logged, windows_of
from policies.teaching.teacher import Teacher


class Course(Protocol):
    """What is taught before each decision."""

    def before(self, t: int, decision: Decision | None) -> Iterator[Lesson]:
        """Take in decision t - 1, None before the first, and yield what is due before t."""


Plan = Callable[[DelayWorld, int, bool], tuple[tuple[int, bool], ...]]
"""From decision t and whether its outcome will come: (before which decision, happened) to teach."""


def no_delay(world: DelayWorld, t: int, happens: bool) -> tuple[tuple[int, bool], ...]:
    """Teach the truth at once, which nobody can: the oracle of this world."""
    del world
    return ((t + 1, happens),)


def at_once(world: DelayWorld, t: int, happens: bool) -> tuple[tuple[int, bool], ...]:
    """Teach a negative at once, and a positive later."""
    later = (int(world.heard[t]), True)
    return ((t + 1, False), later) if happens else ((t + 1, False),)


def wait(world: DelayWorld, t: int, happens: bool) -> tuple[tuple[int, bool], ...]:
    """Teach the truth when the window ends, or the outcome comes."""
    return ((int(world.heard[t]) if happens else t + world.window, happens),)


class Planned:
    """Teaches what a plan says.

    Args:
        world: what happens, and when it is heard.
        revision: in whose terms lessons are.
        plan: when to teach what.
    """

    def __init__(self, world: DelayWorld, revision: Revision, plan: Plan) -> None:
        self._world, self._plan = world, plan
        (self._outcome,) = revision.agent.outcomes
        self._due: defaultdict[int, list[Lesson]] = defaultdict(list)

    def before(self, t: int, decision: Decision | None) -> Iterator[Lesson]:
        """Plan what the last decision teaches, and yield what is due."""
        if decision is not None:
            self._enrol(t - 1, decision)
        yield from self._due.pop(t, ())

    def _enrol(self, t: int, decision: Decision) -> None:
        happens = bool(self._world.task.happened[t, decision.action, 0])
        made = Lesson(decision.context, decision.mask, decision.action, decision.propensity)
        for number, (due, happened) in enumerate(self._plan(self._world, t, happens)):
            lesson = made.then(Label(self._outcome, happened=happened))
            self._due[due].append(replace(lesson, first=number == 0))


class Dripped:
    """Teaches as production does: by `policies.teaching`, which learns the delay curve as well."""

    def __init__(self, world: DelayWorld, revision: Revision) -> None:
        self._world, self._windows = world, windows_of(revision)
        (self._outcome,) = self._windows
        self._log: list[Logged] = []
        self._heard: defaultdict[int, list[int]] = defaultdict(list)
        self._teacher = Teacher(revision, lambda position: self._log[position])

    def before(self, t: int, decision: Decision | None) -> Iterator[Lesson]:
        """Yield what falls due, what the last decision teaches, and what is heard."""
        if decision is not None:
            logged = Logged(t - 1, decision, self._windows)
            self._log.append(logged)
            yield from self._teacher.decided(logged)
            if self._world.task.happened[t - 1, decision.action, 0]:
                self._heard[int(self._world.heard[t - 1])].append(t - 1)
        now = self._world.task.context(t).at
        yield from self._teacher.until(now)
        for position in self._heard.pop(t, ()):
            yield from self._teacher.happened(self._log[position], self._outcome, now, t)


COURSES: dict[str, Callable[[DelayWorld, Revision], Course]] = {
    "no delay (oracle)": lambda world, revision: Planned(world, revision, no_delay),
    "drip (as served)": Dripped,
    "negative at once": lambda world, revision: Planned(world, revision, at_once),
    "wait for the window": lambda world, revision: Planned(world, revision, wait),
}


def run_course(world: DelayWorld, course: str, learner: str) -> NDArray[np.float64]:
    """Run a learner through a delay world under one of `COURSES`.

    Returns:
        (N, A) the distributions that actions were drawn from.
    """
    task = world.task
    revision = task.revision(learner, floor=FLOOR)
    policy, lessons = create_policy(revision), COURSES[course](world, revision)
    answers = np.zeros((len(task), len(revision.actions)))  # (N, A)
    decision: Decision | None = None
    for t in range(len(task)):
        policy.update(list(lessons.before(t, decision)))
        decision = choose(
            revision, policy, task.context(t), task.mask(t), Group.TREATMENT,
            decision_id=f"d{t}", secret=task.name.encode(), snapshot="",
        )  # fmt: skip
        answers[t] = decision.distribution
    return answers
