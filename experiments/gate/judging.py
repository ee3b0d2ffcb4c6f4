"""A candidate against the champion on one log, by lower bounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from agents.spec import Outcome as OutcomeSpec
from experiments.diagnostics import LIMITS, Check, Health, more_conversions
from experiments.diagnostics import judge as judge_data
from experiments.diagnostics.verdict import STEADIER, STEADY_VALUE
from experiments.evaluate import DEFAULT_ESTIMATORS, Evaluation, evaluate
from experiments.gate.criteria import Criteria, watched
from experiments.gate.verdict import Criterion, Outcome, outcome_of
from experiments.logs import LoggedDecisions
from experiments.paired import Paired, counting, less, paired
from experiments.reward_models.ridge import cross_fit
from experiments.weights import importance_weights

Floats = NDArray[np.float64]
_PER = 1_000.0
_AUDIT, _SUPPORT, _SIZE = "Logged probabilities", "Support", "Overlap"  # of checks
_ROWS = {
    _AUDIT: "logged probabilities", _SUPPORT: "choices never tried", _SIZE: "effective decisions",
}  # fmt: skip


@dataclass(frozen=True)
class Judgement:
    """What a gate found.

    Args:
        criteria: all of them, in the order in which they are told.
        differences: candidate less champion, one an estimator; currency per decision.
        decisions: that it was judged on.
        evaluations: of the candidate and the champion by themselves.
    """

    criteria: tuple[Criterion, ...]
    differences: tuple[Paired, ...]
    decisions: int
    evaluations: tuple[Evaluation, ...] = ()

    @property
    def missing(self) -> tuple[Criterion, ...]:
        """The evidence that is missing; where there is any, merit is not judged."""
        return tuple(row for row in self.criteria if row.role == "evidence" and not row.passed)

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
    probability of about alpha at most; the two need not agree on anything but that. Whatever would
    make `nextbest evaluate` refuse their difference is missing evidence here.

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
    health = Health.of(log, hidden)
    both = {"candidate": candidate, "champion": champion}
    # A policy that would never have drawn what was drawn has no estimate at all.
    shared = {name: bool(importance_weights(log, each).any()) for name, each in both.items()}
    found = [
        evaluate(
            log, each, name=name, estimators=DEFAULT_ESTIMATORS if shared[name] else (),
            q_hat=q_hat, exclude=hidden, health=health,
        )
        for name, each in both.items()
    ]  # fmt: skip
    differences = tuple(
        paired(log, candidate, champion, estimator=name, q_hat=q_hat, level=level)
        for name in (criteria.estimators if all(shared.values()) else ())
    )
    rows = (
        *_laws(log, candidate, criteria, breaches),
        *_evidence(found, criteria),
        _apart(differences, criteria, len(log), alike=not less(candidate, champion).any()),
        *_moved(differences),
        *(_better(each, criteria) for each in differences),
        *(_metrics(log, (candidate, champion), outcomes or {}, criteria) if differences else ()),
    )
    return Judgement(rows, differences, len(log), tuple(found))


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


def _evidence(found: Sequence[Evaluation], criteria: Criteria) -> Iterator[Criterion]:
    """Hold both policies against what `nextbest evaluate` asks for; the candidate against more."""
    stricter = replace(LIMITS, ess=criteria.ess, unsupported=criteria.unsupported)
    known: list[Check] = []
    for policy, limits in zip(found, (stricter, LIMITS), strict=True):
        checks = judge_data(policy.diagnostics, policy.estimates, limits).checks
        own = [  # some are about the log alone; what moved is judged by the difference
            check for check in checks if check not in known and check.name != STEADY_VALUE
        ]
        known += own
        yield from (_checked(check, policy, criteria) for check in own if _told(check, policy))


def _told(check: Check, policy: Evaluation) -> bool:
    """Whether a check has a row: always what has a limit, and whatever failed."""
    return check.verdict == "fail" or (check.name in _ROWS and policy.target == "candidate")


def _checked(check: Check, policy: Evaluation, criteria: Criteria) -> Criterion:
    found = policy.diagnostics
    audit = found.audit
    value, limit = {
        _AUDIT: (f"p = {min(audit.p_mean, audit.p_draws, audit.p_rare):.2g}", "audit passed"),
        _SUPPORT: (f"{found.unsupported:.2%}", f"at most {criteria.unsupported:.2%}"),
        _SIZE: (f"{found.ess:,.0f}", f"at least {criteria.ess:,.0f}"),
    }.get(check.name, ("refused", "as evaluate asks"))
    name = _ROWS.get(check.name, f"{check.name.lower()}, {policy.target}")
    if policy.target == "champion" and check.name in _ROWS:
        name, limit = f"{name}, champion", "as evaluate asks"
    return Criterion(
        name, "evidence", value, limit, check.verdict != "fail", check.words, check.needed
    )


def _apart(differences: Sequence[Paired], criteria: Criteria, n: int, *, alike: bool) -> Criterion:
    seen = min((each.conversions for each in differences), default=0.0)
    wanted = criteria.conversions
    words = f"{seen:,.1f} effective conversions tell the two apart, at least {wanted:g} needed."
    needed = "" if seen >= wanted else more_conversions(n, seen, wanted)
    if alike:
        words = f"the two choose alike in all {n:,} decisions."
        needed = "A candidate that chooses otherwise somewhere; no data would tell these apart."
    return Criterion(
        "conversions that tell them apart", "evidence", f"{seen:,.1f}", f"at least {wanted:,.0f}",
        seen >= wanted, words, needed,
    )  # fmt: skip


def _moved(differences: Sequence[Paired]) -> Iterator[Criterion]:
    """Refuse a difference that is another in each half of the log; see `GapDrift`."""
    if any(each.drift.great for each in differences):
        yield Criterion(
            "difference in each half of the log", "evidence", "refused", "as evaluate asks", False,
            "what the candidate is worth more than the champion differs between the halves of the"
            " log by more than chance, and not both say surely which is better.", STEADIER,
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
    for name in watched(criteria, outcomes):
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
