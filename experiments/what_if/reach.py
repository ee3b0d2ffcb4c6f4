"""Reach: in how many decisions, and for how many customers, each rule bars something; exact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.what_if.rerun import Rerun
from experiments.what_if.rows import Flags, Rows

ALL = "all"


@dataclass(frozen=True, slots=True)
class RuleReach:
    """What one rule does in a log, within one segment.

    Args:
        segment: `all`, or a value of what decisions are told apart by.
        rule: its name.
        decisions: decisions of the segment.
        before, after: those in which it bars an action, under the rules in force and the changed
            ones; 0 where it does not exist.
        customers: different customers of `after`.
        alone: those of `after` in which it is the only rule that bars some action.
        breaches: decisions whose drawn action it bars after the change: what was sent and would
            not have been.
    """

    segment: str
    rule: str
    decisions: int
    before: int
    after: int
    customers: int
    alone: int
    breaches: int


@dataclass(frozen=True, slots=True)
class Reach:
    """What a change of the rules does to the decisions of a segment.

    Args:
        segment: as above.
        decisions, customers: of the segment.
        tightened, tightened_customers: those that lose an action.
        freed, freed_customers: those that gain one.
        drawn: decisions whose drawn action is barred after the change.
    """

    segment: str
    decisions: int
    customers: int
    tightened: int
    tightened_customers: int
    freed: int
    freed_customers: int
    drawn: int


def reach_of(
    rows: Rows, before: Rerun, after: Rerun, segments: NDArray[np.object_]
) -> tuple[Reach, ...]:
    """Count what the change of all rules together does, over all and by segment.

    Args:
        rows: N decisions.
        before: the rules in force.
        after: the changed ones.
        segments: (N,) names.
    """
    lost = (before.allowed & ~after.allowed).any(axis=1)  # (N,)
    won = (after.allowed & ~before.allowed).any(axis=1)  # (N,)
    drawn = ~after.allowed[np.arange(len(rows)), rows.drawn]  # (N,)
    found = []
    for name, member in parts(segments):
        whole, less, more = (_counted(rows, each) for each in (member, member & lost, member & won))
        found.append(Reach(name, *whole, *less, *more, int((member & drawn).sum())))
    return tuple(found)


def rules_reach(
    rows: Rows, before: Rerun, after: Rerun, segments: NDArray[np.object_]
) -> tuple[RuleReach, ...]:
    """Count what each rule bars, over all and by segment; rules that never bar are left out."""
    names = dict.fromkeys([*after.names, *before.names])
    found = []
    for name in names:
        was, now, alone = _barred(name, before), _barred(name, after), _alone(name, after)
        drawn = now[np.arange(len(rows)), rows.drawn]  # (N,)
        for segment, member in parts(segments):
            reached, people = _counted(rows, member & now.any(axis=1))
            row = RuleReach(
                segment, name, int(member.sum()), int((member & was.any(axis=1)).sum()), reached,
                people, int((member & alone.any(axis=1)).sum()), int((member & drawn).sum()),
            )  # fmt: skip
            found += [row] if row.before or row.after else []
    return tuple(found)


def parts(segments: NDArray[np.object_]) -> list[tuple[str, Flags]]:
    """Return all decisions, and, if there are several segments, the members of each; (N,)."""
    names = sorted(set(segments.tolist()))
    everyone = (ALL, np.ones(len(segments), dtype=np.bool_))
    return [everyone, *((name, segments == name) for name in names if len(names) > 1)]


def _counted(rows: Rows, member: Flags) -> tuple[int, int]:
    """Return the number of decisions, and of different customers."""
    return int(member.sum()), len(set(rows.log.customer[member].tolist()))


def _barred(name: str, found: Rerun) -> Flags:
    """Return what a rule bars; (N, A), nothing if there is no such rule."""
    if name not in found.names:
        return np.zeros_like(found.allowed)
    return np.asarray(found.alone[[each == name for each in found.names]].any(axis=0))


def _alone(name: str, found: Rerun) -> Flags:
    """Return what a rule bars and no other does; (N, A)."""
    others = found.alone[[each != name for each in found.names]]
    return _barred(name, found) & ~others.any(axis=0)
