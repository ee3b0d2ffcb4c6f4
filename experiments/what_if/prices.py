"""Shadow prices: what a rule costs, and what one more unit of a cap or a budget is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from agents.revision import Revision
from agents.spec import Agent, BudgetSpec, FrequencyCapSpec, Workspace
from experiments.tally import clusters_of
from experiments.what_if.models import two_opinions
from experiments.what_if.reach import parts
from experiments.what_if.rerun import Rerun, bars
from experiments.what_if.rows import Flags, Rows

Floats = NDArray[np.float64]
D = TypeVar("D", Workspace, Agent)
UNTRIED = 0.1
"""A greater share of freed actions that were never drawn makes a price an extrapolation."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a rule costs in one segment, by models; first-order, and no interval.

    Args:
        segment: `all`, or a value of what decisions are told apart by.
        rule: its name.
        decisions: those in which the rule alone stands between the customer and some action.
        gain: currency per decision of the segment that the best allowed action would be worth
            more without the rule; below 0 where the models err.
        untried: share of what it frees, a decision and an action, that was never drawn for any
            customer of the segment for whom the rule bars it.
        unit: what one unit is, for a cap or a budget; empty for other rules.
        per_unit: currency per decision of the segment for a cap one contact higher; currency for
            one more unit of a budget; NaN for other rules.
    """

    segment: str
    rule: str
    decisions: int
    gain: float
    untried: float
    unit: str
    per_unit: float

    @property
    def extrapolated(self) -> bool:
        """Whether it is about actions that such customers were never sent; no log can tell it."""
        return self.untried > UNTRIED


def prices_of(rows: Rows, found: Rerun, segments: NDArray[np.object_]) -> tuple[Price, ...]:
    """Price each rule that bars something alone, over all and by segment.

    One model chooses the best action with the rule and without it, another one says what the
    second is worth more; then they change places, and the mean of both counts. If one did both, it
    would pick its own luckiest errors. Each rule is taken away by itself, at the histories of the
    log: without it there would have been other contacts, and so other histories.

    Args:
        rows: N decisions.
        found: the rules in force.
        segments: (N,) names.
    """
    prices, models = [], two_opinions(rows)
    for number, name in enumerate(found.names):
        freed = found.without(number) & ~found.allowed  # (N, A)
        if not freed.any():
            continue
        unit = _unit(rows, found, number, freed)
        gains = _gains(models, found.allowed, freed)  # (N,)
        more = None if unit.freed is None else _gains(models, found.allowed, unit.freed)
        for segment, member in parts(segments):
            reached = member & freed.any(axis=1)
            if not reached.any():
                continue
            gain, per = float(gains[member].mean()), _per_unit(unit, more, gains, member)
            untried = _untried(rows, freed, member)
            prices.append(Price(segment, name, int(reached.sum()), gain, untried, unit.word, per))
    return tuple(prices)


@dataclass(frozen=True)
class _Unit:
    """One unit of a rule: either what else it would free, or what each freed action takes of it."""

    word: str = ""
    freed: Flags | None = None
    amounts: Floats | None = None


def _gains(models: tuple[Floats, Floats], allowed: Flags, freed: Flags) -> Floats:
    """Return how much better the choice is with the freed actions than without them; (N,)."""
    gains = [_judged(*pair, allowed, freed) for pair in (models, models[::-1])]
    return np.asarray((gains[0] + gains[1]) / 2.0)


def _judged(chooser: Floats, judge: Floats, allowed: Flags, freed: Flags) -> Floats:
    row = np.arange(len(allowed))
    old, new = (
        np.where(free, chooser, -np.inf).argmax(axis=1) for free in (allowed, allowed | freed)
    )
    return np.asarray(judge[row, new] - judge[row, old])


def _unit(rows: Rows, found: Rerun, number: int, freed: Flags) -> _Unit:
    revision, name = found.revision, found.names[number]
    spec = (revision.workspace.guardrails | revision.agent.guardrails).get(name)
    if isinstance(spec, FrequencyCapSpec):
        relaxed = with_max(revision, name, spec.max + 1)
        instead = _alone(rows, found, relaxed, name)
        return _Unit("one contact more", found.without(number, instead) & ~found.allowed)
    if isinstance(spec, BudgetSpec) and spec.max is not None:
        costs = _costs(found)  # (A,)
        costly = spec.measure == "cost"
        amounts = np.where(freed, costs if costly else 1.0, np.nan)  # (N, A)
        return _Unit(revision.workspace.currency if costly else "contact", None, amounts)
    return _Unit()


def _untried(rows: Rows, freed: Flags, member: Flags) -> float:
    """Return the share of freed actions that were never drawn for customers they are freed for."""
    customers, size = clusters_of(rows.log.customer)
    row, place = np.nonzero(freed & member[:, None])  # (freed,) each
    numbers = np.broadcast_to(rows.numbers, freed.shape)
    action = numbers[row, place]  # (freed,)
    drawn = numbers[np.arange(len(rows)), rows.drawn]  # (N,)
    concerned = np.unique(action * size + customers[row])
    tried = drawn[np.isin(drawn * size + customers, concerned) & member]
    return float(np.mean(~np.isin(action, tried)))


def _per_unit(unit: _Unit, more: Floats | None, gains: Floats, member: Flags) -> float:
    """Return what one unit is worth in a segment."""
    if more is not None:
        return float(more[member].mean())
    if unit.amounts is None:
        return float("nan")
    least = np.where(unit.amounts > 0.0, unit.amounts, np.inf).min(axis=1)  # (N,)
    reached = member & np.isfinite(least)
    return float((gains[reached] / least[reached]).mean()) if reached.any() else float("nan")


def _alone(rows: Rows, found: Rerun, relaxed: Revision, name: str) -> Flags:
    """Ask a changed rule alone about every decision; (N, A)."""
    barred = np.zeros_like(found.allowed)
    for row in range(len(rows)):
        own = rows.under(row, relaxed)
        order = found.order[: len(own.actions)]
        for rule in (each for each in own.guardrails if each.name == name):
            answer = bars(rule, found.moment(row), rows, row)
            barred[row, : len(order)] |= answer[order]
    return barred


def _costs(found: Rerun) -> Floats:
    """Return what each action costs, (A,); supplied ones all cost the same."""
    costs = np.array([action.cost for action in found.revision.actions])
    return costs[np.minimum(found.order, len(costs) - 1)]


def with_max(revision: Revision, name: str, most: int) -> Revision:
    """Return the same agent with another `max` of one of its caps, or of its workspace's."""
    return Revision(_changed(revision.workspace, name, most), _changed(revision.agent, name, most))


def _changed(document: D, name: str, most: int) -> D:
    rules = document.guardrails
    if name not in rules:
        return document
    changed = rules | {name: rules[name].model_copy(update={"max": most})}
    return document.model_copy(update={"guardrails": changed})
