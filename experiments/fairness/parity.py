"""Fairness: whether declared groups of customers are reached and served alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.actions import NONE_ID
from agents.errors import LogError, UnknownNameError, did_you_mean
from agents.groups import Group
from experiments.diagnostics.limits import LIMITS
from experiments.estimators import find_estimator
from experiments.intervals.base import Bounds, normal_quantile
from experiments.logs import LoggedDecisions
from experiments.tally import clusters_of
from experiments.weighing import Weighed

FOUR_FIFTHS = 0.8
"""Below this share of the best-served group a difference is told as a warning."""

_FEW = 30  # customers below whom a group is shown, and compared with nobody

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Served:
    """How one group is served, by one figure.

    Args:
        group: its label.
        customers, decisions: its size.
        value: mean over its decisions: a probability, or currency.
        low, high: interval of the mean at the level asked for.
        ratio: over the best-served group; NaN if that is not defined.
        ratio_low, ratio_high: interval of the ratio, all groups' together at the level.
        best: whether it is the best-served group itself.
        enough: whether it has the 30 customers that it takes to be compared.
    """

    group: str
    customers: int
    decisions: int
    value: float
    low: float
    high: float
    ratio: float
    ratio_low: float
    ratio_high: float
    best: bool
    enough: bool

    @property
    def below(self) -> bool:
        """Whether its ratio is under four fifths; the interval says how sure that is."""
        return self.ratio < FOUR_FIFTHS

    @property
    def surely_below(self) -> bool:
        """Whether the whole interval of its ratio is under four fifths."""
        return self.ratio_high < FOUR_FIFTHS


@dataclass(frozen=True)
class Parity:
    """One figure in all groups.

    Args:
        what: in words, such as `contact` or `value`.
        money: whether it is currency per decision, not a probability.
        rows: one a group, sorted by label.
        level: nominal coverage.
        currency: of money; a word in its place if it is not known.
    """

    what: str
    money: bool
    rows: tuple[Served, ...]
    level: float
    currency: str = "currency"

    @property
    def warnings(self) -> list[str]:
        """Say which groups are served less than four fifths as well as the best."""
        found = []
        for row in self.rows:
            if row.below:
                sure = "" if row.surely_below else ", which may still be luck"
                found.append(
                    f"{self.what}: {row.group} has {row.ratio:.0%} of the best-served group's"
                    f" ({row.ratio_low:.0%} to {row.ratio_high:.0%}), under four fifths{sure}"
                )
            elif not row.enough:
                found.append(
                    f"{self.what}: {row.group} has {row.customers:,} customers; expected {_FEW} to"
                    " compare it"
                )
        if self.money and all(math.isnan(row.ratio) for row in self.rows):
            found.append(f"{self.what}: no ratios, since the best group's is not clearly above 0")
        return found


def exposure_parity(
    log: LoggedDecisions, labels: NDArray[np.object_], *, offer: str | None = None,
    level: float = 0.95,
) -> Parity:  # fmt: skip
    """Compare how likely groups are to be contacted, or to get one offer.

    A group's exposure is the mean of the logged probability of all such actions, not the share of
    draws: what the policy meant to do, without the luck of the draw.

    Args:
        log: decisions of the treatment and random groups of the experiment.
        labels: (N,) text, the declared group of each decision's customer.
        offer: an offer's name; None for any contact.
        level: nominal coverage.

    Raises:
        LogError: control decisions, or none.
        UnknownNameError: no action of the log is of that offer.
    """
    _check(log, labels)
    actions = log.by_action("fairness of what is offered").actions
    offers = [action.split("/", 1)[0] for action in actions]
    if offer is None:
        columns = np.array([action != NONE_ID for action in actions])  # (A,)
    else:
        columns = np.array([name == offer for name in offers])
        if not columns.any() or offer == NONE_ID:
            known = sorted({*offers} - {NONE_ID})
            raise UnknownNameError(f"--offer: got {offer!r}; {did_you_mean(offer, known)}")
    exposure = log.distribution[:, columns].sum(axis=1)  # (N,)
    rows = _served(exposure, log, labels, level)
    return Parity("contact" if offer is None else f"offer {offer}", False, rows, level)


def value_parity(
    log: LoggedDecisions, labels: NDArray[np.object_], target: Floats, *, q_hat: Floats | None,
    level: float = 0.95,
) -> Parity:  # fmt: skip
    """Compare what a policy is worth in each group, in currency per decision.

    The value is doubly robust within the group, or plain IPS if no model is given; both are
    unbiased wherever the log supports the target. Ratios are told only if the best group's value is
    clearly above 0: of losses there is no four fifths.

    Args:
        log: decisions of the treatment and random groups of the experiment.
        labels: (N,) text, the declared group of each decision's customer.
        target: (N, A) probabilities; the log's own distribution for the policy at work.
        q_hat: (N, A) cross-fitted predictions of a reward model; None for IPS.
        level: nominal coverage.

    Raises:
        LogError: control decisions, or none; or a group in which the log hardly ever tried what the
            target does.
    """
    _check(log, labels)
    _check_support(log, labels, target)
    estimator = find_estimator("ips" if q_hat is None else "dr")
    terms = estimator.pieces(Weighed(log, target, q_hat)).plain  # (N,)
    rows = _served(terms, log, labels, level, money=True)
    return Parity(f"value ({estimator.name})", True, rows, level)


@dataclass(frozen=True)
class _Means:
    """Means of all groups, with the parts of their errors that customers add; see `_served`."""

    names: Sequence[str]
    mean: Floats  # (G,)
    parts: Floats  # (G, C) what each customer adds to the error of a mean

    def error(self, slope: Floats) -> float:
        """Return the standard error of a combination of the means, given its derivative (G,)."""
        count = self.parts.shape[1]
        return float(np.sqrt(count / max(count - 1, 1) * np.sum((slope @ self.parts) ** 2)))


def _served(
    terms: Floats, log: LoggedDecisions, labels: NDArray[np.object_], level: float, *,
    money: bool = False,
) -> tuple[Served, ...]:  # fmt: skip
    """Compare the means of groups; customers, not decisions, are independent.

    A customer whose field changed may be in two groups: errors are added up over customers, so
    that their dependence is respected. The best group is chosen by the same data, so of equal
    groups the others' ratios come out a little below 1.
    """
    names, codes = np.unique(labels.astype(str), return_inverse=True)  # (G,), (N,)
    customers, size = clusters_of(log.customer)
    decisions = np.bincount(codes).astype(np.float64)  # (G,)
    mean = np.bincount(codes, terms) / decisions
    parts = np.zeros((len(names), size))  # (G, C)
    np.add.at(parts, (codes, customers), (terms - mean[codes]) / decisions[codes])
    members = [len(np.unique(customers[codes == g])) for g in range(len(names))]
    enough = np.array([count >= _FEW for count in members])
    means = _Means(names.tolist(), mean, parts)
    best = int(np.argmax(np.where(enough, mean, -np.inf))) if enough.any() else None
    if best is not None and not _clear(means, best, level, money=money):
        best = None
    ratios = [
        _ratio(means, g, best, enough, level) if best is not None else (math.nan, _NOWHERE)
        for g in range(len(names))
    ]
    rows = []
    for g, name in enumerate(means.names):
        reach = normal_quantile(level) * means.error(np.eye(len(names))[g])
        value, (ratio, bounds) = float(mean[g]), ratios[g]
        rows.append(
            Served(
                name, members[g], int(decisions[g]), value, value - reach, value + reach,
                ratio, *bounds, g == best, bool(enough[g]),
            )
        )  # fmt: skip
    return tuple(rows)


_NOWHERE = Bounds(math.nan, math.nan)


def _clear(means: _Means, best: int, level: float, *, money: bool) -> bool:
    """Say whether the best group's mean can be divided by."""
    slope = np.eye(len(means.names))[best]
    least = normal_quantile(level) * means.error(slope) if money else 0.0
    return float(means.mean[best]) > least


