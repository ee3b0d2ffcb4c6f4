"""A world under the two policies that every log has: nothing for some, chance for the others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from agents.revision import Revision
from agents.tabular.columns import microseconds
from agents.tabular.masks import Reasons
from simulators.calibration.moments import Decisions, Flags
from simulators.cohort import Cohort
from simulators.market.chance import Ints, Luck, uniforms
from simulators.market.market import Market
from simulators.usage import Usage

_DRAW, _GROUP = 0, 1  # numbers of luck


@dataclass(frozen=True, slots=True)
class Timetable:
    """When and how often customers are met, and how many of them are held out.

    Args:
        start: midnight of the first day (UTC).
        every: time between two decisions about one customer, whole days.
        rounds: of decisions.
        control: share of the customers who are never contacted; the others get any allowed action
            with the same probability.
    """

    start: datetime
    every: timedelta
    rounds: int
    control: float


def simulate_chance(
    kind: type[Market], revision: Revision, timetable: Timetable, *, customers: int, seed: int
) -> Decisions:
    """Let customers live through a timetable, inside the guardrails.

    Args:
        kind: the market.
        revision: whose actions and guardrails there are.
        timetable: when they are met.
        customers: N.
        seed: fixes customers, luck and draws: two worlds of one seed have common random numbers.

    Returns:
        N x rounds decisions with the exact probabilities of their outcomes.
    """
    market = kind(
        revision, customers=customers, rounds=timetable.rounds, seed=seed,
        every=timetable.every, start=timetable.start,
    )  # fmt: skip
    who = np.arange(customers, dtype=np.int64)
    held = uniforms(seed, Luck.POLICY, _GROUP, who, 0, 1)[:, 0] < timetable.control
    usage, reasons = Usage(revision, market.words, frozenset(market.reports)), Reasons()
    cohorts = [
        Cohort(market, rows, [market.customer_id(c) for c in rows.tolist()], reasons, usage)
        for _, rows in market.meetings(0)
    ]
    parts = []
    for number in range(timetable.rounds):
        for cohort, (at, rows) in zip(cohorts, market.meetings(number), strict=True):
            cohort.meet(at, number)
            wanted = np.where(held[rows], 0, _drawn(cohort.codes == 0, seed, rows, number))
            rates = market.probabilities_of(rows, wanted, at)  # (n, O)
            done = np.where(cohort.act(wanted).barred == 0, wanted, 0)
            changed = done != wanted  # came too late for a budget
            if changed.any():
                rates[changed] = market.probabilities_of(rows[changed], done[changed], at)
            parts.append((rows, np.full(rows.size, microseconds(at)), done != 0, rates))
    return Decisions.of(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _drawn(allowed: Flags, seed: int, rows: Ints, number: int) -> Ints:
    """Draw one of the allowed actions for each customer, all with the same probability."""
    luck = uniforms(seed, Luck.POLICY, _DRAW, rows, number, 1)[:, 0]  # (n,)
    place = np.floor(luck * allowed.sum(axis=1))
    return np.asarray(np.argmax(np.cumsum(allowed, axis=1) > place[:, None], axis=1))
