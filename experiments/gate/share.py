"""The share of customers that a canary gets: whether it stayed, and is what was declared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from experiments.lift.ratio import SUSPICIOUS, ratio_path

_PARTS = 10


@dataclass(frozen=True, slots=True)
class Share:
    """A canary's share of customers.

    Args:
        first, last: in the first and in the last tenth of the decisions.
        whole: in all of them.
        declared: what was declared; None if nothing was.
        changed: p-value of a share that is the same in every tenth.
        wrong: always-valid p-value of the declared share; 1 if none was declared.
    """

    first: float
    last: float
    whole: float
    declared: float | None
    changed: float
    wrong: float

    @property
    def fault(self) -> str:
        """What is wrong with it, in words; empty if nothing is."""
        if self.changed < SUSPICIOUS:
            return (
                f"the canary's share of customers changed, from {self.first:.1%} to"
                f" {self.last:.1%} (p = {self.changed:.2g}): the arms met other times and other"
                " customers; watch it again on a log that begins after the change"
            )
        if self.wrong < SUSPICIOUS and self.declared is not None:
            return (
                f"the canary has {self.whole:.1%} of the customers, {self.declared:.1%} were"
                f" declared (p = {self.wrong:.2g}): customers are missing from one arm; find out"
                " why before it is judged"
            )
        return ""


def share_of(
    customer: NDArray[np.intp], canary: NDArray[np.bool_], declared: float | None = None
) -> Share:
    """Test the sizes of a canary's arms.

    A customer counts once in each tenth of the decisions, in the arm of the first decision there.
    A chi-square test compares the tenths. Customers who stay in their arm from one tenth to the
    next make the shares more alike than the test believes, so that it errs by being silent. The
    declared share is tested customer by customer, see `experiments.lift.ratio.ratio_path`.

    Args:
        customer: (N,) numbers, in the order of time.
        canary: (N,) whether the canary decided.
        declared: probability of a customer's being the canary's, in (0, 1).

    Example:
        >>> people = np.arange(4_000)
        >>> share_of(people, people % 4 == 0, 0.25).fault
        ''
        >>> share_of(people, people % np.where(people < 2_000, 4, 2) == 0).changed < 1e-3
        True
        >>> share_of(people, people % 4 == 0, 0.5).fault[:42]
        'the canary has 25.0% of the customers, 50.'
    """
    parts = [_arms(customer[rows], canary[rows])
             for rows in np.array_split(np.arange(len(customer)), _PARTS) if len(rows)]  # fmt: skip
    counts = np.array([(arm.sum(), (~arm).sum()) for arm in parts], dtype=np.float64)  # (K, 2)
    sizes, arms = counts.sum(axis=1), counts.sum(axis=0)  # (K,), (2,)
    expected = np.outer(sizes, arms) / sizes.sum()  # (K, 2)
    real = expected > 0.0
    statistic = float(((counts[real] - expected[real]) ** 2 / expected[real]).sum())
    df = len(counts) - 1
    changed = float(special.chdtrc(df, statistic)) if df and real.all() else 1.0
    everyone = _arms(customer, canary)
    wrong = 1.0
    if declared is not None:
        wrong = float(ratio_path(everyone.astype(np.int64), [1.0 - declared, declared]).p[-1])
    shares = counts[:, 0] / sizes  # (K,)
    return Share(
        float(shares[0]), float(shares[-1]), float(everyone.mean()), declared, changed, wrong
    )


def _arms(customer: NDArray[np.intp], canary: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the arm of each customer's first decision, customers in the order of arrival; (C,)."""
    first = np.unique(customer, return_index=True)[1]
    return np.asarray(canary[np.sort(first)])