def _ratio(
    means: _Means, group: int, best: int, enough: NDArray[np.bool_], level: float
) -> tuple[float, Bounds]:
    """Return a group's mean over the best one's, with an interval by the delta method.

    All ratios of a table hold at once (Bonferroni). The interval is symmetric in the logarithm
    where the ratio is positive.
    """
    if not enough[group]:
        return math.nan, _NOWHERE
    if group == best:
        return 1.0, Bounds(1.0, 1.0)
    top = float(means.mean[best])
    ratio = float(means.mean[group]) / top
    slope = np.zeros(len(means.names))
    slope[group], slope[best] = 1.0 / top, -ratio / top
    others = max(1, int(np.count_nonzero(enough)) - 1)
    reach = normal_quantile(1.0 - (1.0 - level) / others) * means.error(slope)
    if ratio <= 0.0:
        return ratio, Bounds(ratio - reach, ratio + reach)
    return ratio, Bounds(ratio * math.exp(-reach / ratio), ratio * math.exp(reach / ratio))


def _check_support(log: LoggedDecisions, labels: NDArray[np.object_], target: Floats) -> None:
    """Refuse to value what was not tried: weights of 0 would leave it to the model alone."""
    thin = (log.distribution < LIMITS.thin) & (target > log.distribution)  # (N, A)
    missing = np.where(thin, target, 0.0).sum(axis=1)  # (N,)
    for name in sorted(set(labels.tolist())):
        share = float(missing[labels == name].mean())
        if share > LIMITS.unsupported:
            raise LogError(
                f"--policy: expected one whose choices the log has tried, got one of which"
                f" {share:.1%} were barred or hardly ever drawn in group {name!r}; use"
                " --policy logged, or --group random"
            )


def _check(log: LoggedDecisions, labels: NDArray[np.object_]) -> None:
    if not len(log):
        raise LogError("expected decisions of the treatment or random group, got none")
    control = int(np.count_nonzero(log.group == Group.CONTROL))
    if control:
        raise LogError(
            f"expected decisions of the treatment and random groups only, got {control} of the"
            " control group; keep the others with log.in_groups('treatment', 'random')"
        )
    if labels.shape != (len(log),):
        raise ValueError(f"expected {len(log)} labels, one a decision; got {labels.shape}")
