"""Vowpal Wabbit over actions that come with each request: it reads what they are as JSON.

The library's traps are those of `policies.vowpal.engine`, and are met in the same ways: the shared
row of a question weighs nothing, examples of a failure are never used again, answers are put in
order and checked, and the whole model is saved.

A model that was loaded and has learned nothing since, as those that decide, is asked beside VW, by
`policies.vowpal.scorer`, with the same answers to the bit in half the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import vowpal_wabbit_next as vw
from numpy.typing import NDArray

from agents.errors import StateError
from policies.vowpal.content import dsjson, tamed
from policies.vowpal.engine import SPOILED, UNCOUNTED, Answer, Target, read_prediction
from policies.vowpal.scorer import scorer_of
from policies.vowpal.shelf import Shelf

# `-q ::` lets every group of features meet every other: what the caller calls its groups is not
# known. With `--clip_p 1` the propensity stays out of the regression: a lesson from an action that
# is seldom drawn would count up to E / floor times, and shake what is known of all others.
ARGUMENTS = ("--cb_explore_adf", "--cb_type", "mtr", "--clip_p", "1", "--epsilon", "0",
             "-q", "::", "-b", "18", "--quiet")  # fmt: skip


class _Question(tuple[vw.Example, ...]):
    """The examples of one prediction, all read by the parser of the workspace that is asked.

    The library asks each example of a list for the kind of its label, a quarter of what a
    prediction costs; of anything else it asks the whole.
    """

    __slots__ = ()
    label_type = vw.LabelType.CB


class Ranker:
    """One learner of VW over any actions.

    Args:
        learning_rate: how far one lesson moves a weight.
        model: what `model()` returned, None for an untaught one.

    Attributes:
        arguments: what VW is given.

    Raises:
        RuntimeError: VW does not accept the model.

    Example:
        >>> ranker = Ranker(0.5)
        >>> content = b'{"FromUrl":[],"_multi":[{"_tag":"a","i":{"id":"a"}},{"i":{"id":"b"}}]}'
        >>> ranker.learn(content, 2, [0, 1], 1, Target(-1.0, 0.5, 1.0))
        >>> ranker.probabilities(content, 2, [0, 1]).tolist()
        [0.0, 1.0]
    """

    def __init__(self, learning_rate: float, model: bytes | None = None) -> None:
        self.arguments = [*ARGUMENTS, "--learning_rate", repr(learning_rate)]
        self._workspace = vw.Workspace(self.arguments, model_data=model)
        self._parser = vw.DSJsonFormatParser(self._workspace)
        self._shelf = Shelf(self._parser)
        self._scorer = scorer_of(model, self.arguments, self._parser)
        self._saved: bytes | None = None

    def _examples(self, content: bytes, count: int, shown: Sequence[int]) -> list[vw.Example]:
        """Read the shared row and the actions to show; the shared row comes first."""
        try:
            read = self._parser.parse_json(dsjson(content, count))
        except RuntimeError:  # a list of what VW has no name for; it leaves nothing half undone
            read = self._tamed(content)
        if len(read) != count + 1:
            raise StateError(f"expected features of {count} actions, got those of {len(read) - 1}")
        return [read[0], *(read[1 + position] for position in shown)]

    def _tamed(self, content: bytes) -> list[vw.Example]:
        try:
            return self._parser.parse_json(tamed(content))
        except RuntimeError as error:
            raise StateError("VW cannot read the features of supplied actions") from error

    def _run(self, examples: list[vw.Example], *, learn: bool) -> Answer:
        try:
            if learn:
                self._workspace.learn_one(examples)
                return ()
            # `--cb_explore_adf` answers (position, probability).
            question = cast("list[vw.Example]", _Question(examples))
            return cast("Answer", self._workspace.predict_one(question))
        except Exception as error:
            SPOILED.extend(examples)
            raise StateError("VW cannot use the features of supplied actions") from error

    def probabilities(
        self, content: bytes, count: int, shown: Sequence[int], texts: Sequence[bytes] = ()
    ) -> NDArray[np.float64]:
        """Return the probability of each action shown; those that VW thinks best share 1; (E,).

        Args:
            content: of the supplied actions.
            count: how many it has features of.
            shown: (E,) positions among them, each once.
            texts: (A,) of the actions, as `agents.supplied.Supplied` may have them.

        Raises:
            StateError: the content is not that of so many actions, or VW's answer is no
                distribution.
        """
        if self._scorer is not None:
            answered = self._scorer.probabilities(content, count, shown, texts)
            if answered is not None:
                return answered
        examples = self._shelf.take(content, count, shown) or self._examples(content, count, shown)
        examples[0].set_label(UNCOUNTED)
        try:
            answer = self._run(examples, learn=False)
        except StateError:
            self._shelf.clear()
            raise
        return read_prediction(answer, len(shown), 0.0)

    def learn(
        self, content: bytes, count: int, shown: Sequence[int], drawn: int, target: Target
    ) -> None:
        """Learn what came of one action among those that were allowed.

        Args:
            content: of the supplied actions.
            count: how many it has features of.
            shown: (E,) positions of those that were allowed.
            drawn: the position of the one that was drawn, one of them.
            target: what is learned of it.

        Raises:
            StateError: as of `probabilities`.
        """
        examples = self._examples(content, count, shown)
        label = (0, target.loss, target.propensity)
        examples[1 + shown.index(drawn)].set_label(vw.CBLabel(label=label, weight=target.weight))
        self._saved = self._scorer = None
        self._run(examples, learn=True)

    def model(self) -> bytes:
        """Return the whole model, the same bytes after the same lessons."""
        if self._saved is None:
            again = vw.Workspace(self.arguments, model_data=self._workspace.serialize())
            self._saved = again.serialize()
        return self._saved
