"""A canary while it runs: its decisions against the champion's, at as many looks as one likes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.errors import LogError
from agents.groups import Group
from agents.spec import Outcome as OutcomeSpec
from experiments.diagnostics import more_conversions
from experiments.gate.criteria import Criteria, watched
from experiments.gate.share import Share, share_of
from experiments.gate.verdict import Outcome
from experiments.intervals.asymptotic import FIRST_LOOK, Band, around, tuned_rho
from experiments.logs import LoggedDecisions
from experiments.paired import counting
from experiments.tally import clusters_of
from experiments.weights import effective_conversions

Floats = NDArray[np.float64]
_PER = 1_000.0


@dataclass(frozen=True)
class Course:
    """One metric of a canary over time: canary less champion, per 1,000 decisions.

    Args:
        metric: `reward`, or an outcome that must not get worse.
        at: (L,) instants of the looks.
        ends: (L,) decisions until each.
        value: (L,) NaN where one arm has no decision yet.
        band: (L,) each, the confidence sequence at all looks together.
        better: (L,) whether it is surely above the margin.
        worse: (L,) whether it is surely below what makes one go back.
    """

    metric: str
    at: NDArray[np.datetime64]
    ends: NDArray[np.int64]
    value: Floats
    band: Band
    better: NDArray[np.bool_]
    worse: NDArray[np.bool_]


@dataclass(frozen=True)
class Canary:
    """What became of a canary.

    Args:
        canary, champion: decisions of each.
        courses: `reward` first, then the watched outcomes.
        breaches: decisions of the canary against a rule; None if that was not looked at.
        most: breaches that are borne.
        share: of customers, until the look that decided.
        conversions: effective ones that the smaller arm would have, were they alike; nothing can be
            sure before there are 30.
    """

    canary: int
    champion: int
    courses: tuple[Course, ...]
    breaches: int | None
    most: int
    share: Share
    conversions: float

    @property
    def needed(self) -> str:
        """What data the first look waits for, in words; empty if there was one."""
        if self.conversions >= FIRST_LOOK:
            return ""
        return more_conversions(self.canary + self.champion, self.conversions, FIRST_LOOK)

    @property
    def outcome(self) -> Outcome:
        """What is to be done, as of the first look that decided; later looks change nothing.

        A breach takes it back whatever else is so; a share that is not right tells nothing.
        """
        if self.breaches is not None and self.breaches > self.most:
            return Outcome.ROLLBACK
        if self.share.fault:
            return Outcome.UNKNOWN
        look = self.decided
        if look is None:
            return Outcome.CONTINUE
        worse = any(bool(course.worse[look]) for course in self.courses)
        return Outcome.ROLLBACK if worse else Outcome.PROMOTE

    @property
    def decided(self) -> int | None:
        """The number of the first look at which something was sure; None if nothing is yet."""
        return _decided(self.courses)


def watch(
    log: LoggedDecisions,
    canary: str,
    criteria: Criteria,
    *,
    outcomes: Mapping[str, OutcomeSpec] | None = None,
    breaches: int | None = None,
) -> Canary:
    """Compare the decisions of a canary's revision with the others of the same time.

    At each look the arms' mean rewards are compared with a standard error over customers, inside a
    confidence sequence that holds at all looks at once: alpha is shared evenly among the reward and
    the watched outcomes, so that a canary like its champion is promoted or taken back with a
    probability of about alpha at most. It assumes that customers were assigned at random, as the
    server does, with a share that does not change while both run, which is tested; and it waits
    until both arms, were they alike, would have 30 effective conversions, since it is asymptotic.

    Args:
        log: decisions; those of treatment from the canary's first one on are used.
        canary: id of its revision.
        criteria: what is asked for.
        outcomes: of the agent, to watch those with `metric: guardrail`.
        breaches: as of `Canary`.

    Raises:
        LogError: the canary decided nothing, or nobody else did.
    """
    rows = log.in_groups(Group.TREATMENT)
    own = rows.revision == canary
    if not own.any():
        others = ", ".join(sorted(set(map(str, rows.revision.tolist()))))
        raise LogError(f"--canary: revision {canary} decided nothing in treatment; got {others}")
    rows = rows.where(np.asarray(rows.at >= rows.at[own].min(), dtype=np.bool_))
    arm = np.asarray(rows.revision == canary, dtype=np.bool_)  # (N,)
    if arm.all():
        raise LogError("expected decisions of a champion beside the canary's, got none")
    known = outcomes or {}
    names = watched(criteria, known)
    alpha, rule = criteria.alpha / (1 + len(names)), criteria.canary
    courses = [
        _course("reward", _Arms.of(rows, arm), criteria, alpha, (rule.margin, rule.rollback))
    ]
    for name in names:
        good = name in known and known[name].worth > 0.0
        limits = (math.inf, -criteria.tolerate.get(name, 0.0))
        arms = _Arms.of(counting(rows, name), arm, 1.0 if good else -1.0)
        courses.append(_course(name, arms, criteria, alpha, limits))
    arms, counts = _Arms.of(rows, arm), (int(arm.sum()), int((~arm).sum()))
    share = _share(arms, courses, rule.share)
    seen = arms.conversions(len(rows))
    return Canary(*counts, tuple(courses), breaches, criteria.breaches, share, seen)


def _decided(courses: Sequence[Course]) -> int | None:
    """Return the first look at which something was sure, None if there is none."""
    sure = courses[0].better | np.any([course.worse for course in courses], axis=0)
    return int(np.argmax(sure)) if sure.any() else None


def _share(arms: _Arms, courses: Sequence[Course], declared: float | None) -> Share:
    """Test the arms' sizes until the look that decided: what came later changed nothing."""
    look = _decided(courses)
    end = len(arms.at) if look is None else int(courses[0].ends[look])
    return share_of(arms.customer[:end], arms.canary[:end], declared)


