"""Outcome rates by group: known rates are found, harm is flagged, luck is not."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from agents.revision import Revision
from agents.spec import Agent
from experiments.lift.metrics import compare_metrics
from experiments.logs import LoggedDecisions
from experiments.report import metrics_table, metrics_warnings, to_text

MakeLog = Callable[..., LoggedDecisions]
RATES = {"treatment": 0.04, "random": 0.03, "control": 0.02}


@pytest.fixture
def agent(revision: Revision) -> Agent:
    """The example's agent, whose goal is renewal; complaints must not get more."""
    metrics = {"renewed": "primary", "complained": "guardrail", "upgraded": "guardrail"}
    outcomes = {
        name: outcome.model_copy(update={"metric": metrics.get(name, "secondary")})
        for name, outcome in revision.agent.outcomes.items()
    }
    return revision.agent.model_copy(update={"outcomes": outcomes})


def grouped(
    make_log: MakeLog, outcome: str, rates: dict[str, float], *, n: int = 12_000, seed: int = 1
) -> LoggedDecisions:
    """Make a log in which an outcome happens after a decision with a rate by group."""
    rng = np.random.default_rng(seed)
    log = make_log(n, seed)
    group = rng.choice(np.array(list(rates), dtype=object), n, p=[0.6, 0.2, 0.2])
    happened = rng.random(n) < np.array([rates[name] for name in group])
    outcomes = np.empty(n, dtype=object)
    outcomes[:] = [(outcome,) if each else () for each in happened.tolist()]
    return replace(log, group=group, outcomes=outcomes)


def test_rates_and_their_difference_are_found(make_log: MakeLog, agent: Agent) -> None:
    first, *others = compare_metrics(grouped(make_log, "renewed", RATES), agent)
    assert (first.outcome, first.metric) == ("renewed", "primary")
    for group, rate in RATES.items():
        n = 12_000 * (0.6 if group == "treatment" else 0.2)
        error = 1_000.0 * np.sqrt(rate * (1.0 - rate) / n)
        assert abs(first.rates[group] - 1_000.0 * rate) < 4.0 * error
    assert first.value == pytest.approx(first.rates["treatment"] - first.rates["control"])
    assert first.low < 20.0 < first.high
    assert first.enough
    assert not first.worse
    assert [row.outcome for row in others] == ["upgraded", "complained"]
    assert {row.value for row in others} == {0.0}


@pytest.mark.parametrize(
    ("outcome", "rates", "worse"),
    [
        ("complained", RATES, True),  # harm, and more of it
        ("complained", {**RATES, "treatment": 0.02, "control": 0.04}, False),
        ("complained", dict.fromkeys(RATES, 0.03), False),
        ("upgraded", RATES, False),  # worth something, and more of it
        ("upgraded", {**RATES, "treatment": 0.02, "control": 0.04}, True),
        ("renewed", {**RATES, "treatment": 0.02, "control": 0.04}, False),  # no guardrail metric
    ],
)
def test_a_guardrail_metric_that_got_worse_is_flagged(
    make_log: MakeLog, agent: Agent, outcome: str, rates: dict[str, float], worse: bool
) -> None:
    found = compare_metrics(grouped(make_log, outcome, rates), agent)
    assert [row.outcome for row in found if row.worse] == ([outcome] if worse else [])
    assert [outcome in warning for warning in metrics_warnings(found)] == [True] * worse


def test_equal_rates_are_seldom_flagged(make_log: MakeLog, agent: Agent) -> None:
    flagged = 0
    for seed in range(40):
        log = grouped(make_log, "complained", dict.fromkeys(RATES, 0.03), n=1_500, seed=seed)
        flagged += any(row.worse for row in compare_metrics(log, agent))
    assert flagged <= 5  # 40 x 2.5% is 1, and 5 is 4 standard errors above it


def test_several_events_of_one_customer_count_each(make_log: MakeLog, agent: Agent) -> None:
    log = grouped(make_log, "renewed", RATES, n=400)
    group = np.where(np.arange(400) < 200, "treatment", "control").astype(object)
    outcomes = np.empty(400, dtype=object)
    outcomes[:] = [("renewed", "renewed") if n % 2 else () for n in range(400)]
    found = compare_metrics(replace(log, group=group, outcomes=outcomes), agent)[0]
    assert dict(found.rates) == {"treatment": 1_000.0, "control": 1_000.0}


def test_without_two_groups_or_metrics_there_is_nothing_to_say(
    make_log: MakeLog, agent: Agent, revision: Revision
) -> None:
    log = grouped(make_log, "renewed", RATES, n=500)
    assert compare_metrics(log.in_groups("treatment", "random"), agent) == ()
    outcomes = {
        name: outcome.model_copy(update={"metric": "secondary"})
        for name, outcome in revision.agent.outcomes.items()
    }
    plain = revision.agent.model_copy(update={"outcomes": outcomes})
    assert compare_metrics(log, plain) == ()


def test_the_table_shows_rates_difference_and_verdict(make_log: MakeLog, agent: Agent) -> None:
    found = compare_metrics(grouped(make_log, "complained", RATES), agent)
    text = to_text(metrics_table(found, 0.95))
    assert "treatment less control" in text
    lines = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert lines["complained"].rstrip().endswith("worse")
    assert lines["renewed"].rstrip().endswith("not enough data")
    assert re.search(r"complained .*\n +guardrail\n", text)
    narrow = to_text(metrics_table(found, 0.95), width=80)
    figures = re.findall(r"[+-]?[0-9.]+", lines["complained"])
    assert re.findall(r"[+-]?[0-9.]+", narrow[narrow.index("complained") :])[:6] == figures
