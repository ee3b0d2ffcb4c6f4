"""The A/A self-test: control against itself, many times, to see how often each test cries wolf."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.errors import LogError
from experiments.intervals.asymptotic import FIRST_LOOK, Sums, multiplier
from experiments.intervals.base import normal_quantile
from experiments.lift.histories import Histories, Instants
from experiments.lift.measures import Measure
from experiments.lift.views import Floats, Totals

_BITS = 256
_CELLS = 4_000_000  # customers x splits at a time


@dataclass(frozen=True)
class SelfTest:
    """How often tests found a difference where there is none.

    Args:
        measure: what the halves were compared by.
        splits: how often control was halved.
        looks: at each split.
        customers: in control.
        started: share of the splits whose halves ever had 30 effective conversions each; the others
            count as no alarm.
        fixed: share of splits where a fixed test refuses at the last look.
        peeking: where it refuses at any look.
        sequential: where the confidence sequence refuses at any look.
        level: nominal coverage.
    """

    measure: Measure
    splits: int
    looks: int
    customers: int
    started: float
    fixed: float
    peeking: float
    sequential: float
    level: float

    def error(self, share: float) -> float:
        """Return the standard error of a share, as if splits were independent."""
        return float(np.sqrt(max(share * (1.0 - share), 1.0 / self.splits) / self.splits))


def self_test(
    measure: Measure,
    found: Histories,
    at: Instants,
    *,
    rho: float,
    level: float = 0.95,
    splits: int = 256,
    group: str = "control",
    salt: str = "a/a",
) -> SelfTest:
    """Halve a group by hash again and again, and test the halves against each other.

    A split is one bit of SHA-256(salt, customer), as groups are assigned; nothing differs between
    the halves, so every difference found is a false alarm. The splits share their customers, so
    this tells how the tests behave on these amounts, and not whether the log is right.

    Args:
        measure: any but retention.
        found: the customers.
        at: (L,) instants of the looks.
        rho: of the sequence.
        level: nominal coverage.
        splits: how many.
        group: who is halved.
        salt: another one makes other halves.

    Raises:
        LogError: fewer than 20 customers in the group.
        ValueError: the measure is no mean.
    """
    members = found.member(group)
    count = int(np.count_nonzero(members))
    if count < 20:
        raise LogError(f"--aa: expected at least 20 customers in {group}, got {count}")
    bits = _bits(found.customer[members], splits, salt)  # (C, S)
    z = np.full((len(at), splits), np.nan)
    clock = np.zeros(len(at))
    for look, instant in enumerate(at):
        view = measure.at(found, instant)
        if not isinstance(view, Totals):
            raise ValueError(f"--aa: expected a mean or a ratio of means, got {measure}")
        present = view.present[members]
        clock[look] = view.seen[members & view.present].sum()
        z[look] = _scores(view.terms(members), view.outcome[members & view.present], bits[present])
    size = np.abs(z)
    usual = size > normal_quantile(level)
    wide = size > multiplier(clock, rho, level)[:, None]
    return SelfTest(
        measure, splits, len(at), count, float((~np.isnan(z)).any(axis=0).mean()),
        float(usual[-1].mean()), float(usual.any(axis=0).mean()), float(wide.any(axis=0).mean()),
        level,
    )  # fmt: skip


def _bits(customers: NDArray[np.object_], splits: int, salt: str) -> NDArray[np.bool_]:
    """Return which half each customer is in at each split; (C, S)."""
    blocks = range(-(-splits // _BITS))
    digests = [
        b"".join(hashlib.sha256(f"{salt}\0{block}\0{name}".encode()).digest() for block in blocks)
        for name in customers.tolist()
    ]
    raw = np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(len(customers), -1)
    return np.unpackbits(raw, axis=1)[:, :splits].astype(np.bool_)


def _scores(terms: Floats, outcome: Floats, bits: NDArray[np.bool_]) -> Floats:
    """Return the difference of the halves in standard errors; (S,), NaN with too little data."""
    if len(terms) < 4 or np.isnan(terms[0]):
        return np.full(bits.shape[1], np.nan)
    rows = np.stack([np.ones_like(terms), terms, terms**2, np.abs(outcome), outcome**2])  # (5, C)
    step = max(1, _CELLS // len(terms))
    parts = range(0, bits.shape[1], step)
    one = np.hstack([rows @ bits[:, i : i + step].astype(np.float64) for i in parts])  # (5, S)
    other = rows.sum(axis=1, keepdims=True) - one
    a, b = (Sums(half[0], half[1], half[2]) for half in (one, other))
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.sqrt(a.variance / a.n + b.variance / b.n)
        enough = [half[3] ** 2 >= FIRST_LOOK * half[4] for half in (one, other)]
        started = enough[0] & enough[1] & (error > 0.0) & (one[3] > 0.0) & (other[3] > 0.0)
        return np.asarray(np.where(started, (a.mean - b.mean) / error, np.nan))
