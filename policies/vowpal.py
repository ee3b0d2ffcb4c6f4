"""Vowpal Wabbit as a learner, behind a guard against what it accepts in silence.

Measured on vowpal-wabbit-next 0.7.0 (VW 9.9.0): one lesson with propensity 0 turns all weights into
NaN, a model cut short loads, predictions come sorted by probability, and some explorers answer
vectors that do not sum to 1. So: only two explorers are offered, only allowed actions are shown,
lessons are checked before they are learned, every answer is checked before it is used, and a model
is loaded only if its SHA-256 and its arguments are those that were written.

The reward is learned, in units of the largest outcome value or action cost when the model was
begun; values changed later count from then on only. An outcome is learned as it arrives: first an
example with the action's cost, later one with the outcome's value (mean over both, so a rate p
settles at p / (1 + p)). VW answers probabilities only, so expected rewards are NaN.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np

from agents.context import Context
from agents.errors import SnapshotError, UnknownNameError, did_you_mean
from agents.mask import Mask
from agents.revision import Revision
from policies.base import Distribution, Lesson
from policies.encode import Encoder
from policies.settings import Setting, read_settings
from policies.state import pack, unpack
from policies.vowpal_engine import Engine, arguments, read_prediction
from policies.vowpal_text import action_line, escape, label, shared_line


class _Vowpal:
    """What both learners share; `explorer` and `default` are all they differ in."""

    name: ClassVar[str]
    explorer: ClassVar[str]
    default: ClassVar[float]

    def __init__(
        self, revision: Revision, encoder: Encoder, scale: float, model: bytes | None
    ) -> None:
        declared = {"epsilon": Setting(self.default, 0.001, 1.0)}
        settings = read_settings(self.name, declared, revision.agent.policy.settings)
        self._epsilon = settings["epsilon"]
        self._args = (*arguments(self.explorer), "--epsilon", repr(self._epsilon))
        self._encoder = encoder
        self._scale = scale
        self._columns = [escape(name) for name in encoder.names]
        self._lines = [action_line(action) for action in revision.actions]
        self._costs = [action.cost for action in revision.actions]
        self._values = {name: o.worth for name, o in revision.agent.outcomes.items()}
        self._learner = Engine(self._args, model)
        # Predicting changes counters inside a workspace. So answers come from a copy of the
        # learner, made when it is first needed after a lesson, and the learner's bytes depend on
        # lessons alone.
        self._copy: tuple[bytes, Engine] | None = None

    @classmethod
    def create(cls, revision: Revision) -> Self:
        """Build an untaught learner.

        Raises:
            UnknownNameError: a setting that it does not have.
            ValueError: a setting outside its range.
        """
        values = [abs(outcome.worth) for outcome in revision.agent.outcomes.values()]
        costs = [action.cost for action in revision.actions]
        return cls(revision, Encoder(revision), max(*values, *costs) or 1.0, None)

    @classmethod
    def from_bytes(cls, state: bytes, revision: Revision) -> Self:
        """Rebuild; VW finds offers, channels and columns again by the hash of their names.

        Raises:
            SnapshotError: the bytes are not this learner's state, or were learned under other
                arguments.
        """
        facts, arrays = unpack(cls.name, state)
        try:
            model = arrays["model"].tobytes()
            if hashlib.sha256(model).hexdigest() != facts["sha256"]:
                raise SnapshotError(f"the model of {cls.name} does not have the SHA-256 it claims")
            if tuple(facts["arguments"]) != arguments(cls.explorer):
                raise SnapshotError(
                    f"expected a model of {' '.join(arguments(cls.explorer))},"
                    f" got one of {' '.join(facts['arguments'])}"
                )
            encoder = Encoder.restored(revision, facts["numbers"], arrays["moments"])
            return cls(revision, encoder, float(facts["scale"]), model)
        except (LookupError, TypeError, AttributeError, RuntimeError) as error:
            raise SnapshotError(f"the state of {cls.name} lacks a part: {error!r}") from error

    def _frozen(self) -> tuple[bytes, Engine]:
        """Return the learner's canonical bytes and a copy that may predict.

        Loading resets the counters of losses; saving once more makes them the same in every
        history that taught the same lessons.
        """
        if self._copy is None:
            model = Engine(self._args, self._learner.model()).model()
            self._copy = model, Engine(self._args, model)
        return self._copy

    def _examples(self, context: Context, mask: Mask) -> list[str]:
        shared = shared_line(self._columns, self._encoder.encode(context))
        return [shared, *(self._lines[index] for index in mask.indices.tolist())]

    def distribution(self, context: Context, mask: Mask) -> Distribution:
        """Return VW's probabilities over the allowed actions, which are all it is shown.

        Raises:
            StateError: VW's answer is no distribution with the floor it was told to keep.
        """
        prediction = self._frozen()[1].predict(self._examples(context, mask))
        probabilities = np.zeros(len(self._lines))  # (A,)
        probabilities[mask.indices] = read_prediction(prediction, len(mask.indices), self._epsilon)
        return Distribution(probabilities, np.full(len(self._lines), np.nan))

    def update(self, lessons: Sequence[Lesson]) -> None:
        """Learn from lessons, in order; all are checked before the first is learned.

        Raises:
            UnknownNameError: a lesson about an outcome that the agent does not declare.
            ValueError: a propensity outside (0, 1], or an action that was barred.
        """
        for lesson in lessons:
            self._check(lesson)
        for lesson in lessons:
            self._learn(lesson)

    def _check(self, lesson: Lesson) -> None:
        if lesson.outcome is not None and lesson.outcome not in self._values:
            raise UnknownNameError(
                f"a lesson about {lesson.outcome!r}; {did_you_mean(lesson.outcome, self._values)}"
            )
        if not 0.0 < lesson.propensity <= 1.0:
            raise ValueError(f"expected a propensity in (0, 1], got {lesson.propensity!r}")
        if lesson.action not in lesson.mask.indices:
            raise ValueError(f"expected an allowed action, got the barred one at {lesson.action}")
        if not math.isfinite(self._cost(lesson)):
            raise ValueError(f"expected a finite cost, got {self._cost(lesson)!r}")

    def _cost(self, lesson: Lesson) -> float:
        """What VW is to minimise: the reward's negative, in units of `scale`."""
        if lesson.outcome is None:
            return self._costs[lesson.action] / self._scale
        return -self._values[lesson.outcome] / self._scale

    def _learn(self, lesson: Lesson) -> None:
        if lesson.outcome is None:
            self._encoder.observe(lesson.context)
        lines = self._examples(lesson.context, lesson.mask)
        row = 1 + int(np.searchsorted(lesson.mask.indices, lesson.action))
        lines[row] = label(lines[row], self._cost(lesson), lesson.propensity)
        self._copy = None
        self._learner.learn(lines)

    def to_bytes(self) -> bytes:
        """Return the model, its SHA-256 and arguments, and the encoder's state."""
        model = self._frozen()[0]
        facts = {
            "arguments": arguments(self.explorer),
            "numbers": self._encoder.numbers,
            "scale": self._scale,
            "sha256": hashlib.sha256(model).hexdigest(),
        }
        weights = np.frombuffer(model, dtype=np.uint8)
        moments = self._encoder.moments()
        return pack(self.name, facts, {"model": weights, "moments": moments})


class VowpalEpsilon(_Vowpal):
    """The action VW thinks best, with `epsilon` (0.05) spread over all allowed."""

    name: ClassVar[str] = "vw_epsilon"
    explorer: ClassVar[str] = "epsilon"
    default: ClassVar[float] = 0.05


class VowpalSquareCB(_Vowpal):
    """Probabilities that fall with the gap to the best action, and an `epsilon` (0.02) floor.

    Source: Foster and Rakhlin, ICML 2020.
    """

    name: ClassVar[str] = "vw_squarecb"
    explorer: ClassVar[str] = "squarecb"
    default: ClassVar[float] = 0.02
