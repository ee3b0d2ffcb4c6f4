"""Greedy: the hybrid model without exploration; where customers differ much, that is enough."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from agents.context import Context
from agents.errors import UnknownNameError
from agents.mask import Mask
from agents.revision import Revision
from policies.base import Distribution
from policies.hybrid import HybridThompson


class Greedy(HybridThompson):
    """Gives the allowed action of the greatest expected reward probability 1; equals share it.

    It learns as `hybrid_thompson` does and has its settings but for those of exploration, `alpha`,
    `optimism`, `draws` and `grid`. Only the floor explores: docs/learners.md says what that costs.

    Source: Bietti, Agarwal and Langford, JMLR 2021 (why greedy does well where contexts vary).
    """

    name: ClassVar[str] = "greedy"

    @classmethod
    def create(cls, revision: Revision) -> Self:
        """Build an untaught learner.

        Raises:
            UnknownNameError: a setting that it does not have.
            ValueError: a setting outside its range.
        """
        _refuse_exploration(revision)
        return super().create(revision)

    @classmethod
    def from_bytes(cls, state: bytes, revision: Revision) -> Self:
        """Rebuild, as `hybrid_thompson` does.

        Raises:
            SnapshotError: the bytes are not this learner's state.
        """
        _refuse_exploration(revision)
        return super().from_bytes(state, revision)

    def distribution(self, context: Context, mask: Mask) -> Distribution:
        """Return 1 for the allowed action of the greatest expected reward."""
        expected = self._expected(self.beliefs(context).mean)  # (A,)
        return Distribution(_best(expected[None], mask.allowed[None])[0], expected)

    def answers(
        self, x: NDArray[np.float64], allowed: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what `distribution` would, for N customers at once; arguments as there."""
        expected = self._expectations(x)  # (N, A)
        return _best(expected, allowed), expected


def _best(expected: NDArray[np.float64], allowed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share 1 among the allowed actions of the greatest expected reward, (N, A)."""
    most = np.where(allowed, expected, -np.inf).max(axis=1, keepdims=True)  # (N, 1)
    best = allowed & (expected == most)  # (N, A)
    return np.asarray(best / np.count_nonzero(best, axis=1, keepdims=True), dtype=np.float64)


def _refuse_exploration(revision: Revision) -> None:
    for name in ("alpha", "draws", "grid", "optimism"):
        if name in revision.agent.policy.settings:
            raise UnknownNameError(
                f"policy.settings.{name}: greedy has no setting {name!r}, since it does not"
                " explore; use hybrid_thompson"
            )
