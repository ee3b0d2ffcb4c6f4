"""Floor and draw for many decisions at once, in the very bits of one by one."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from agents.errors import StateError
from agents.keyed import keyed

Numbers = NDArray[np.float64]


def uniform_draws(secret: bytes, decision_ids: Iterable[str]) -> Numbers:
    """Return each decision's random number in [0, 1), as `uniform_draw` does; (N,).

    Example:
        >>> from policies.decide import uniform_draw
        >>> bool(uniform_draws(b"key", ["a", "b"])[1] == uniform_draw(b"key", "b"))
        True
    """
    mac = keyed(secret)
    digests = [mac(name.encode())[:8] for name in decision_ids]
    return (np.frombuffer(b"".join(digests), dtype=">u8") >> np.uint64(11)) / 2.0**53  # (N,)


def mix_floors(probabilities: Numbers, allowed: NDArray[np.bool_], floor: Numbers) -> Numbers:
    """Mix each row with the uniform distribution over what it allows, as `mix_floor` does.

    Args:
        probabilities: (N, A), 0 where barred.
        allowed: (N, A), at least one true in each row.
        floor: (N,) in [0, 1].

    Returns:
        (N, A) float64, exactly 0 where barred, each row sums to 1 within rounding.

    Raises:
        StateError: probabilities are not finite, or none of a row's is on an allowed action.
    """
    share = (floor / np.count_nonzero(allowed, axis=1))[:, None]  # (N, 1)
    mixed = np.where(allowed, (1.0 - floor)[:, None] * probabilities + share, 0.0)  # (N, A)
    mixed = np.ascontiguousarray(mixed)  # rows are summed in one order, however they came
    total = mixed.sum(axis=1, keepdims=True)  # (N, 1)
    wrong = ~((total > 0.0) & (total < np.inf))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise StateError(
            "expected finite probabilities over the allowed actions,"
            f" got sum {float(total[row, 0])} in row {row}"
        )
    return np.asarray(mixed / total, dtype=np.float64)


def draws(distribution: Numbers, u: Numbers) -> NDArray[np.intp]:
    """Draw a position from each row, as `draw` does.

    Args:
        distribution: (N, A), each row sums to 1 within rounding.
        u: (N,) in [0, 1).

    Returns:
        (N,) positions whose probability is above 0.

    Example:
        >>> draws(np.array([[0.0, 0.25, 0.75]] * 2), np.array([0.2, 0.9])).tolist()
        [1, 2]
    """
    cumulative = np.cumsum(distribution, axis=1)  # (N, A)
    target = (u * cumulative[:, -1])[:, None]  # (N, 1), below the last: u is at most 1 - 2^-53
    return np.asarray(np.count_nonzero(cumulative <= target, axis=1), dtype=np.intp)
