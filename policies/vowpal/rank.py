"""`vw_rank`: what Azure Personalizer learned with, over actions that come with each request.

It is a contextual bandit of Vowpal Wabbit whose rewards are a regression on all pairs of features
(`--cb_type mtr -q ::`). It answers the action it expects most of; exploring is left to the agent's
floor, as everywhere.

Two of Personalizer's defaults were given up. Its constant step of 0.001 for all weights alike
(`--power_t 0 -l 0.001`) learns too slowly for a few thousand decisions: steps adapt to each weight
here. With `--clip_p 1` lessons are weighted evenly and not by 1 / propensity. Of what can be gained
it gains 41.0 +- 2.3 percent over 5,000 decisions among 15 actions where those defaults gain
19.5 +- 3.9 (`python -m experiments.studies.loops`).

VW answers probabilities only, so expected rewards are NaN.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np

from agents.context import Context
from agents.errors import SnapshotError, StateError
from agents.mask import Mask
from agents.revision import Revision
from agents.supplied import Supplied
from policies.base import Distribution, Label, Lesson, check_labels
from policies.settings import Setting, read_settings
from policies.state import pack, unpack
from policies.vowpal.engine import Target
from policies.vowpal.ranker import ARGUMENTS, Ranker
from policies.vowpal.saved import trusted_model

_LOSS = 1e6  # most, as VW computes in 32 bits
_WEIGHT = 1e3  # most that one lesson counts


class VowpalRank:
    """Ranks the actions of a request by their features; learns the reward of each decision once.

    Settings: `learning_rate` (0.2), how far one lesson moves a weight; another one goes on with
    what was learned.

    Args:
        ranker: has learned so far.
        outcomes: names of the agent's.
    """

    name: ClassVar[str] = "vw_rank"

    def __init__(self, ranker: Ranker, outcomes: Sequence[str]) -> None:
        self._ranker, self._outcomes = ranker, outcomes

    @classmethod
    def create(cls, revision: Revision) -> Self:
        """Build an untaught learner.

        Raises:
            UnknownNameError: a setting that it does not have.
            ValueError: a setting outside its range.
        """
        return cls._of(revision, None)

    @classmethod
    def _of(cls, revision: Revision, model: bytes | None) -> Self:
        declared = {"learning_rate": Setting(0.2, 0.0001, 10.0)}
        settings = read_settings(cls.name, declared, revision.agent.policy.settings)
        return cls(Ranker(settings["learning_rate"], model), tuple(revision.agent.outcomes))

    @classmethod
    def from_bytes(cls, state: bytes, revision: Revision) -> Self:
        """Rebuild; VW finds features again by the hash of their names.

        Raises:
            SnapshotError: the bytes are not this learner's state, or were learned under other
                arguments.
        """
        facts, arrays = unpack(cls.name, state)
        try:
            return cls._of(revision, trusted_model(cls.name, facts, arrays, ARGUMENTS))
        except (LookupError, TypeError, AttributeError, RuntimeError) as error:
            raise SnapshotError(f"the state of {cls.name} lacks a part: {error!r}") from error

    @property
    def arguments(self) -> str:
        """What VW is given."""
        return " ".join(self._ranker.arguments)

    def distribution(self, context: Context, mask: Mask) -> Distribution:
        """Return 1 for the allowed action that VW expects most of, shared where several tie.

        `none` is chosen where nothing else is allowed.

        Raises:
            StateError: the context has no supplied actions, or VW cannot answer for them.
        """
        size = len(mask.reasons)
        probabilities, unknown = np.zeros(size), np.empty(size)  # (A,)
        unknown.fill(np.nan)
        supplied, shown = _supplied(context, mask), _shown(mask)
        if not shown:
            probabilities[0] = 1.0
            return Distribution(probabilities, unknown)
        answer = self._ranker.probabilities(
            supplied.content, size - 1, shown, supplied.texts
        )  # (E,)
        if len(answer) == size - 1:
            probabilities[1:] = answer
        else:
            probabilities[1:][shown] = answer
        return Distribution(probabilities, unknown)

    def update(self, lessons: Sequence[Lesson]) -> None:
        """Learn from lessons, in order; all are checked before the first is learned.

        A label without a value, or of a decision for `none`, teaches nothing.

        Raises:
            UnknownNameError: a label of an outcome that the agent does not declare.
            ValueError: a value or weight that is not finite, a propensity outside (0, 1], an
                action that was barred, or supplied actions that are missing or cannot be read:
                of a lesson that is for ever so, not of the machine.
        """
        try:
            for lesson in lessons:
                self._check(lesson)
            for lesson in lessons:
                for label in lesson.labels:
                    self._learn(lesson, label)
        except StateError as error:
            raise ValueError(f"a lesson that cannot be learned: {error}") from error

    def _check(self, lesson: Lesson) -> None:
        check_labels(lesson, self._outcomes)
        _supplied(lesson.context, lesson.mask)
        for label in lesson.labels:
            if label.value is not None and not math.isfinite(label.value):
                raise ValueError(
                    f"a lesson about {label.outcome!r}: expected a finite value, got {label.value}"
                )
        if not 0.0 < lesson.propensity <= 1.0:
            raise ValueError(f"expected a propensity in (0, 1], got {lesson.propensity!r}")
        if lesson.action not in lesson.mask.indices:
            raise ValueError(f"expected an allowed action, got the barred one at {lesson.action}")

    def _learn(self, lesson: Lesson, label: Label) -> None:
        weight = min(label.weight, _WEIGHT)
        if label.value is None or weight <= 0.0 or lesson.action == 0:
            return
        supplied = _supplied(lesson.context, lesson.mask)
        loss = min(max(-label.value, -_LOSS), _LOSS)
        self._ranker.learn(
            supplied.content, len(supplied.ids), _shown(lesson.mask), lesson.action - 1,
            Target(loss, lesson.propensity, weight),
        )  # fmt: skip

    def to_bytes(self) -> bytes:
        """Return the model, its SHA-256 and arguments."""
        model = self._ranker.model()
        facts = {"arguments": ARGUMENTS, "sha256": hashlib.sha256(model).hexdigest()}
        return pack(self.name, facts, {"model": np.frombuffer(model, dtype=np.uint8)})


def _supplied(context: Context, mask: Mask) -> Supplied:
    """Return the actions of a context, for a mask of which there is one more, `none`."""
    supplied = context.supplied
    if supplied is None or len(supplied.ids) + 1 != len(mask.reasons):
        got = "none" if supplied is None else str(len(supplied.ids))
        raise StateError(
            f"expected {len(mask.reasons) - 1} actions supplied with the request, got {got}"
        )
    return supplied


def _shown(mask: Mask) -> list[int]:
    """Return the positions of the allowed actions among those supplied."""
    return [position for position, reason in enumerate(mask.reasons[1:]) if reason is None]
