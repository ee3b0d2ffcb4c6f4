"""Labels as they are made, many at once or one by one, kept in their order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from policies.teaching.labels import Flags, Floats, Ints, Labels

Row = tuple[int, int, bool, float, bool, int]

_KINDS = (np.int64, np.int64, np.bool_, np.float64, np.bool_, np.int64)


class Written:
    """Labels that wait to be learned.

    Example:
        >>> written = Written()
        >>> written.tell(5, [(0, True, 1.0)])
        >>> labels = written.take(oldest=3)
        >>> labels.decision.tolist(), labels.happened.tolist()
        ([2], [True])
    """

    def __init__(self) -> None:
        self._parts: list[Labels] = []
        self._few: list[Row] = []  # that come after all parts
        self._lessons = 0

    def add(self, base: int, rows: Ints, outcomes: Ints, weights: Floats, first: Flags) -> None:
        """Write that outcomes have not happened, one lesson for each row.

        Args:
            base: number of the decision of row 0.
            rows: (M,) ascending.
            outcomes: (M,) positions, -1 for none.
            weights: (M,).
            first: (M,) whether a decision's first lesson begins here.
        """
        if not rows.size:
            return
        self._gather()
        never = np.zeros(rows.size, dtype=np.bool_)
        lessons = self._lessons + rows
        self._parts.append(Labels(base + rows, outcomes, never, weights, first, lessons))
        self._lessons += int(rows[-1]) + 1

    def tell(self, decision: int, labels: Sequence[tuple[int, bool, float]]) -> None:
        """Write one later lesson of a decision: outcome, whether it happened, and weight."""
        for outcome, happened, weight in labels:
            self._few.append((decision, outcome, happened, weight, False, self._lessons))
        self._lessons += 1

    def _gather(self) -> None:
        if self._few:
            columns = zip(*self._few, strict=True)
            self._parts.append(
                Labels(*(np.array(c, dtype=k) for c, k in zip(columns, _KINDS, strict=True)))
            )
            self._few = []

    def take(self, oldest: int) -> Labels:
        """Return all labels in order, and forget them.

        Args:
            oldest: number of the decision that is now at position 0.
        """
        self._gather()
        parts, self._parts = self._parts, []
        names = Labels.__slots__
        whole = [
            np.concatenate([np.empty(0, dtype=kind), *(getattr(part, name) for part in parts)])
            for name, kind in zip(names, _KINDS, strict=True)
        ]
        return Labels(whole[0] - oldest, *whole[1:])
