"""Metrics: how often the outcomes that matter happened in each group. The customer is the unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.groups import Group
from agents.spec import Agent, Outcome
from experiments.estimators import ENOUGH_CONVERSIONS
from experiments.intervals import MeanSample, difference_interval, mean_sample
from experiments.lift import by_customer
from experiments.logs import LoggedDecisions

_PER = 1_000.0


@dataclass(frozen=True, slots=True)
class MetricResult:
    """One outcome by group, in counted events per 1,000 customers.

    Args:
        outcome: its name.
        metric: primary or guardrail.
        rates: by group, as far as it has two customers.
        value, low, high: treatment less control, with its interval.
        worse: whether it is a guardrail metric and the whole interval lies on the wrong side of 0.
        enough: whether both groups have at least 10 events; below, the interval is a guess.
    """

    outcome: str
    metric: str
    rates: Mapping[str, float]
    value: float
    low: float
    high: float
    worse: bool
    enough: bool


def compare_metrics(
    log: LoggedDecisions, agent: Agent, *, level: float = 0.95
) -> tuple[MetricResult, ...]:
    """Compare how often primary and guardrail outcomes happened in treatment and in control.

    Intervals are those of `experiments.lift`. A guardrail metric is worse if it is harm and
    happened more often, or is worth something and happened less often.

    Args:
        log: decisions of all groups.
        agent: says which outcomes are metrics.
        level: nominal coverage in (0, 1).

    Returns:
        One result an outcome, in the agent's order; none if treatment or control has fewer than
        two customers.
    """
    watched = watched_outcomes(agent)
    if not watched or not len(log):
        return ()
    counts = np.array([_counts(log, name) for name in watched])  # (M, N)
    totals, _ = by_customer(log, counts)
    known = {group: values for group, values in totals.items() if values.shape[1] >= 2}
    if not {Group.TREATMENT, Group.CONTROL} <= known.keys():
        return ()
    return tuple(
        _result(name, outcome, {group: values[row] for group, values in known.items()}, level)
        for row, (name, outcome) in enumerate(watched.items())
    )


def watched_outcomes(agent: Agent) -> dict[str, Outcome]:
    """Return the outcomes of an agent that are metrics, by name."""
    return {name: o for name, o in agent.outcomes.items() if o.metric != "secondary"}


def _counts(log: LoggedDecisions, name: str) -> NDArray[np.float64]:
    return np.array([names.count(name) for names in log.outcomes.tolist()], dtype=np.float64)


def _result(
    name: str, outcome: Outcome, counts: Mapping[Group, NDArray[np.float64]], level: float
) -> MetricResult:
    everyone = float(np.var(np.concatenate(list(counts.values())), ddof=1))
    samples = {group: mean_sample(values, values, everyone) for group, values in counts.items()}
    return metric_of(name, outcome, samples, level)


def metric_of(
    name: str, outcome: Outcome, samples: Mapping[Group, MeanSample], level: float
) -> MetricResult:
    """Compare treatment with control by one outcome.

    Args:
        name: of the outcome.
        outcome: what is declared of it.
        samples: of its events by customer, for the groups that have two; both are among them.
        level: nominal coverage in (0, 1).
    """
    treated, control = samples[Group.TREATMENT], samples[Group.CONTROL]
    low, high = difference_interval(treated, control, level)
    return MetricResult(
        outcome=name,
        metric=outcome.metric,
        rates={str(group): sample.mean * _PER for group, sample in samples.items()},
        value=(treated.mean - control.mean) * _PER,
        low=low * _PER,
        high=high * _PER,
        worse=outcome.metric == "guardrail" and _worse(outcome, low, high),
        enough=_enough(treated) and _enough(control),
    )


def _worse(outcome: Outcome, low: float, high: float) -> bool:
    return low > 0.0 if outcome.worth < 0.0 else high < 0.0


def _enough(sample: MeanSample) -> bool:
    return sample.conversions >= ENOUGH_CONVERSIONS
