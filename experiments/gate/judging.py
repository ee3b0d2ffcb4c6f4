"""A candidate against the champion on one log, by lower bounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.spec import Outcome as OutcomeSpec
from experiments.diagnostics import Diagnostics
from experiments.evaluate import evaluate
from experiments.gate.criteria import Criteria
from experiments.gate.verdict import Criterion, Outcome, outcome_of
from experiments.logs import LoggedDecisions
from experiments.paired import Paired, counting, paired
from experiments.reward_models.ridge import cross_fit

Floats = NDArray[np.float64]
_PER = 1_000.0


@dataclass(frozen=True)
class Judgement:
    """What a gate found.

    Args:
        criteria: all of them, in the order in which they are told.
        differences: candidate less champion, one an estimator; currency per decision.
        decisions: that it was judged on.
    """

    criteria: tuple[Criterion, ...]
    differences: tuple[Paired, ...]
    decisions: int

    @property
    def outcome(self) -> Outcome:
        """What is to be done."""
        return outcome_of(self.criteria)


def judge(
    log: LoggedDecisions,
    candidate: Floats,
    champion: Floats,
    criteria: Criteria,
    *,
    outcomes: Mapping[str, OutcomeSpec] | None = None,
    breaches: int | None = None,
    hidden: frozenset[str] = frozenset(),
) -> Judgement:
    """Hold a candidate against the criteria.

    The lower bound of candidate - champion has to exceed the margin by each estimator. It is the
    lower end of an interval at 1 - 2 alpha, so that a candidate that is no better passes with a
    probability of about alpha at most; the two need not agree on anything but that.

    Args:
        log: N decisions of the treatment and random groups that neither learned from.
        candidate: (N, A) probabilities.
        champion: (N, A) probabilities; those logged, for what was logged.
        criteria: what is asked for.
        outcomes: of the agent, by name; without them no guardrail metric is watched.
        breaches: decisions of the log that broke a rule; None if that was not looked at.
        hidden: features that models must not use.
    """
    q_hat = cross_fit(log, exclude=hidden)
    level = 1.0 - 2.0 * criteria.alpha
    found = evaluate(log, candidate, estimators=criteria.estimators, q_hat=q_hat, exclude=hidden)
    differences = tuple(
        paired(log, candidate, champion, estimator=name, q_hat=q_hat, level=level)
        for name in criteria.estimators
    )
    rows = (
        *_laws(log, candidate, criteria, breaches),
        *_evidence(found.diagnostics, differences, criteria),
        *(_better(each, criteria) for each in differences),
        *_metrics(log, (candidate, champion), outcomes or {}, criteria),
    )
    return Judgement(rows, differences, len(log))


def _laws(
    log: LoggedDecisions, candidate: Floats, criteria: Criteria, breaches: int | None
) -> Iterator[Criterion]:
    barred = int(np.count_nonzero((candidate * ~log.allowed).sum(axis=1) > 0.0))
    limit = f"at most {criteria.breaches:,}"
    yield Criterion(
        "choices against a rule", "law", f"{barred:,}", limit, barred <= criteria.breaches
    )
    if breaches is not None:
        passed = breaches <= criteria.breaches
        yield Criterion("breaches in the log", "law", f"{breaches:,}", limit, passed)


def _evidence(
    found: Diagnostics, differences: tuple[Paired, ...], criteria: Criteria
) -> Iterator[Criterion]:
    audit, share = found.audit, found.unsupported
    least = min(audit.p_mean, audit.p_draws, audit.p_rare)
    yield Criterion(
        "logged probabilities", "evidence", f"p = {least:.2g}", "audit passed", audit.passed
    )
    yield Criterion(
        "choices never tried", "evidence", f"{share:.2%}", f"at most {criteria.unsupported:.2%}",
        share <= criteria.unsupported,
    )  # fmt: skip
    yield Criterion(
        "effective decisions", "evidence", f"{found.ess:,.0f}", f"at least {criteria.ess:,.0f}",
        found.ess >= criteria.ess,
    )  # fmt: skip
    seen = min(each.conversions for each in differences)
    yield Criterion(
        "conversions that tell them apart", "evidence", f"{seen:,.1f}",
        f"at least {criteria.conversions:,.0f}", seen >= criteria.conversions,
    )  # fmt: skip


def _better(each: Paired, criteria: Criteria) -> Criterion:
    value = f"{_PER * each.value:+,.2f}, surely {_PER * each.low:+,.2f}"
    passed = _PER * each.low > criteria.margin
    limit = f"surely above {criteria.margin:+,.2f}"
    return Criterion(f"better by {each.estimator}", "merit", value, limit, passed)


def _metrics(
    log: LoggedDecisions,
    targets: tuple[Floats, Floats],
    outcomes: Mapping[str, OutcomeSpec],
    criteria: Criteria,
) -> Iterator[Criterion]:
    """Watch outcomes that must not get worse.

    With a tolerance t the upper bound of how much worse must be t at most. Without one, only what
    is worse for certain, its lower bound above 0, fails: few logs could show more of rare events.
    """
    watched = {name for name, each in outcomes.items() if each.metric == "guardrail"}
    for name in sorted(watched | criteria.tolerate.keys()):
        sign = 1.0 if name in outcomes and outcomes[name].worth > 0.0 else -1.0
        level = 1.0 - 2.0 * criteria.alpha
        each = paired(counting(log, name), *targets, estimator="snips", level=level)
        ends = sorted(-sign * _PER * end for end in (each.low, each.high))
        value = f"worse by {-sign * _PER * each.value:+,.2f}, {ends[0]:+,.2f} to {ends[1]:+,.2f}"
        if name in criteria.tolerate:
            most = criteria.tolerate[name]
            limit, passed = f"surely below {most:+,.2f}", ends[1] <= most
        else:
            limit, passed = "not surely above 0", ends[0] <= 0.0
        yield Criterion(f"{name} per 1,000", "merit", value, limit, passed)