@dataclass(frozen=True)
class _Arms:
    """The decisions of both arms in the order of time, (N,) each; more reward is better.

    Args:
        at: instants.
        canary: whether the canary decided.
        customer: numbers of the customers.
        reward: what came of it.
        seen: the same before costs, which says which decisions converted.
    """

    at: NDArray[np.datetime64]
    canary: NDArray[np.bool_]
    customer: NDArray[np.intp]
    reward: Floats
    seen: Floats

    @classmethod
    def of(cls, rows: LoggedDecisions, canary: NDArray[np.bool_], sign: float = 1.0) -> _Arms:
        order = np.argsort(rows.at, kind="stable")
        customer = clusters_of(rows.customer)[0]
        return cls(
            rows.at[order], canary[order], customer[order], sign * rows.reward[order],
            rows.outcome_value[order],
        )  # fmt: skip

    def conversions(self, end: int) -> float:
        """Return how many effective ones the smaller arm would have, were the arms alike."""
        share = float(self.canary[:end].mean())
        return min(share, 1.0 - share) * effective_conversions(np.ones(end), self.seen[:end])

    def look(self, end: int) -> tuple[float, float]:
        """Return the difference of the means of the first decisions, and its standard error.

        NaN until both arms, were they alike, would have 30 effective conversions. A canary that
        converts nobody has none ever, and is to be taken back: so it is not its own that are asked
        for, and an arm with fewer takes the variance of both together if that is greater.
        """
        canary, reward, seen = self.canary[:end], self.reward[:end], self.seen[:end]
        if self.conversions(end) < FIRST_LOOK:
            return math.nan, math.nan
        everyone = end * _variance(reward, self.customer[:end])  # of one decision
        parts = []
        for member in (canary, ~canary):
            own = reward[member]
            spread = _variance(own, self.customer[:end][member])
            if effective_conversions(np.ones(len(own)), seen[member]) < FIRST_LOOK:
                spread = max(spread, everyone / len(own))
            parts.append((float(own.mean()), spread))
        (one, first), (other, second) = parts
        return one - other, math.sqrt(first + second)


def _variance(reward: Floats, customer: NDArray[np.intp]) -> float:
    """Return the variance of the mean of decisions, customers taken as independent."""
    totals = np.bincount(customer, reward - reward.mean())  # (G,) 0 for those who are not here
    filled = int(np.count_nonzero(np.bincount(customer)))
    if filled < 2:
        return math.inf
    return filled / (filled - 1) * float(totals @ totals) / len(reward) ** 2


def _course(
    metric: str, arms: _Arms, criteria: Criteria, alpha: float, limits: tuple[float, float]
) -> Course:
    """Follow one metric; the limits are those above and below which something is decided."""
    count = min(criteria.canary.looks, len(arms.at))
    ends = np.unique(np.linspace(0, len(arms.at), count + 1).astype(np.int64)[1:])  # (L,)
    found = _PER * np.array([arms.look(end) for end in ends.tolist()])  # (L, 2)
    rho = tuned_rho(float(criteria.canary.planned), 1.0 - alpha)
    band = around(found[:, 0], found[:, 1], ends, rho=rho, level=1.0 - alpha)
    better, worse = band.low > limits[0], band.high < limits[1]
    return Course(metric, arms.at[ends - 1], ends, found[:, 0], band, better, worse)
