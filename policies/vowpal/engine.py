"""The one module that runs the library: a workspace, and the check of every answer.

What is done about what was measured on vowpal-wabbit-next 0.7.0:

- answers come sorted by probability, in 32 bits: they are put in order, checked, renormalised;
- a prediction advances the clock `t` inside the model by the weight of the customer's row: that row
  has weight 0, so answers leave the learner alone, and no copy is needed to ask;
- saving, loading and saving again resets what else predictions have counted, so that the same
  lessons give the same bytes;
- after an exception examples are left half undone, and freed they go back to a pool from which all
  workspaces of the process take theirs: they are kept for ever, and never used again;
- with `--large_action_space` an answer can change when asked again: each comes from a workspace of
  its own, which costs a load of the model (some milliseconds);
- deltas lose what explorers count, and are not to be had with `--coin`: the whole model is saved;
- `weights()` overruns its memory: it is never called;
- the interpreter's lock is held throughout, so threads do not help: use more processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
import vowpal_wabbit_next as vw
from numpy.typing import NDArray

from agents.errors import StateError
from policies.floor import mix_floor
from policies.vowpal.explorers import EXPLORERS, arguments

_FLOAT32 = 1e-4  # by how much 32-bit probabilities may miss
UNCOUNTED = vw.CBLabel(shared=True, weight=0.0)
SPOILED: list[vw.Example] = []

Answer = Sequence[tuple[int, float]]


class Target(NamedTuple):
    """What is learned of the action that was drawn.

    Args:
        loss: what it cost, to be minimised.
        propensity: of the draw, in (0, 1].
        weight: how many such examples it counts as, above 0.
    """

    loss: float
    propensity: float
    weight: float


def read_prediction(prediction: Answer, count: int, floor: float) -> NDArray[np.float64]:
    """Put VW's answer into the order of the actions it was shown, in float64.

    Args:
        prediction: (position, probability), in any order.
        count: E, number of actions shown.
        floor: least share that all actions have together under uniform exploration.

    Returns:
        (E,) sums to 1.

    Raises:
        StateError: not one probability for each action, their sum is not 1, or one is under
            floor / E; the model is damaged.

    Example:
        >>> read_prediction([(1, 0.75), (0, 0.25)], 2, 0.1).tolist()
        [0.25, 0.75]
    """
    again = "; load another snapshot, or rebuild it from the ledger"
    told = sorted(prediction)
    if [position for position, _ in told] != list(range(count)):
        raise StateError(f"expected one probability for each of {count} actions from VW{again}")
    values = [probability for _, probability in told]
    probabilities = np.array(values)  # (E,)
    total = float(probabilities.sum())
    if not abs(total - 1.0) <= _FLOAT32:
        raise StateError(f"expected VW's probabilities to sum to 1, got {total:g}{again}")
    least = min(values)
    if least < floor / count * (1.0 - _FLOAT32):
        raise StateError(f"expected at least {floor / count:g} from VW, got {least:g}{again}")
    probabilities /= total
    return probabilities


class Engine:
    """One learner of VW over a fixed list of actions.

    Args:
        explorer: a name in `EXPLORERS`.
        epsilon: share that is spread over all actions shown, in (0, 1].
        lines: the actions in VW's text format, without labels.
        model: what `model()` returned, None for an untaught one.

    Raises:
        UnknownNameError: an explorer that is not offered, and why.
        RuntimeError: VW does not accept the model.

    Example:
        >>> engine = Engine("epsilon", 0.1, ["|o plus |i plus", "|o |i none"])
        >>> for _ in range(3):
        ...     engine.learn("shared |s age:1", [0, 1], 0, Target(-1.0, 0.5, 1.0))
        >>> engine.probabilities("shared |s age:1", [0, 1]).round(6).tolist()
        [0.95, 0.05]
    """

    def __init__(
        self, explorer: str, epsilon: float, lines: Sequence[str], model: bytes | None = None
    ) -> None:
        options = arguments(explorer)
        self._explorer, self._epsilon, self._lines = explorer, epsilon, lines
        self._rules = EXPLORERS[explorer]
        self._floor = epsilon if self._rules.inside else 0.0
        self._args = [*options, "--epsilon", repr(epsilon)] if self._rules.inside else [*options]
        self._saved: bytes | None = None
        self._workspace = vw.Workspace(self._args, model_data=model)
        self._parser = vw.TextFormatParser(self._workspace)
        self._parsed: dict[int, vw.Example] = {}

    def _example(self, index: int) -> vw.Example:
        """Return an action as parsed before: it never carries a label."""
        if index not in self._parsed:
            self._parsed[index] = self._parser.parse_line(self._lines[index])
        return self._parsed[index]

    def _run(self, shared: vw.Example, actions: list[vw.Example], *, learn: bool) -> Answer:
        try:
            if learn:
                self._workspace.learn_one([shared, *actions])
                return ()
            # `--cb_explore_adf` answers (position, probability).
            return cast("Answer", self._workspace.predict_one([shared, *actions]))
        except Exception:
            SPOILED.extend((shared, *actions))
            self._parsed.clear()
            raise

    def predict(self, shared: str, indices: Sequence[int]) -> Answer:
        """Return VW's own answer, (position among the indices, probability).

        Args:
            shared: the customer's line.
            indices: (E,) positions of the actions to show, each once.
        """
        most = self._rules.most
        if most is not None and len(indices) > most:
            other = Engine(self._explorer, self._epsilon, self._lines, self.model())
            return other._ask(shared, indices)
        return self._ask(shared, indices)

    def _ask(self, shared: str, indices: Sequence[int]) -> Answer:
        customer = self._parser.parse_line(shared)
        customer.set_label(UNCOUNTED)
        return self._run(customer, [self._example(index) for index in indices], learn=False)

    def probabilities(self, shared: str, indices: Sequence[int]) -> NDArray[np.float64]:
        """Return the probability of each action shown, each at least epsilon / E; (E,).

        Raises:
            StateError: VW's answer is no distribution with the floor it was told to keep.
        """
        count = len(indices)
        answer = read_prediction(self.predict(shared, indices), count, self._floor)  # (E,)
        if self._rules.inside:
            return answer
        return mix_floor(answer, np.ones(count, dtype=np.bool_), self._epsilon)

    def learn(self, shared: str, indices: Sequence[int], index: int, target: Target) -> None:
        """Learn what came of one action among those that were allowed.

        Args:
            shared: the customer's line.
            indices: (E,) positions of the actions that were shown.
            index: of the action that was drawn, one of the indices.
            target: what is learned of it.
        """
        drawn = self._parser.parse_line(self._lines[index])
        label = (0, target.loss, target.propensity)
        drawn.set_label(vw.CBLabel(label=label, weight=target.weight))
        actions = [drawn if other == index else self._example(other) for other in indices]
        self._saved = None
        self._run(self._parser.parse_line(shared), actions, learn=True)

    def model(self) -> bytes:
        """Return the whole model, the same bytes after the same lessons."""
        if self._saved is None:
            again = vw.Workspace(self._args, model_data=self._workspace.serialize())
            self._saved = again.serialize()
        return self._saved
