"""Decisions added up by customer, or by many customers at once, for intervals that resample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.errors import LogError
from experiments.intervals.base import Rows, Sample

Floats = NDArray[np.float64]

MOST_GROUPS = 4_096


@dataclass(frozen=True)
class Grouped:
    """Totals of G groups of decisions that are independent of each other.

    Args:
        sizes: (G,) decisions of each, above 0.
        terms: (G,) totals of the estimate's terms.
        weights: (G,) totals of the importance weights.
        stands: (G,) totals of what the decisions stand for: their number, if none was dropped.
        gains: (G,) totals of weight x reward.
    """

    sizes: Floats
    terms: Floats
    weights: Floats
    stands: Floats
    gains: Floats

    def __len__(self) -> int:
        return len(self.sizes)


def needed_rows(sample: Sample, name: str) -> Rows:
    """Return each decision of a sample.

    Raises:
        LogError: only sums were kept.
    """
    if sample.rows is None:
        raise LogError(
            f"the interval {name!r} expects each decision, got sums only, as of a streamed log;"
            " read the log whole, or ask for 'envelope', 'normal' or 'wilson'"
        )
    return sample.rows


def all_rows(sample: Sample, name: str) -> Rows:
    """Return each decision of a sample from whose log none was dropped.

    Raises:
        LogError: only sums were kept, or decisions were dropped: a bound for means says nothing of
            the ratio that a thinned log is valued by.
    """
    rows = needed_rows(sample, name)
    if rows.stands is not None:
        raise LogError(
            f"the interval {name!r} expects a log of all decisions, got one that was thinned (kept"
            " is below 1); ask for 'envelope', 'bootstrap' or 'likelihood'"
        )
    return rows


def group(rows: Rows, most: int | None = MOST_GROUPS) -> Grouped:
    """Add up decisions by customer.

    A union of customers is as independent of other customers as each of them is, and what a mean
    of many groups looks like hardly changes; so more customers than `most` share groups.

    Args:
        rows: decisions.
        most: how many groups there may be; None leaves every customer alone.

    Raises:
        LogError: fewer than two groups.
    """
    codes = rows.clusters if most is None else rows.clusters % most
    sizes = np.bincount(codes).astype(np.float64)
    filled = sizes > 0.0
    if np.count_nonzero(filled) < 2:
        raise LogError(
            f"expected decisions of at least two customers, got {np.count_nonzero(filled)}"
        )
    stands = np.ones_like(rows.weights) if rows.stands is None else rows.stands  # (N,)
    columns = (rows.terms, rows.weights, stands, rows.weights * rows.rewards)
    totals = [np.bincount(codes, column)[filled].astype(np.float64) for column in columns]
    return Grouped(sizes[filled], *totals)
