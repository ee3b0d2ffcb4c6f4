"""The one module that knows the library: explorers, workspaces, and the check of every answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import vowpal_wabbit_next as vw
from numpy.typing import NDArray

from agents.errors import StateError, UnknownNameError, did_you_mean

# Explorers whose probabilities are proper and floored; others were measured not to be.
EXPLORERS: dict[str, tuple[str, ...]] = {
    "epsilon": (),
    "squarecb": ("--squarecb", "--gamma_scale", "1000"),
}
_BASE = ("--cb_explore_adf", "--cb_type", "mtr", "--coin", "--clip_p", "1",
         "-q", "so", "-q", "sc", "-q", "sh", "-b", "18", "--quiet")  # fmt: skip
_FLOAT32 = 1e-4  # by how much 32-bit probabilities may miss


def arguments(explorer: str) -> tuple[str, ...]:
    """Return VW's arguments for an explorer, without its epsilon.

    Raises:
        UnknownNameError: an explorer that is not known to keep probabilities exact.

    Example:
        >>> arguments("squarecb")[-3:]
        ('--squarecb', '--gamma_scale', '1000')
    """
    if explorer not in EXPLORERS:
        raise UnknownNameError(
            f"the explorer {explorer!r} is not offered: its probabilities cannot be relied on;"
            f" {did_you_mean(explorer, EXPLORERS)}"
        )
    return (*_BASE, *EXPLORERS[explorer])


def read_prediction(
    prediction: Sequence[tuple[int, float]], count: int, floor: float
) -> NDArray[np.float64]:
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
    if sorted(position for position, _ in prediction) != list(range(count)):
        raise StateError(f"expected one probability for each of {count} actions from VW{again}")
    probabilities = np.empty(count)  # (E,)
    for position, probability in prediction:
        probabilities[position] = probability
    total = float(probabilities.sum())
    if not abs(total - 1.0) <= _FLOAT32:
        raise StateError(f"expected VW's probabilities to sum to 1, got {total:g}{again}")
    least = float(probabilities.min())
    if least < floor / count * (1.0 - _FLOAT32):
        raise StateError(f"expected at least {floor / count:g} from VW, got {least:g}{again}")
    return np.asarray(probabilities / total, dtype=np.float64)


class Engine:
    """One VW workspace and its parser. No example is kept, so none can be poisoned."""

    def __init__(self, args: Sequence[str], model: bytes | None) -> None:
        self._workspace = vw.Workspace(list(args), model_data=model)
        self._parser = vw.TextFormatParser(self._workspace)

    def _parse(self, lines: Sequence[str]) -> list[vw.Example]:
        return [self._parser.parse_line(line) for line in lines]

    def predict(self, lines: Sequence[str]) -> list[tuple[int, float]]:
        """Return (position among the action lines, probability), by falling probability."""
        answer = self._workspace.predict_one(self._parse(lines))
        return cast("list[tuple[int, float]]", answer)  # what `--cb_explore_adf` answers

    def learn(self, lines: Sequence[str]) -> None:
        """Learn from a decision of which one action line carries a label."""
        self._workspace.learn_one(self._parse(lines))

    def model(self) -> bytes:
        """Return the whole model; deltas would lose the explorer's counters."""
        return self._workspace.serialize()
