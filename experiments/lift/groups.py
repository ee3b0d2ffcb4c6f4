"""Lift: what the groups earned, and by how much they differ. The customer is the unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.errors import LogError
from agents.groups import Group
from agents.spec import Holdout
from experiments.estimators import ENOUGH_CONVERSIONS
from experiments.intervals import MeanSample, difference_interval, mean_sample
from experiments.lift.ratio import sample_ratio
from experiments.logs import LoggedDecisions

_PER = 1_000.0
_PAIRS = (
    (Group.TREATMENT, Group.CONTROL),
    (Group.TREATMENT, Group.RANDOM),
    (Group.RANDOM, Group.CONTROL),
)


@dataclass(frozen=True, slots=True)
class GroupResult:
    """What one group earned, in currency per 1,000 customers, with an interval.

    Args:
        customers: customers with at least one decision, with or without a reward.
        effective_conversions: see `experiments.weights`; below 10 the interval is a guess.
    """

    group: str
    customers: int
    decisions: int
    value: float
    low: float
    high: float
    effective_conversions: float

    @property
    def enough(self) -> bool:
        """Whether there are enough effective conversions for the interval to mean anything."""
        return self.effective_conversions >= ENOUGH_CONVERSIONS


@dataclass(frozen=True, slots=True)
class Difference:
    """How much more one group earned than another, in currency per 1,000 customers.

    Args:
        enough: whether both groups have at least 10 effective conversions.
    """

    group: str
    over: str
    value: float
    low: float
    high: float
    enough: bool


@dataclass(frozen=True, slots=True)
class Lift:
    """The groups of an agent, side by side.

    Args:
        groups: treatment, random, control, as far as they have two customers.
        differences: treatment over control, treatment over random, random over control.
        moved: customers seen in more than one group, left out of everything else.
        ratio_p: p-value of the groups' sizes under the declared shares; NaN if none were given.
        level: nominal coverage of the intervals.
    """

    groups: tuple[GroupResult, ...]
    differences: tuple[Difference, ...]
    moved: int
    ratio_p: float
    level: float

    @property
    def mismatch(self) -> bool:
        """Whether the sizes cannot come from the declared shares (p < 0.001): show no lift."""
        return self.ratio_p < 1e-3

    @property
    def told(self) -> bool:
        """Whether there are differences, and they may be told."""
        return bool(self.differences) and not self.mismatch

    def over(self, group: str, other: str) -> Difference:
        """Return the difference of two groups.

        Raises:
            KeyError: one of the groups is not in the log.
        """
        return {(d.group, d.over): d for d in self.differences}[group, other]


def lift(log: LoggedDecisions, *, holdout: Holdout | None = None, level: float = 0.95) -> Lift:
    """Compare the groups by the total reward of each customer.

    Intervals are Welch's with Student's t, whose degrees of freedom follow the effective
    conversions (`MeanSample`), so they widen where conversions are few.

    Args:
        log: decisions of all groups.
        holdout: the declared shares, for the check of the groups' sizes.
        level: nominal coverage in (0, 1).

    Raises:
        LogError: no group has two customers.
    """
    totals, moved = by_customer(log, np.array([log.reward, log.outcome_value]))
    known = {group: values for group, values in totals.items() if values.shape[1] >= 2}
    if not known:
        raise LogError("expected a group with at least two customers, got none")
    everyone = float(np.var(np.concatenate([v[0] for v in known.values()]), ddof=1))
    samples = {g: mean_sample(v[0], v[1], everyone) for g, v in known.items()}
    sizes = {group: values.shape[1] for group, values in totals.items()}
    decisions = {group: int(np.count_nonzero(log.group == group)) for group in Group}
    return lift_of(samples, sizes, decisions, moved, holdout=holdout, level=level)


def lift_of(
    samples: dict[Group, MeanSample],
    sizes: dict[Group, int],
    decisions: dict[Group, int],
    moved: int,
    *,
    holdout: Holdout | None,
    level: float,
) -> Lift:
    """Compare groups whose customers' totals have been added up.

    Args:
        samples: of the groups that have two customers.
        sizes: customers of every group.
        decisions: of every group.
        moved: customers seen in more than one group.
        holdout: the declared shares, for the check of the groups' sizes.
        level: nominal coverage in (0, 1).
    """
    groups = tuple(
        _result(decisions[group], group, sizes[group], samples[group], level) for group in samples
    )
    differences = tuple(
        _difference(one, other, samples, level)
        for one, other in _PAIRS
        if one in samples and other in samples
    )
    seen = [sizes[group] for group in Group]
    ratio_p = float("nan") if holdout is None else sample_ratio(seen, holdout)
    return Lift(groups, differences, moved, ratio_p, level)


def by_customer(
    log: LoggedDecisions, amounts: NDArray[np.float64]
) -> tuple[dict[Group, NDArray[np.float64]], int]:
    """Add up amounts by customer, and the customers by group.

    Args:
        log: N decisions.
        amounts: (K, N).

    Returns:
        For each group (K, customers of the group), and how many customers were seen in more than
        one group, which are in none of them.
    """
    customers, codes = np.unique(log.customer.astype(str), return_inverse=True)  # (C,), (N,)
    sums = np.array(  # (K, C)
        [np.bincount(codes, a, minlength=len(customers)) for a in amounts], dtype=np.float64
    )
    member = np.zeros((len(customers), len(Group)), dtype=np.bool_)  # (C, 3)
    for column, group in enumerate(Group):
        member[codes[log.group == group], column] = True
    stayed = member.sum(axis=1) == 1  # (C,)
    totals = {g: sums[:, stayed & member[:, column]] for column, g in enumerate(Group)}
    return totals, int(np.count_nonzero(~stayed))


def _result(
    decisions: int, group: Group, customers: int, sample: MeanSample, level: float
) -> GroupResult:
    low, high = sample.interval(level)
    return GroupResult(
        str(group), customers, decisions, sample.mean * _PER, low * _PER, high * _PER,
        sample.conversions,
    )  # fmt: skip


def _difference(
    one: Group, other: Group, samples: dict[Group, MeanSample], level: float
) -> Difference:
    low, high = difference_interval(samples[one], samples[other], level)
    value = samples[one].mean - samples[other].mean
    enough = min(samples[one].conversions, samples[other].conversions) >= ENOUGH_CONVERSIONS
    return Difference(str(one), str(other), value * _PER, low * _PER, high * _PER, enough)
