"""Whether what a batch may use of the organisation's budgets could change a mask of the batch.

The decisions of a batch are made from one reading of the budgets. They are what they would be one
after another if no amount between that reading, and that reading with all that the batch may use,
makes a difference to any rule. Every rule that counts over all customers bars the more, or the
less, the more is used, so both ends tell. What is asked here is what the batch may use, and never
what it drew: else a decision that is made again would depend on its draw.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from agents.counters import Charge, Reading
from agents.guardrails import Guardrail, Ranking
from agents.mask import ask, ask_among
from agents.tabular.alike import alike, parts
from agents.tabular.batch import Batch

Charges = Callable[[int, int], tuple[Charge, ...]]
"""What an action adds, by its position and the code of a customer's time zone in the batch."""


def is_steady(
    rows: Batch, allowed: NDArray[np.bool_], readings: Iterable[Reading], charges: Charges
) -> bool:
    """Say whether all masks of a batch stay as they are, whatever of what is allowed is drawn.

    Args:
        rows: N customers, with what is used now.
        allowed: (N, A) by their masks.
        readings: all that their usage holds.
        charges: what each action would add.
    """
    most = _most(rows, allowed, charges)
    usage, moved = dict(rows.usage), set()
    for reading in set(readings):
        for (counter, bucket), amount in most.items():
            if counter == reading.counter and reading.first <= bucket <= reading.last:
                usage[reading.key] += amount
                moved.add(counter)
    if not moved:
        return True
    later = Batch(
        rows.revision, rows.at, rows.customers, rows.columns, rows.contacts, rows.events, usage,
        rows.suppressed, placement=rows.placement, channels=rows.channels,
    )  # fmt: skip
    return all(
        moved.isdisjoint(counter.name for counter in rule.counters)
        or _bars_the_same(rule, rows, later)
        for rule in rows.revision.guardrails
    ) and all(
        moved.isdisjoint(counter.name for counter in ranking.counters)
        or _ranks_the_same(ranking, rows, later)
        for ranking in rows.revision.rankings
    )


def _most(
    rows: Batch, allowed: NDArray[np.bool_], charges: Charges
) -> Mapping[tuple[str, int], float]:
    """Return the most that a batch can add to each bucket of each counter."""
    totals: defaultdict[tuple[str, int], float] = defaultdict(float)
    for zone in np.unique(rows.zone.codes).tolist():
        mine = rows.zone.codes == zone  # (N,)
        dearest: defaultdict[tuple[str, int], float] = defaultdict(float)
        for action in np.flatnonzero(allowed[mine].any(axis=0)).tolist():
            for counter, bucket, amount in charges(action, zone):
                dearest[counter, bucket] = max(dearest[counter, bucket], amount)
        for place, amount in dearest.items():
            totals[place] += amount * int(np.count_nonzero(mine))
    return {place: amount for place, amount in totals.items() if amount > 0.0}


def _ranks_the_same(ranking: Ranking, rows: Batch, later: Batch) -> bool:
    """Compare what a ranking says before and after, word for word, were all actions allowed."""
    every = [True] * len(rows.revision.actions)
    moments = ((rows.moment(row), later.moment(row)) for row in _of_each(ranking, rows))
    return all(ask_among(ranking, a, every) == ask_among(ranking, b, every) for a, b in moments)


def _bars_the_same(rule: Guardrail, rows: Batch, later: Batch) -> bool:
    """Compare what a rule says before and after, word for word."""
    count = len(rows.revision.actions)
    return all(
        ask(part, rows.moment(row), count) == ask(part, later.moment(row), count)
        for part in parts(rule)
        for row in _of_each(part, rows)
    )


def _of_each(rule: Guardrail | Ranking, rows: Batch) -> list[int]:
    """Return one row of each class that a rule treats alike."""
    first: list[int] = alike(rule, rows).classes()[0].tolist()
    return first
