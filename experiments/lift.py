"""Lift: what the groups earned, and by how much they differ. The customer is the unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from agents.errors import LogError
from agents.groups import Group
from agents.spec import Agent, Holdout, Workspace
from experiments.estimators import ENOUGH_CONVERSIONS
from experiments.intervals import MeanSample, difference_interval, mean_sample
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
    groups = tuple(
        _result(log, group, known[group].shape[1], samples[group], level) for group in samples
    )
    differences = tuple(
        _difference(one, other, samples, level)
        for one, other in _PAIRS
        if one in samples and other in samples
    )
    sizes = [totals[group].shape[1] for group in Group]
    ratio_p = float("nan") if holdout is None else sample_ratio(sizes, holdout)
    return Lift(groups, differences, moved, ratio_p, level)


def expected_holdout(workspace: Workspace, agent: Agent) -> Holdout | None:
    """Return the shares that an agent's groups come to, the universal control included.

    Customers are put into the universal control first and then, independently, into groups. None
    if that cannot be said: the groups are managed elsewhere, everybody is in the universal
    control, or both are drawn with the same salt.

    Example:
        >>> from agents.spec import UniversalControl
        >>> workspace = Workspace.model_construct(universal_control=UniversalControl(share=0.5))
        >>> agent = Agent.model_construct(holdout=Holdout(control=0.25, random=0.25))
        >>> found = expected_holdout(workspace, agent)
        >>> (found.control, found.random)
        (0.625, 0.125)
    """
    universal, own = workspace.universal_control, agent.holdout
    if own.managed is not None:
        return None
    if universal is None or universal.share == 0.0:
        return own
    if universal.share == 1.0 or universal.salt == own.salt:
        return None
    left = 1.0 - universal.share
    shares = {"control": universal.share + left * own.control, "random": left * own.random}
    return own.model_copy(update=shares)


def sample_ratio(sizes: Sequence[int], holdout: Holdout) -> float:
    """Return the p-value of a chi-square test of group sizes against the declared shares.

    Args:
        sizes: customers in treatment, random and control.
        holdout: the declared shares of random and control.

    Source: Fabijan et al., KDD 2019, on sample ratio mismatch.

    Example:
        >>> holdout = Holdout(control=0.2, random=0.2)
        >>> sample_ratio([600, 200, 200], holdout), sample_ratio([600, 200, 100], holdout) < 1e-3
        (1.0, True)
    """
    shares = np.array([1.0 - holdout.random - holdout.control, holdout.random, holdout.control])
    seen = np.array(sizes, dtype=np.float64)  # (3,)
    expected = shares * seen.sum()  # (3,)
    if np.any((expected == 0.0) & (seen > 0.0)):
        return 0.0
    real = expected > 0.0
    statistic = float(np.sum((seen[real] - expected[real]) ** 2 / expected[real]))
    df = int(np.count_nonzero(real)) - 1
    return float(special.chdtrc(df, statistic)) if df else 1.0


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
    log: LoggedDecisions, group: Group, customers: int, sample: MeanSample, level: float
) -> GroupResult:
    low, high = sample.interval(level)
    decisions = int(np.count_nonzero(log.group == group))
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
