"""States by name: what a later revision still has is found again, wherever it stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.errors import SnapshotError

Axes = tuple[Sequence[str], ...]
"""The names along each axis of an array."""


def shared(mine: Axes, theirs: Axes) -> tuple[list[list[int]], list[list[int]]]:
    """Return the positions, here and there, of the names that both have, axis by axis.

    Example:
        >>> shared((["a", "b"], ["x"]), (["c", "b"], ["x"]))
        ([[1], [0]], [[1], [0]])
    """
    here, there = [], []
    for names, others in zip(mine, theirs, strict=True):
        place = {name: index for index, name in enumerate(others)}
        here.append([index for index, name in enumerate(names) if name in place])
        there.append([place[name] for name in names if name in place])
    return here, there


def check_array(array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return an array of a state that is what its names say.

    Raises:
        SnapshotError: it has another shape or type, or holds what is not finite.
    """
    if array.shape != shape or array.dtype != np.float64 or not np.isfinite(array).all():
        raise SnapshotError(
            f"expected finite float64 numbers of shape {shape}, got {array.dtype} of"
            f" {array.shape}; rebuild the snapshot from the ledger"
        )
    return array
