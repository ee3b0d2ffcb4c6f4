"""Decisions added up by customer, or by many customers at once, for intervals that resample."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.errors import LogError
from experiments.intervals.base import Grouped, Rows, Sample

Floats = NDArray[np.float64]

MOST_GROUPS = 4_096


def groups_of(sample: Sample, name: str, most: int | None = MOST_GROUPS) -> Grouped:
    """Return what each customer of a sample adds up to, or many customers together.

    Args:
        sample: with its decisions, or with the totals of a streamed log. There customers share
            buckets, so that the groups are others than in memory, and as good.
        name: of the interval that asks.
        most: how many groups there may be; None leaves every customer alone, or every bucket.

    Raises:
        LogError: it has neither, or fewer than two groups.
    """
    if sample.grouped is not None:
        return _folded(sample.grouped, most)
    if sample.rows is None:
        raise LogError(
            f"the interval {name!r} expects each decision or what customers add up to, got sums"
            " over all of them only; ask for 'envelope', 'normal' or 'wilson'"
        )
    return group(sample.rows, most)


def all_groups(sample: Sample, name: str) -> Grouped:
    """Return what each customer adds up to, of a log from which no decision was dropped.

    Raises:
        LogError: as `groups_of`, or decisions were dropped: a bound for means says nothing of the
            ratio that a thinned log is valued by.
    """
    found = groups_of(sample, name, None)
    thinned = sample.rows is not None and sample.rows.stands is not None
    if thinned or not np.array_equal(found.stands, found.sizes):
        raise LogError(
            f"the interval {name!r} expects a log of all decisions, got one that was thinned (kept"
            " is below 1); ask for 'envelope', 'bootstrap' or 'likelihood'"
        )
    return found


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
    ones = np.ones_like(rows.weights)  # (N,)
    stands = ones if rows.stands is None else rows.stands
    each = Grouped(ones, rows.terms, rows.weights, stands, rows.weights * rows.rewards)
    return _added(each, rows.clusters if most is None else rows.clusters % most)


def _folded(groups: Grouped, most: int | None) -> Grouped:
    """Put groups together until there are no more than `most`."""
    numbers = np.arange(len(groups))
    return _added(groups, numbers if most is None else numbers % most)


def _added(parts: Grouped, codes: NDArray[np.intp]) -> Grouped:
    """Add up parts by their codes; (M,) each. What no part has is left out."""
    filled = np.bincount(codes) > 0  # (G,)
    if np.count_nonzero(filled) < 2:
        raise LogError(
            f"expected decisions of at least two customers, got {np.count_nonzero(filled)}"
        )
    columns = (parts.sizes, parts.terms, parts.weights, parts.stands, parts.gains)
    totals = [np.bincount(codes, column)[filled].astype(np.float64) for column in columns]
    return Grouped(*totals)
