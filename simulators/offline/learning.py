"""How a policy learns while whole populations are decided on: at set instants, as arrays."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from agents.revision import Revision
from agents.tabular.batch import Batch
from policies.base import Label, Lesson, Policy
from policies.features.encode_table import unscaled
from policies.table import Drawn
from policies.teaching.columnwise import TableTeacher
from policies.teaching.labels import Labels, TableLearner
from policies.teaching.logged import windows_of
from simulators.offline.mail import Letters
from simulators.offline.worth import Worth


class Learning:
    """Teaches a policy what decisions and outcomes say, when `learn` is called and never earlier.

    A policy that is no `TableLearner` is given the same lessons one by one, which takes longer.

    Args:
        revision: whose outcomes are learned.
        policy: built for it; taught in place.
        words: that outcomes are heard by.
        late: how long after an outcome's window it may be heard at most.
    """

    def __init__(
        self, revision: Revision, policy: Policy, words: tuple[str, ...], late: timedelta
    ) -> None:
        self._policy, windows = policy, windows_of(revision)
        self._names = tuple(windows)
        columns = len(policy.encoder.names) if isinstance(policy, TableLearner) else 0
        self._teacher = TableTeacher(windows, columns, late)
        self._lessons: dict[int, Lesson] = {}  # the first ones of a policy that learns one by one
        self._worth = Worth(revision.agent, words)

    def decided(self, rows: Batch, drawn: Drawn, treated: NDArray[np.intp]) -> int:
        """Take in a batch; return the number of the first decision that teaches.

        Args:
            rows: N customers.
            drawn: their decisions.
            treated: (T,) rows that teach.
        """
        actions = drawn.actions[treated].astype(np.int64)
        if isinstance(self._policy, TableLearner):
            x = unscaled(self._policy.encoder, rows)[treated]  # (T, D)
            return self._teacher.decided(rows.at, x, actions)
        first = self._teacher.decided(rows.at, np.empty((treated.size, 0)), actions)
        chances = drawn.propensity
        for number, row in enumerate(treated.tolist(), start=first):
            mask = drawn.reasons.mask(drawn.codes[row])
            action, chance = int(drawn.actions[row]), float(chances[row])
            self._lessons[number] = Lesson(rows.context(row), mask, action, chance)
        return first

    def heard(self, letters: Letters, position: int) -> None:
        """Take in what was heard, in its order.

        Args:
            letters: H of them; those that do not teach are left out.
            position: how many decisions there have been.
        """
        mine = letters.take(np.flatnonzero(letters.taught >= 0))
        row, pair = np.nonzero(self._worth.which(mine))
        outcomes = np.array([each.outcome for each in self._worth.counting], dtype=np.int64)
        self._teacher.heard(
            mine.taught[row], outcomes[pair], mine.at[row], mine.reached[row], position
        )

    def learn(self, at: datetime) -> None:
        """Learn all that was said until an instant (UTC), included."""
        self._teacher.until(at)
        decisions, labels = self._teacher.take()
        if isinstance(self._policy, TableLearner):
            self._policy.learn_table(decisions, labels)
            self._teacher.forget(at)
            return
        if lessons := self._one_by_one(labels, self._teacher.oldest):
            self._policy.update(lessons)
        oldest = self._teacher.forget(at)
        for number in [n for n in self._lessons if n < oldest]:
            del self._lessons[number]

    def _one_by_one(self, labels: Labels, oldest: int) -> list[Lesson]:
        rows = zip(
            labels.lesson.tolist(), labels.decision.tolist(), labels.outcome.tolist(),
            labels.happened.tolist(), labels.weight.tolist(), labels.first.tolist(), strict=True,
        )  # fmt: skip
        lessons = []
        for _, same in groupby(rows, key=itemgetter(0)):
            told = list(same)
            said = [Label(self._names[o], y, weight) for _, _, o, y, weight, _ in told if o >= 0]
            made = self._lessons[oldest + told[0][1]].then(*said)
            lessons.append(Lesson(
                made.context, made.mask, made.action, made.propensity, made.labels, told[0][5]
            ))  # fmt: skip
        return lessons
