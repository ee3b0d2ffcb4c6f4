"""CUPED: what was known of customers beforehand, taken out of the noise of a comparison."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from agents.errors import LogError
from experiments.lift.histories import Histories
from experiments.lift.views import Floats, Mask, Totals
from experiments.reward_models.features import context_matrix

WORTH_IT = 0.05
"""A share of the variance; below it the adjustment is not worth explaining to anybody."""

_PER_COLUMN = 20
_UNBALANCED = 1e-3
_TIED = 1e-9  # relative size of a singular value that is none


@dataclass(frozen=True)
class Covariates:
    """What was known of each customer before the treatment could touch it.

    Args:
        about: in words, for reports.
        values: (C, D), D >= 1.
    """

    about: str
    values: Floats


def first_contexts(
    found: Histories, only: Collection[str] = (), *, exclude: Collection[str] = ()
) -> Covariates:
    """Take the features of each customer's first decision, coded as `reward_models` does.

    That context was read before the first draw, so the treatment cannot have changed it.

    Args:
        found: the customers.
        only: names of features; all if none are named.
        exclude: features that shall not be used.

    Raises:
        LogError: a feature that no customer has, or nothing that varies.
    """
    known = {name for features in found.features() for name in features}
    missing = sorted(set(only) - known)
    if missing:
        raise LogError(
            f"--covariate: expected a customer field, got {missing[0]!r};"
            f" the log has {', '.join(sorted(known)) or 'none'}"
        )
    dropped = set(exclude) | (known - set(only) if only else set())
    values = context_matrix(found.as_decisions(), exclude=dropped)  # (C, D)
    if not values.shape[1]:
        raise LogError("expected covariates that differ between customers, got none")
    return Covariates(", ".join(only) if only else "features at the first decision", values)


def pre_period(found: Histories, since: np.datetime64) -> tuple[Histories, Covariates]:
    """Split the log at an instant: what happened before is the covariate of what came after.

    It is right only if the groups were treated alike until then; `imbalance` finds the coarsest
    breaches of that. Customers who were there before are counted from the instant on.

    Args:
        found: the customers.
        since: when the treatment began to differ.

    Raises:
        LogError: nothing happened before, or the log ends before.
    """
    early = found.events.at < since
    before = found.events.where(early)
    if not len(before.at):
        raise LogError(f"expected events before {since}, got none; there is no earlier period")
    if since >= found.end:
        raise LogError(f"--since: expected an instant before the log ends on {found.end}")
    columns = [
        np.bincount(before.customer, weights, minlength=len(found)).astype(np.float64)
        for weights in (None, before.value)
    ]
    new = np.asarray(found.first >= since, dtype=np.float64)  # who could have had none
    decided = found.decided.where(found.decided.at >= since)
    after = replace(
        found, first=np.maximum(found.first, since), decided=decided,
        events=found.events.where(~early),
    )  # fmt: skip
    values = np.stack([*columns, new], axis=1)  # (C, 3)
    return after, Covariates(f"events before {since}", values[:, np.ptp(values, axis=0) > 0.0])


def imbalance(values: Floats, one: Mask, other: Mask) -> float:
    """Return the p-value of a test that covariates have equal means in two groups (Hotelling).

    A covariate from before the treatment cannot differ but by chance; one that does was touched by
    it, or the assignment is broken, and adjusting for it would take the lift away.
    """
    a, b = values[one], values[other]  # (n1, D), (n0, D)
    gap = a.mean(axis=0) - b.mean(axis=0)  # (D,)
    spread = np.atleast_2d(np.cov(a, rowvar=False)) / len(a)
    spread = spread + np.atleast_2d(np.cov(b, rowvar=False)) / len(b)  # (D, D)
    scale = np.sqrt(np.diag(spread))
    scale = np.where(scale > 0.0, scale, 1.0)
    inner = spread / np.outer(scale, scale)  # columns may be tied, as those of all levels are
    statistic = (gap / scale) @ np.linalg.pinv(inner, rtol=_TIED, hermitian=True) @ (gap / scale)
    rank = int(np.linalg.matrix_rank(inner, rtol=_TIED, hermitian=True))
    return float(special.chdtrc(rank, statistic)) if rank else 1.0


def check_covariates(found: Covariates, one: Mask, other: Mask) -> None:
    """Refuse covariates that the two groups do not share, or too many for the customers.

    Raises:
        LogError: with what was found.
    """
    count, columns = int(np.count_nonzero(one | other)), found.values.shape[1]
    if count < _PER_COLUMN * columns:
        raise LogError(
            f"expected at least {_PER_COLUMN} customers for each of {columns} covariates, got"
            f" {count:,}; name fewer with --covariate"
        )
    p = imbalance(found.values, one, other)
    if p < _UNBALANCED:
        raise LogError(
            f"expected groups that were alike before the treatment, got p = {p:.2g} for"
            f" {found.about}: the covariates were touched by it, or the assignment is broken"
        )


def adjust(view: Totals, values: Floats, groups: Sequence[Mask]) -> Totals:
    """Take out of a measure what covariates explain: y - theta (x - mean x).

    Theta is fitted by least squares on both groups together, means of each group taken out first,
    so that the difference of the groups does not leak into it. The expected difference stays; its
    variance falls by the share of the spread that x explains.

    Args:
        view: the measure at some instant.
        values: (C, D) covariates.
        groups: the two that are compared, (C,) each.

    Source: Deng, Xu, Kohavi and Walker, WSDM 2013.
    """
    terms, x = np.zeros(len(values)), np.zeros_like(values)  # (C,), (C, D)
    rows = [group & view.present for group in groups]
    for mine, group in zip(rows, groups, strict=True):
        if not mine.any():
            return view
        own = view.terms(group)
        terms[mine] = own - own.mean()
        x[mine] = values[mine] - values[mine].mean(axis=0)
    used = np.logical_or.reduce(rows)
    if np.isnan(terms[used]).any():
        return view
    theta = np.linalg.lstsq(x[used], terms[used], rcond=None)[0]  # (D,)
    offset = (values - values[used].mean(axis=0)) @ theta  # (C,)
    return replace(view, offset=np.where(used, offset, 0.0))
