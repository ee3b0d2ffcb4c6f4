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
from experiments.fairness.ratios import Means, ratios_of
from experiments.logs import LoggedDecisions
from experiments.logs.places import of_listed

FOUR_FIFTHS = 0.8
"""Below this share of the best-served group a difference is told as a warning."""

FEW = 30
"""Customers below whom a group is shown, and compared with nobody."""


@dataclass(frozen=True)
class Served:
    """How one group is served, by one figure.

    Args:
        group: its label.
        customers, decisions: its size.
        value: mean over its decisions: a probability, or currency; NaN if that is not supported.
        low, high: interval of the mean at the level asked for.
        ratio: over the best-served group; NaN if that is not defined.
        ratio_low, ratio_high: interval of the ratio, all groups' together at the level.
        best: whether it is the best-served group itself.
        enough: whether it has the 30 customers that it takes to be compared.
        refused: why its value is not supported; empty if it is.
        needed: what data it would take.
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
    refused: str = ""
    needed: tuple[str, ...] = ()

    @property
    def supported(self) -> bool:
        """Whether the log can tell its value at all."""
        return not self.refused

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
        """Say which groups are served less than four fifths as well as the best, or not known."""
        found = []
        for row in self.rows:
            if row.refused:
                data = f" Needed: {' '.join(row.needed)}" if row.needed else ""
                found.append(f"{self.what}: {row.group}: not supported: {row.refused}{data}")
            elif row.below:
                sure = "" if row.surely_below else ", which may still be luck"
                found.append(
                    f"{self.what}: {row.group} has {row.ratio:.0%} of the best-served group's"
                    f" ({row.ratio_low:.0%} to {row.ratio_high:.0%}), under four fifths{sure}"
                )
            elif not row.enough:
                found.append(
                    f"{self.what}: {row.group} has {row.customers:,} customers; expected {FEW} to"
                    " compare it"
                )
        told = [row for row in self.rows if row.supported and row.enough]
        if self.money and told and all(math.isnan(row.ratio) for row in told):
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
    check_rows(log, labels)
    wanted = _actions_of(log.actions, offer)  # (actions,)
    if log.listed is None:
        exposure = log.distribution[:, wanted].sum(axis=1)  # (N,)
    else:
        exposure = np.where(of_listed(log, wanted), log.distribution, 0.0).sum(axis=1)
    means = Means.of(exposure, log, labels)
    enough = np.array([count >= FEW for count in means.customers])  # (G,)
    ratios = ratios_of(means, enough, means.mean, level)
    rows = tuple(
        Served(
            name, means.customers[g], means.decisions[g], float(means.mean[g]),
            *means.interval(g, level), ratios.values[g], *ratios.bounds[g], g == ratios.best,
            bool(enough[g]),
        )
        for g, name in enumerate(means.names)
    )  # fmt: skip
    return Parity("contact" if offer is None else f"offer {offer}", False, rows, level)


def _actions_of(actions: Sequence[str], offer: str | None) -> NDArray[np.bool_]:
    """Say which actions are of an offer, or make any contact; (actions,)."""
    if offer is None:
        return np.array([action != NONE_ID for action in actions])
    offers = [action.split("/", 1)[0] for action in actions]
    found = np.array([name == offer for name in offers])
    if not found.any() or offer == NONE_ID:
        known = sorted({*offers} - {NONE_ID})
        raise UnknownNameError(f"--offer: got {offer!r}; {did_you_mean(offer, known)}")
    return found


def check_rows(log: LoggedDecisions, labels: NDArray[np.object_]) -> None:
    """Refuse rows that have no group to compare.

    Args:
        log: decisions.
        labels: (N,) text, one a decision.

    Raises:
        LogError: control decisions, or none.
        ValueError: another number of labels.
    """
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
