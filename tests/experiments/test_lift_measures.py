"""Measures are what their names say, for each customer and at any instant."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from agents.errors import LogError, UnknownNameError
from agents.log import log_table
from experiments.lift.histories import Histories, histories
from experiments.lift.measures import Measure, parse_measure, parse_measures
from experiments.lift.views import Point, Survival, Totals

MakeLife = Callable[..., pa.Table]
START = datetime(2026, 1, 1, tzinfo=UTC)
CONTEXT = (
    '{"features": {"plan": "basic"}, "contacts": [], "events": [], "usage": {}, "placement": "",'
    ' "channels": [], "suppressed": []}'
)


def row(
    customer: str, day: float, group: str = "treatment", *events: tuple[str, float, float],
    closed: bool = True, agent: str = "a", reward: float | None = None,
    given_back: int | None = None,
) -> dict[str, object]:  # fmt: skip
    """One decision at a day, followed by events (name, value, day)."""
    at = START + timedelta(days=day)
    return {
        "position": 0, "decision_id": f"{customer}{day}", "at": at, "agent": agent,
        "revision": "r", "policy": "p", "snapshot": "", "group": group, "reason": "policy",
        "customer": customer, "context": CONTEXT, "actions": ["none"], "mask": [None],
        "distribution": [1.0], "expected": [None], "action": "none", "propensity": 1.0,
        "floor": 0.0, "explored": False,
        "outcomes": [
            {"outcome": name, "value": value, "at": START + timedelta(days=when)}
            for name, value, when in events
        ],
        "reward": sum(value for _, value, _ in events) if reward is None else reward,
        "closed_at": at + timedelta(days=5) if closed else None, "given_back": given_back,
    }  # fmt: skip


def gather(*rows: dict[str, object]) -> Histories:
    return histories(log_table(rows))


def point(text: str, found: Histories, day: float = 1_000.0, group: str = "treatment") -> Point:
    (measure,) = parse_measure(text)
    until = np.datetime64((START + timedelta(days=day)).replace(tzinfo=None), "us")
    told = measure.at(found, until).point(found.member(group))
    assert told is not None
    return told


ANN_AND_BOB = (
    row("ann", 0, "treatment", ("bought", 10.0, 1), ("bought", 30.0, 4)),
    row("ann", 8, "treatment", ("bought", 20.0, 10), ("complained", -5.0, 11), reward=14.0),
    row("bob", 2),
    row("cleo", 3, "control", ("bought", 50.0, 3)),
    row("dan", 4, "control"),
)


@pytest.mark.parametrize(
    ("text", "mean"),
    [
        ("reward", (40.0 + 14.0) / 2),
        ("revenue", 60.0 / 2),
        ("revenue:bought", 60.0 / 2),
        ("revenue@5", 40.0 / 2),
        ("conversion", 1 / 2),
        ("conversion:complained", 1 / 2),
        ("conversion@5:complained", 0.0),
        ("orders", 3 / 2),
        ("order_value", 60.0 / 3),
        ("gap", 9.0 / 2),  # days 1, 4 and 10
        ("gap@5", 3.0),
        ("churn@30:complained", 1 / 2),
        ("retention@30:complained", 1 / 2),
        ("lifetime@30", 55.0 / 2),
        ("lifetime@5", 40.0 / 2),
    ],
)
def test_measures_by_hand(text: str, mean: float) -> None:
    assert point(text, gather(*ANN_AND_BOB)).sample.mean == pytest.approx(mean)


def test_what_came_later_does_not_count_yet() -> None:
    found = gather(*ANN_AND_BOB)
    assert point("revenue", found, 3).sample.mean == pytest.approx(10.0 / 2)
    assert point("reward", found, 7).sample.mean == pytest.approx(40.0 / 2)  # closed on day 5, 7
    (reward,) = parse_measure("reward")
    before = reward.at(found, np.datetime64("2026-01-04", "us"))
    assert before.point(found.member("treatment")) is None  # no decision has closed yet
    early = parse_measure("revenue@5")[0].at(found, np.datetime64("2026-01-06T12:00:00", "us"))
    assert early.point(found.member("treatment")) is None  # bob has been there for 3.5 days
    assert isinstance(early, Totals)
    assert early.present.tolist() == [True, False, False, False]


def test_the_clock_counts_decisions_or_customers_and_the_young_are_left_out() -> None:
    found = gather(*ANN_AND_BOB, row("eve", 20))
    assert (point("revenue", found).clock, point("revenue", found).customers) == (4.0, 3)
    young = point("revenue@15", found, 25)
    assert (young.clock, young.customers, young.left_out) == (2.0, 2, 1)


def test_ratios_have_the_spread_of_the_delta_method(make_life: MakeLife) -> None:
    found = histories(make_life(400, 1, rate=0.3))
    gap = parse_measure("gap:renewed")[0].at(found, found.end)
    assert isinstance(gap, Totals)
    members = found.member("treatment")
    rng, index = np.random.default_rng(2), np.flatnonzero(members)
    assert gap.under is not None
    means = []
    for _ in range(400):
        rows = rng.choice(index, len(index))
        means.append(gap.over[rows].sum() / gap.under[rows].sum())
    sample = gap.point(members)
    assert sample is not None
    assert sample.sample.variance**0.5 == pytest.approx(np.std(means), rel=0.15)


def test_kaplan_meier_by_hand() -> None:
    # five customers: events at 2 and 6, censored at 4, two observed for all 10 days
    spent = np.array([2.0, 4.0, 6.0, 10.0, 10.0])
    happened = np.array([True, False, True, False, False])
    view = Survival(np.ones(5, dtype=np.bool_), spent, happened, 10.0)
    everyone = np.ones(5, dtype=np.bool_)
    times, share, variance = view.curve(everyone)
    assert times.tolist() == [2.0, 6.0]
    assert share == pytest.approx([0.8, 0.8 * 2 / 3])
    assert variance[-1] == pytest.approx((0.8 * 2 / 3) ** 2 * (1 / 20 + 1 / 6))
    told = view.point(everyone)
    assert told is not None
    assert (told.customers, told.left_out, told.sample.conversions) == (5, 1, 2.0)


def test_without_censoring_retention_is_one_less_churn(make_life: MakeLife) -> None:
    found = histories(make_life(600, 3, days=200))
    churn, kept = (point(f"{kind}@60:unsubscribed", found, 200) for kind in ("churn", "retention"))
    assert kept.sample.mean == pytest.approx(1.0 - churn.sample.mean)
    assert kept.left_out == churn.left_out == 0
    n = churn.customers
    assert kept.sample.variance == pytest.approx(churn.sample.variance * (n - 1) / n)
    assert kept.clock == pytest.approx(n)


def test_censored_customers_do_not_bias_retention(make_life: MakeLife) -> None:
    table = make_life(1_500, 4, days=200, leave=0.05)
    truth = point("retention@90:unsubscribed", histories(table), 200).sample.mean
    early = point("retention@90:unsubscribed", histories(table), 100)
    assert early.left_out > early.customers / 2
    assert early.sample.mean == pytest.approx(truth, abs=4 * early.sample.variance**0.5)
    naive = 1.0 - point("conversion:unsubscribed", histories(table), 100).sample.mean
    assert naive > truth + 2 * early.sample.variance**0.5  # which those who just came look like


def test_open_decisions_have_events_and_no_reward() -> None:
    found = gather(*ANN_AND_BOB, row("eve", 9, "treatment", ("bought", 99.0, 9.5), closed=False))
    assert point("revenue", found).sample.mean == pytest.approx(159.0 / 3)
    assert point("reward", found).customers == 2
    assert found.end == np.datetime64("2026-01-14", "us")  # the last window that has ended


def test_those_who_moved_are_left_out() -> None:
    found = gather(*ANN_AND_BOB, row("fay", 1), row("fay", 5, "control"))
    assert (found.moved, len(found)) == (1, 4)
    assert found.events.customer.max() < 4


def test_who_could_not_be_reached_still_counts_as_treated() -> None:
    # control has no contacts that fail: to drop those of treatment would compare others with it
    found = gather(*ANN_AND_BOB, row("gus", 5, given_back=7))
    assert (found.given_back, len(found)) == (1, 5)
    assert point("conversion", found).customers == 3
    assert point("reward", found).customers == 3


def test_a_thinned_log_is_refused() -> None:
    with pytest.raises(LogError, match="1 rows were kept with a probability below 1"):
        gather(*ANN_AND_BOB, row("gus", 5) | {"kept": 0.5}, row("hal", 5) | {"kept": 1.0})


def test_a_log_of_several_agents_wants_one_named() -> None:
    table = log_table([row("ann", 0), row("bob", 1, agent="b")])
    with pytest.raises(LogError, match="got a, b; say which"):
        histories(table)
    assert len(histories(table, agent="b")) == 1
    with pytest.raises(LogError, match="no agent 'c'"):
        histories(table, agent="c")
    with pytest.raises(LogError, match="empty log"):
        histories(log_table([]))


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        ("conversoin", UnknownNameError, "did you mean 'conversion'"),
        ("churn@30", ValueError, "as in churn:cancelled"),
        ("revenue@0", ValueError, "KIND@DAYS"),
        ("revenue@week", ValueError, "KIND@DAYS"),
        ("reward@30", ValueError, "plain 'reward'"),
    ],
)
def test_a_measure_that_is_none_is_refused(text: str, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        parse_measure(text)


def test_an_outcome_that_can_not_happen_is_refused_and_one_that_did_not_is_none() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'bought'"):
        point("conversion:bougth", gather(*ANN_AND_BOB))
    found = histories(log_table(ANN_AND_BOB), declared=["left"])
    assert point("conversion:left", found).sample.mean == 0.0


def test_each_measure_is_told_once() -> None:
    assert parse_measures(["churn:left", "churn@30:left"]) == (
        Measure("churn", 30, "left"), Measure("churn", 90, "left"), Measure("churn", 365, "left"),
    )  # fmt: skip
    assert parse_measure("lifetime@30")[0].unit("EUR") == "EUR per 1,000 customers"
