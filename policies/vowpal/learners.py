"""Vowpal Wabbit as a learner, behind a guard against what it accepts in silence.

Measured on vowpal-wabbit-next 0.7.0 (VW 9.9.0): one lesson with propensity 0 ruins a model for
ever, a model cut short loads, predictions come sorted by probability, and some explorers answer
vectors that do not sum to 1. So: only four explorers are offered, only allowed actions are shown,
lessons are checked before they are learned, every answer is checked before it is used, and a model
is loaded only if its SHA-256 and its arguments are those that were written.

VW answers probabilities only, so expected rewards are NaN.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np

from agents.context import Context
from agents.errors import SnapshotError
from agents.mask import Mask
from agents.revision import Revision
from policies.base import Distribution, Lesson
from policies.features.encode import Encoder
from policies.settings import Setting, read_settings
from policies.state import pack, unpack
from policies.vowpal.engine import Engine
from policies.vowpal.explorers import arguments
from policies.vowpal.rewards import Rewards
from policies.vowpal.saved import trusted_model
from policies.vowpal.text import action_line, escape, shared_line


class _Vowpal:
    """What all learners share; `explorer` and `default` are all they differ in.

    Settings: `epsilon`, the share spread over all allowed actions, and `words` (0), whether a
    variant is also known by the words of its text. A new variant inherits from its offer, channel
    and window in any case; where the words do not matter, they cost a few points of what can be
    gained over uniform choice, so they are off unless asked for.
    """

    name: ClassVar[str]
    explorer: ClassVar[str]
    default: ClassVar[float]

    def __init__(
        self, revision: Revision, encoder: Encoder, scale: float, model: bytes | None
    ) -> None:
        declared = {
            "epsilon": Setting(self.default, 0.001, 1.0),
            "words": Setting(0.0, 0.0, 1.0, whole=True),
        }
        settings = read_settings(self.name, declared, revision.agent.policy.settings)
        self._encoder = encoder
        self._columns = [escape(name) for name in encoder.names]
        values = {name: outcome.worth for name, outcome in revision.agent.outcomes.items()}
        self._rewards = Rewards(values, [action.cost for action in revision.actions], scale)
        self._count = len(revision.actions)
        words = settings["words"] == 1.0
        lines = [action_line(action, words=words) for action in revision.actions]
        self._engine = Engine(self.explorer, settings["epsilon"], lines, model)

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
            model = trusted_model(cls.name, facts, arrays, arguments(cls.explorer))
            encoder = Encoder.restored(revision, facts["numbers"], arrays["moments"])
            return cls(revision, encoder, float(facts["scale"]), model)
        except (LookupError, TypeError, AttributeError, RuntimeError) as error:
            raise SnapshotError(f"the state of {cls.name} lacks a part: {error!r}") from error

    def _shared(self, context: Context) -> str:
        return shared_line(self._columns, self._encoder.encode(context))

    def distribution(self, context: Context, mask: Mask) -> Distribution:
        """Return VW's probabilities over the allowed actions, which are all it is shown.

        Raises:
            StateError: VW's answer is no distribution with the floor it was told to keep.
        """
        shown = mask.indices.tolist()
        probabilities = np.zeros(self._count)  # (A,)
        probabilities[shown] = self._engine.probabilities(self._shared(context), shown)
        return Distribution(probabilities, np.full(self._count, np.nan))

    def update(self, lessons: Sequence[Lesson]) -> None:
        """Learn from lessons, in order; all are checked before the first is learned.

        Raises:
            UnknownNameError: a label of an outcome that the agent does not declare.
            ValueError: a weight that is not finite or beyond 1000, a propensity outside (0, 1], or
                an action that was barred.
        """
        for lesson in lessons:
            self._rewards.check(lesson)
        for lesson in lessons:
            self._learn(lesson)

    def _learn(self, lesson: Lesson) -> None:
        if lesson.first:
            self._encoder.observe(lesson.context)
        shared, shown = self._shared(lesson.context), lesson.mask.indices.tolist()
        for target in self._rewards.targets(lesson):
            # One example that weighs more than all before makes `--coin` forget them.
            times = math.ceil(target.weight - 1e-9)  # but for rounding
            for _ in range(times):
                part = target._replace(weight=target.weight / times)
                self._engine.learn(shared, shown, lesson.action, part)

    def to_bytes(self) -> bytes:
        """Return the model, its SHA-256 and arguments, and the encoder's state."""
        model = self._engine.model()
        facts = {
            "arguments": arguments(self.explorer),
            "numbers": self._encoder.numbers,
            "scale": self._rewards.scale,
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


class VowpalSoftmax(_Vowpal):
    """Probabilities in proportion to exp(100 times the predicted reward), and an `epsilon` floor.

    The floor (0.05) is VW's own: without it the worst actions have probabilities of almost 0.
    """

    name: ClassVar[str] = "vw_softmax"
    explorer: ClassVar[str] = "softmax"
    default: ClassVar[float] = 0.05


class VowpalLarge(_Vowpal):
    """SquareCB over 20 actions that span all others, for hundreds of actions or more.

    VW gives the actions it has not picked probability 0; an `epsilon` (0.05) floor over all allowed
    actions is mixed in. Each answer over more than 20 actions loads the model anew, since the
    library's answer would depend on the question before.

    Source: Zhu, Foster, Langford and Mineiro, ICML 2022.
    """

    name: ClassVar[str] = "vw_large"
    explorer: ClassVar[str] = "large"
    default: ClassVar[float] = 0.05
