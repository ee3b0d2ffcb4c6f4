"""The two sides: `vw_rank` as a server runs it, and Vowpal Wabbit as Personalizer ran it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol, cast

import numpy as np
import vowpal_wabbit_next as vw
from numpy.typing import NDArray

from agents.catalog import example_folder
from agents.context import Context
from agents.load import load_workspace
from agents.mask import Mask
from agents.supplied import Supplied
from policies.base import Label, Lesson
from policies.floor import mix_floor
from policies.vowpal.content import dsjson
from policies.vowpal.engine import Answer, read_prediction
from policies.vowpal.rank import VowpalRank

EPSILON = 0.2
"""Personalizer's exploration percentage, as published; both sides explore as much."""

PERSONALIZER = ("--cb_explore_adf", "--epsilon", str(EPSILON), "--power_t", "0", "-l", "0.001",
                "--cb_type", "mtr", "-q", "::")  # fmt: skip
"""Vowpal Wabbit's arguments in Personalizer's learning loop, as published."""

_AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Learner(Protocol):
    """Answers a request, and learns what came of one answer."""

    def probabilities(self, supplied: Supplied) -> NDArray[np.float64]:
        """Return the probability of each action, exploration included; (K,)."""

    def learn(self, supplied: Supplied, drawn: int, propensity: float, reward: float) -> None:
        """Learn the reward of the action that was drawn, once."""


class Original:
    """Vowpal Wabbit over the same content, with other arguments.

    Args:
        arguments: of VW, that explore with at least `EPSILON`.
    """

    def __init__(self, arguments: tuple[str, ...] = PERSONALIZER) -> None:
        self._workspace = vw.Workspace([*arguments, "--quiet"])
        self._parser = vw.DSJsonFormatParser(self._workspace)

    def _examples(self, supplied: Supplied) -> list[vw.Example]:
        return self._parser.parse_json(dsjson(supplied.content, len(supplied.ids)))

    def probabilities(self, supplied: Supplied) -> NDArray[np.float64]:
        """Return VW's own answer; (K,)."""
        answer = self._workspace.predict_one(self._examples(supplied))
        return read_prediction(cast("Answer", answer), len(supplied.ids), EPSILON)

    def learn(self, supplied: Supplied, drawn: int, propensity: float, reward: float) -> None:
        """Teach VW the reward as a negative cost."""
        examples = self._examples(supplied)
        examples[1 + drawn].set_label(vw.CBLabel(label=(0, -reward, propensity)))
        self._workspace.learn_one(examples)


class Ours:
    """`vw_rank` of the example's loop, with the floor that a server mixes in."""

    def __init__(self) -> None:
        with example_folder("personalizer") as folder:
            (revision,) = load_workspace(folder).revisions.values()
        self._policy = VowpalRank.create(revision)
        (self._outcome,) = revision.agent.outcomes

    def _asked(self, supplied: Supplied) -> tuple[Context, Mask]:
        open_to_all = (None,) * len(supplied.ids)
        context = Context(customer="anyone", at=_AT, features={}, supplied=supplied)
        return context, Mask(("always_act: one is shown", *open_to_all))

    def probabilities(self, supplied: Supplied) -> NDArray[np.float64]:
        """Return the policy's distribution with the floor; (K,)."""
        context, mask = self._asked(supplied)
        answer = self._policy.distribution(context, mask)
        return mix_floor(answer.probabilities, mask.allowed, EPSILON)[1:]

    def learn(self, supplied: Supplied, drawn: int, propensity: float, reward: float) -> None:
        """Teach one lesson with the value of the outcome."""
        label = Label(self._outcome, happened=True, value=reward)
        context, mask = self._asked(supplied)
        self._policy.update([Lesson(context, mask, 1 + drawn, propensity, (label,), first=True)])
