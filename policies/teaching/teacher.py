"""The teacher: turns what the log says, in its order, into lessons for an agent's learner."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from policies.base import Label, Lesson
from policies.teaching.drip import Drip
from policies.teaching.logged import Logged, lesson_of


@dataclass(slots=True)
class Teacher(Drip[Logged, Lesson]):
    """Teaches one agent's learner in lessons; a decision is recalled each time it is spoken of."""

    keeps: ClassVar[bool] = False  # it is large

    def lesson(self, logged: Logged, labels: tuple[Label, ...], *, first: bool) -> Lesson | None:
        """Return a lesson in the terms of the revision."""
        lesson = lesson_of(logged.decision, self.revision)
        return None if lesson is None else replace(lesson, labels=labels, first=first)
